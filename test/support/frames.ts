/** Frames as model providers send them, each family with its content, its end, and what may follow its end. */

/** One wire format. */
export interface Family {
  readonly name: string;
  readonly contentType: string;
  /** A frame that adds `text` to the answer. */
  readonly delta: (text: string) => string;
  /** The frame that tells a client the answer is over. */
  readonly finish: string;
  /** What is sent after it, or ''. */
  readonly after: string;
  /** True where an end without the finish marker is `truncated`. */
  readonly needsFinish: boolean;
}

const EVENT_STREAM = 'text/event-stream';
const NDJSON = 'application/x-ndjson';

/** An SSE frame around a JSON payload. */
export function sse(payload: unknown, event?: string): string {
  const name = event === undefined ? '' : `event: ${event}\n`;
  return `${name}data: ${JSON.stringify(payload)}\n\n`;
}

/** A line of NDJSON. */
export function line(payload: unknown): string {
  return `${JSON.stringify(payload)}\n`;
}

/** A chunk of an OpenAI chat completion. */
export function chatChunk(delta: object, finishReason: string | null = null): string {
  return sse({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  });
}

function anthropic(type: string, rest: object = {}): string {
  return sse({ type, ...rest }, type);
}

/** The families whose end is a frame. */
export const FAMILIES = [
  {
    name: 'OpenAI chat completions',
    contentType: EVENT_STREAM,
    delta: (content) => chatChunk({ content }),
    finish: chatChunk({}, 'stop'),
    after: 'data: [DONE]\n\n',
    needsFinish: true,
  },
  {
    name: 'OpenAI Responses',
    contentType: EVENT_STREAM,
    delta: (delta) =>
      sse({ type: 'response.output_text.delta', delta }, 'response.output_text.delta'),
    finish: sse(
      { type: 'response.completed', response: { id: 'r', status: 'completed' } },
      'response.completed',
    ),
    after: '',
    needsFinish: true,
  },
  {
    name: 'Anthropic messages',
    contentType: EVENT_STREAM,
    delta: (text) =>
      anthropic('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
    finish: anthropic('message_stop'),
    after: '',
    needsFinish: true,
  },
  {
    name: 'the AI SDK',
    contentType: EVENT_STREAM,
    delta: (delta) => sse({ type: 'text-delta', id: '1', delta }),
    finish: sse({ type: 'finish' }),
    after: 'data: [DONE]\n\n',
    needsFinish: true,
  },
  {
    name: 'Gemini',
    contentType: EVENT_STREAM,
    delta: (text) => sse({ candidates: [{ content: { parts: [{ text }], role: 'model' } }] }),
    finish: sse({ candidates: [{ content: { parts: [], role: 'model' }, finishReason: 'STOP' }] }),
    after: '',
    needsFinish: true,
  },
  {
    name: 'Ollama',
    contentType: NDJSON,
    delta: (content) => line({ model: 'm', message: { role: 'assistant', content }, done: false }),
    finish: line({
      model: 'm',
      message: { role: 'assistant', content: '' },
      done_reason: 'stop',
      done: true,
    }),
    after: '',
    needsFinish: true,
  },
  {
    name: 'generic SSE',
    contentType: EVENT_STREAM,
    delta: (text) => sse(text),
    finish: 'data: [DONE]\n\n',
    after: '',
    needsFinish: false,
  },
  {
    name: 'generic NDJSON',
    contentType: NDJSON,
    delta: (content) => line({ content }),
    finish: line({ done: true }),
    after: '',
    needsFinish: false,
  },
] as const satisfies readonly Family[];

/** The family of this name. */
export function family(name: (typeof FAMILIES)[number]['name']): Family {
  const found: Family | undefined = FAMILIES.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no family ${name}`);
  return found;
}

/** The text of the OpenAI deltas in the whole frames of a body: what a client of that API has read. */
export function readDeltas(body: string): string {
  const frames = body.split('\n\n').slice(0, -1);
  return frames
    .map((frame) => /"content":("(?:[^"\\]|\\.)*")/.exec(frame)?.[1])
    .map((json) => (json === undefined ? '' : String(JSON.parse(json))))
    .join('');
}
