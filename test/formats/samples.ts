/** Whole streams as the providers send them, with what a reader must make of each. */
import { line, sse } from '../support/frames.ts';

/** One recorded stream. */
export interface Sample {
  readonly name: string;
  readonly contentType: string;
  readonly body: string;
  /** What reading it under `auto` gives. */
  readonly format: string;
  readonly text: string;
  /** The frame that ends the answer, exactly as it stands in `body`; undefined where there is none. */
  readonly finish: string | undefined;
}

const ANSWER = 'Grüße, 世界: "quoted", [DONE] and 😀 error" all belong to it.\n\ndata: even this';
/** Cut so that the emoji is split over two deltas. */
const DELTAS = [ANSWER.slice(0, 9), ANSWER.slice(9, 36), ANSWER.slice(36, 37), ANSWER.slice(37)];

/** As `JSON.stringify`, but all ASCII, as Python's servers send it: half an emoji is one escape. */
export function ascii(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const asciiSse = (payload: unknown, event?: string): string =>
  `${event === undefined ? '' : `event: ${event}\n`}data: ${ascii(payload)}\n\n`;

const chat = (delta: object, finishReason: string | null = null): string =>
  asciiSse({
    id: 'chatcmpl-7',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'gpt',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  });

const message = (type: string, rest: object = {}): string => asciiSse({ type, ...rest }, type);

const OPENAI_FINISH = chat({}, 'stop');
const OPENAI =
  chat({ role: 'assistant', content: '' }) +
  DELTAS.map((content) => chat({ content })).join('') +
  OPENAI_FINISH +
  sse({ id: 'chatcmpl-7', choices: [], usage: { total_tokens: 9 } }) +
  'data: [DONE]\n\n';

/** Every format's stream, in the line ends that are met. */
export const SAMPLES: readonly Sample[] = [
  {
    name: 'OpenAI chat completions',
    contentType: 'text/event-stream',
    body: OPENAI,
    format: 'openai',
    text: ANSWER,
    finish: OPENAI_FINISH,
  },
  {
    name: 'OpenAI chat completions with CRLF',
    contentType: 'text/event-stream',
    body: OPENAI.replaceAll('\n', '\r\n'),
    format: 'openai',
    text: ANSWER,
    finish: OPENAI_FINISH.replaceAll('\n', '\r\n'),
  },
  {
    name: 'OpenAI chat completions with CR',
    contentType: 'text/event-stream',
    body: OPENAI.replaceAll('\n', '\r'),
    format: 'openai',
    text: ANSWER,
    finish: OPENAI_FINISH.replaceAll('\n', '\r'),
  },
  {
    name: 'OpenAI Responses',
    contentType: 'text/event-stream',
    body:
      message('response.created', { response: { id: 'r', status: 'in_progress', error: null } }) +
      DELTAS.map((delta) => message('response.output_text.delta', { delta })).join('') +
      message('response.output_text.done', { text: ANSWER }) +
      message('response.completed', { response: { id: 'r', status: 'completed' } }),
    format: 'openai-responses',
    text: ANSWER,
    finish: message('response.completed', { response: { id: 'r', status: 'completed' } }),
  },
  {
    name: 'Anthropic messages',
    contentType: 'text/event-stream',
    body:
      message('message_start', { message: { id: 'm', role: 'assistant', content: [] } }) +
      message('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }) +
      message('ping') +
      DELTAS.map((text) =>
        message('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
      ).join('') +
      message('content_block_stop', { index: 0 }) +
      message('message_delta', {
        delta: { stop_reason: 'end_turn' },
        usage: { output_tokens: 9 },
      }) +
      message('message_stop'),
    format: 'anthropic',
    text: ANSWER,
    finish: message('message_stop'),
  },
  {
    name: 'the AI SDK',
    contentType: 'text/event-stream',
    body:
      sse({ type: 'start' }) +
      sse({ type: 'start-step' }) +
      sse({ type: 'text-start', id: '1' }) +
      DELTAS.map((delta) => asciiSse({ type: 'text-delta', id: '1', delta })).join('') +
      sse({ type: 'text-end', id: '1' }) +
      sse({ type: 'finish-step' }) +
      sse({ type: 'finish', finishReason: 'stop' }) +
      'data: [DONE]\n\n',
    format: 'ai-sdk',
    text: ANSWER,
    finish: sse({ type: 'finish', finishReason: 'stop' }),
  },
  {
    name: 'Gemini',
    contentType: 'text/event-stream',
    body:
      DELTAS.map((text) =>
        asciiSse({ candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0 }] }),
      ).join('') +
      sse({
        candidates: [{ content: { parts: [{ text: '' }], role: 'model' }, finishReason: 'STOP' }],
      }),
    format: 'gemini',
    text: ANSWER,
    finish: sse({
      candidates: [{ content: { parts: [{ text: '' }], role: 'model' }, finishReason: 'STOP' }],
    }),
  },
  {
    name: 'Ollama',
    contentType: 'application/x-ndjson',
    body:
      DELTAS.map(
        (content) =>
          `${ascii({ model: 'm', message: { role: 'assistant', content }, done: false })}\n`,
      ).join('') +
      line({
        model: 'm',
        message: { role: 'assistant', content: '' },
        done: true,
        done_reason: 'stop',
      }),
    format: 'ollama',
    text: ANSWER,
    finish: line({
      model: 'm',
      message: { role: 'assistant', content: '' },
      done: true,
      done_reason: 'stop',
    }),
  },
  {
    name: 'generic SSE',
    contentType: 'text/event-stream',
    body: `: hello\n\n${DELTAS.map((text) => asciiSse({ text }, 'token')).join('')}data: [DONE]\n\n`,
    format: 'sse',
    text: ANSWER,
    finish: 'data: [DONE]\n\n',
  },
  {
    name: 'generic SSE of bare text, without any content type',
    contentType: '',
    body: 'data: Hel\n\ndata: lo 😀\ndata: two\n\nevent: end\ndata: {"done": true}\n\n',
    format: 'sse',
    text: 'Hello 😀\ntwo',
    finish: 'event: end\ndata: {"done": true}\n\n',
  },
  {
    name: 'generic NDJSON',
    contentType: 'application/jsonl',
    body: `${DELTAS.map((token) => `${ascii({ token })}\n`).join('')}{"done":true}\n`,
    format: 'ndjson',
    text: ANSWER,
    finish: '{"done":true}\n',
  },
  {
    name: 'a JSON text sequence',
    contentType: 'application/json-seq',
    body: `${DELTAS.map((token) => `\u001e${ascii({ token })}\n`).join('')}\u001e{"done":true}\n`,
    format: 'ndjson',
    text: ANSWER,
    finish: '\u001e{"done":true}\n',
  },
  {
    name: 'plain text',
    contentType: 'text/plain',
    body: `${ANSWER}data: [DONE]\n\n`,
    format: 'text',
    text: `${ANSWER}data: [DONE]\n\n`,
    finish: undefined,
  },
];
