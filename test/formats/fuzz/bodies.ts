/** Bodies for the fuzz suite: streams of every format in every framing, spoiled in the ways that are met, and mere bytes. */
import fc from 'fast-check';

/** One generated body. */
export interface Body {
  readonly contentType: string;
  /** `auto` or the name of a format. */
  readonly format: string;
  readonly text: string;
  /** Texts under names that no table has, each new: they must be in `content` or in `events`. */
  readonly markers: readonly string[];
  /** What an unspoiled stream of a vendor says; `undefined` where nobody can know. */
  readonly answer: string | undefined;
}

/** A wire format: how a token, its end and other frames look. */
interface Dialect {
  readonly format: string;
  readonly framing: 'sse' | 'ndjson';
  readonly token: (text: string) => object;
  readonly end: object;
}

const chat = (delta: object, finish_reason: string | null = null): object => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1_764_500_000,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason }],
});

/** The shapes are those of the corpus. */
const DIALECTS: readonly Dialect[] = [
  {
    format: 'openai',
    framing: 'sse',
    token: (content) => chat({ content }),
    end: chat({}, 'stop'),
  },
  {
    format: 'openai-responses',
    framing: 'sse',
    token: (delta) => ({ type: 'response.output_text.delta', delta }),
    end: { type: 'response.completed', response: { id: 'r', status: 'completed' } },
  },
  {
    format: 'anthropic',
    framing: 'sse',
    token: (text) => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'text_delta', text },
    }),
    end: { type: 'message_stop' },
  },
  {
    format: 'ai-sdk',
    framing: 'sse',
    token: (delta) => ({ type: 'text-delta', id: '0', delta }),
    end: { type: 'finish', finishReason: 'stop' },
  },
  {
    format: 'gemini',
    framing: 'sse',
    token: (text) => ({
      candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0 }],
    }),
    end: { candidates: [{ content: { parts: [], role: 'model' }, finishReason: 'STOP' }] },
  },
  {
    format: 'ollama',
    framing: 'ndjson',
    token: (content) => ({ model: 'm', message: { role: 'assistant', content }, done: false }),
    end: {
      model: 'm',
      message: { role: 'assistant', content: '' },
      done: true,
      done_reason: 'stop',
    },
  },
  { format: 'sse', framing: 'sse', token: (text) => ({ text }), end: { done: true } },
  { format: 'ndjson', framing: 'ndjson', token: (token) => ({ token }), end: { done: true } },
];

/** What tokens are made of: pieces that look like fields, ends, numbers and JSON, and any characters. */
const PIECES = [
  ' ', '\n', '\r', '\r\n\r\n', 'data:', 'data: [DONE]', 'event: end', ': ', '[DONE]', '0', '1e3', 'null', 'true',
  '{', '}', '[', ']', '"', '\\', '\\u00e9', '😀', '\ud83d', '\u2028', '\ufeff', 'error"', '"done":true', 'finish_reason',
]; // prettier-ignore
const token = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 6 })), {
    minLength: 1,
    maxLength: 4,
  })
  .map((pieces) => pieces.join(''));

interface Frame {
  readonly payload: unknown;
  readonly event: string | undefined;
  readonly marker: string | undefined;
}

/** A frame that is none of its dialect's: any JSON, or a payload with a text under a name that no table has. */
interface Strange {
  readonly value: unknown;
  readonly kind: 'json' | 'alone' | 'beside' | 'deep';
  readonly text: string;
  readonly salt: number;
  readonly event: string | undefined;
}

const strange: fc.Arbitrary<Strange> = fc.record({
  value: fc.jsonValue({ maxDepth: 3 }),
  kind: fc.constantFrom('json', 'alone', 'beside', 'deep'),
  text: token,
  salt: fc.nat({ max: 0xffff }),
  event: fc.option(fc.constantFrom('message', 'ping', 'end', 'error', 'note'), { nil: undefined }),
});

function frameOf(dialect: Dialect, { value, kind, text, salt, event }: Strange, at: number): Frame {
  const marker = `zq${at}-${salt}`;
  const payload = {
    json: value,
    alone: { zqAlone: marker },
    beside: { ...dialect.token(text), zqBeside: marker },
    deep: { ...dialect.token(text), zqDeep: [{ zq: marker }] },
  }[kind];
  return { payload, event, marker: kind === 'json' ? undefined : marker };
}

