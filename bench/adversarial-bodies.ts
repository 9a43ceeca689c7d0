/** Bodies that make a careless reader slow, or end it. Each is about the size that is asked for. */
import { gzipSync } from 'node:zlib';

/** One of them. */
export interface AdversarialBody {
  readonly headers: Readonly<Record<string, string>>;
  /** Options of the guard. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
  /** Bytes of a write. */
  readonly pieceBytes: number;
}

const KIB = 1_024;
const MIB = 1_024 * KIB;
const SSE = { 'content-type': 'text/event-stream' };
const JSON_LINES = { 'content-type': 'application/x-ndjson' };
const GEMINI = { headers: { 'content-type': 'application/json' }, options: { format: 'gemini' } };

type Make = (bytes: number) => Partial<Omit<AdversarialBody, 'body'>> & { body: string | Buffer };

const frame = (content: string): string =>
  `data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`;
const element = (text: string): string =>
  `{\n"candidates": [{"content": {"parts": [{"text": ${text}}], "role": "model"}}]\n}\n`;

/** By name; the size at which it is run. */
export const ADVERSARIAL = {
  'a large answer': {
    bytes: 16 * MIB,
    make: (bytes) => ({ headers: SSE, body: fill(frame('Hello there, and on. '), bytes) }),
  },
  'spaces in a JSON array': {
    bytes: MIB,
    make: (bytes) => ({ ...GEMINI, body: `[${element(JSON.stringify(' '.repeat(bytes)))}]` }),
  },
  'frames of one character': {
    bytes: 12 * MIB,
    make: (bytes) => ({ headers: SSE, body: fill('data:x\n\n', bytes) }),
  },
  'bare lines as NDJSON': {
    bytes: 4 * MIB,
    make: (bytes) => ({ headers: JSON_LINES, body: fill('x\n', bytes) }),
  },
  'frames that end in CR': {
    bytes: 4 * MIB,
    make: (bytes) => ({ headers: SSE, body: fill('data: {"text":"x"}\r\r', bytes) }),
  },
  'one CR among LF frames': {
    bytes: 4 * MIB,
    make: (bytes) => ({
      headers: SSE,
      body: `data: x\r\n\r\n${fill('data: {"text":"x"}\n\n', bytes)}`,
    }),
  },
  'one-character writes without a type': {
    bytes: 256 * KIB,
    make: (bytes) => ({ body: 'x'.repeat(bytes), pieceBytes: 1 }),
  },
  'one large frame': {
    bytes: MIB,
    make: (bytes) => ({
      headers: SSE,
      body: `data: {"text":"${'x '.repeat(bytes / 2)}"}\n\n`,
      pieceBytes: 64,
    }),
  },
  'gzip with garbage behind it': {
    bytes: 15 * MIB,
    make: (bytes) => ({
      headers: { ...SSE, 'content-encoding': 'gzip' },
      body: Buffer.concat([gzipSync(fill(frame('x'), bytes)), noise(bytes / 4)]),
    }),
  },
  'deep JSON in a JSON array': {
    bytes: 64 * KIB,
    make: (bytes) => ({
      ...GEMINI,
      body: `[${element('['.repeat(bytes / 2) + ']'.repeat(bytes / 2))}]`,
    }),
  },
} as const satisfies Readonly<Record<string, { readonly bytes: number; readonly make: Make }>>;

/** A name of one. */
export type AdversarialName = keyof typeof ADVERSARIAL;

/** Makes one of that size. */
export function adversarialBody(name: AdversarialName, bytes: number): AdversarialBody {
  const { body, ...rest } = ADVERSARIAL[name].make(bytes);
  return { headers: {}, options: {}, pieceBytes: 64 * KIB, ...rest, body: Buffer.from(body) };
}

function fill(part: string, bytes: number): string {
  return part.repeat(Math.ceil(bytes / part.length));
}

/** Bytes that are no gzip, the same each time. */
function noise(bytes: number): Buffer {
  let state = 1;
  return Buffer.from(
    Array.from({ length: bytes }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    }),
  );
}