function tokenFrame(dialect: Dialect, text: string): Frame {
  return { payload: dialect.token(text), event: undefined, marker: undefined };
}

const LINE_ENDS = ['\n', '\r\n', '\r'] as const;
const TYPES = [
  'text/event-stream', 'application/x-ndjson', 'application/json', 'application/stream+json', 'text/plain', '',
]; // prettier-ignore

interface Draft {
  readonly dialect: Dialect;
  readonly tokens: readonly string[];
  readonly strange: readonly Strange[];
  readonly ends: boolean;
  readonly lineEnd: string;
  /** `undefined` for the dialect's own. */
  readonly contentType: string | undefined;
  readonly named: boolean;
  /** Where it breaks off; `undefined` for nowhere. */
  readonly cut: number | undefined;
}

/** Streams of a dialect, with strange frames between, in a framing that need not be its own, cut off or not. */
const streams: fc.Arbitrary<Body> = fc
  .record({
    dialect: fc.constantFrom(...DIALECTS),
    tokens: fc.array(token, { minLength: 1, maxLength: 6 }),
    strange: fc.array(strange, { maxLength: 2 }),
    ends: fc.boolean(),
    lineEnd: fc.constantFrom(...LINE_ENDS),
    contentType: fc.option(fc.constantFrom(...TYPES), { nil: undefined, freq: 1 }),
    named: fc.boolean(),
    cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined, freq: 1 }),
  })
  .map(bodyOf);

function bodyOf(draft: Draft): Body {
  const { dialect, tokens, ends, cut } = draft;
  const frames = tokens.map((text) => tokenFrame(dialect, text));
  for (const [at, one] of draft.strange.entries()) {
    frames.splice((at * 7 + one.salt) % (frames.length + 1), 0, frameOf(dialect, one, at));
  }
  if (ends) frames.push({ payload: dialect.end, event: undefined, marker: undefined });
  const whole = frames.map((frame) => written(frame, dialect.framing, draft.lineEnd)).join('');
  const isPlain = draft.strange.length === 0 && ends && cut === undefined;
  const markers = frames.flatMap(({ marker }) => marker ?? []);
  return {
    contentType: draft.contentType ?? OWN_TYPE[dialect.framing],
    format: draft.named ? dialect.format : 'auto',
    text: cut === undefined ? whole : whole.slice(0, Math.floor(cut * whole.length)),
    markers: cut === undefined ? markers : [],
    answer:
      isPlain && draft.contentType === undefined && isTold(tokens) ? tokens.join('') : undefined,
  };
}

const OWN_TYPE = { sse: 'text/event-stream', ndjson: 'application/x-ndjson' } as const;

/** Texts that repeat what came before may be snapshots: nobody can tell. */
function isTold(tokens: readonly string[]): boolean {
  return tokens.every(
    (one, at) =>
      one.trim() !== '' && !tokens.slice(0, at).some((before) => one.startsWith(before[0] ?? '')),
  );
}

function written({ payload, event }: Frame, framing: 'sse' | 'ndjson', lineEnd: string): string {
  const json = JSON.stringify(payload);
  if (framing === 'ndjson') return `${json}${lineEnd === '\r' ? '\n' : lineEnd}`;
  return `${event === undefined ? '' : `event: ${event}${lineEnd}`}data: ${json}${lineEnd}${lineEnd}`;
}

/** Anything at all under any label. */
const garbage: fc.Arbitrary<Body> = fc
  .record({
    pieces: fc.array(
      fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 12 }), fc.json({ maxDepth: 2 })),
      {
        maxLength: 12,
      },
    ),
    contentType: fc.constantFrom(...TYPES),
    format: fc.constantFrom('auto', 'text', ...DIALECTS.map(({ format }) => format)),
  })
  .map(({ pieces, contentType, format }) => ({
    contentType,
    format,
    text: pieces.join(''),
    markers: [],
    answer: undefined,
  }));

/** Bodies of every kind. */
export const bodies: fc.Arbitrary<Body> = fc.oneof({ weight: 3, arbitrary: streams }, garbage);
