/**
 * Streams of nobody's format: the SSE and NDJSON that apps make up themselves. The rule guesses the text
 * from the few member names that everybody uses; what it does not find is unknown, and so kept and counted.
 */
import type { BuiltInFormat, Carries, Frame } from '../format.ts';
import { DONE, DONE_TRUE, ERROR, isDone, isErrorObject, member, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';

/** Where home-made payloads have their text, in this order; the first string counts. */
const TEXT_KEYS = ['content', 'text', 'delta', 'token', 'response'];
/** What may stand beside `"done": true` without being an answer. */
const SIDE_KEYS =
  /(?:id|reason|status)$|^(?:type|event|role|model|object|usage|created_at|timestamp)$/i;
const HEARTBEATS = new Set(['ping', 'heartbeat', 'keepalive', 'keep-alive']);
/** Names by which an SSE event says that it is the last one; LangServe's is `end`. */
const END_EVENTS: ReadonlySet<string> = new Set(['end', 'done']);
/** In every frame with one of these names. */
const END_EVENT = String.raw`event: ?(?:end|done)[\r\n]`;
/** Events that are about the stream: LangServe's first one names its run. */
const ABOUT = new Set(['metadata', ...END_EVENTS]);

/** Generic SSE: `data:` lines, and `[DONE]` or `"done": true` where the app sends one. */
export const genericSse: BuiltInFormat = generic('sse');

/** Generic NDJSON. */
export const genericNdjson: BuiltInFormat = generic('ndjson');

function generic(framing: 'sse' | 'ndjson'): BuiltInFormat {
  return {
    name: framing,
    framing,
    finishMarker: 'accepted',
    prefilter: [DONE, DONE_TRUE, ERROR, END_EVENT],
    // It is what is left when no other format recognises anything.
    recognises: () => false,
    terminal: (frame) =>
      isDone(frame) || member(frame.json, 'done') === true || END_EVENTS.has(frame.event ?? ''),
    text: (frame) => textOf(frame) ?? '',
    carries,
    toolCall: () => false,
    finishReason: (frame) =>
      word(member(frame.json, 'finish_reason')) ?? word(member(frame.json, 'done_reason')),
  };
}

/** The text, `''` included; `undefined` where there is no place for one. */
function textOf(frame: Frame): string | undefined {
  if (isDone(frame)) return undefined;
  const { json } = frame;
  if (json === undefined) return frame.data;
  if (typeof json === 'string') return json;
  for (const key of TEXT_KEYS) {
    const value = member(json, key);
    if (typeof value === 'string') return value;
  }
  const nested = member(member(json, 'message'), 'content');
  return typeof nested === 'string' ? nested : undefined;
}

function carries(frame: Frame): Carries {
  if (isDone(frame)) return 'nothing';
  if (frame.event === 'error') return 'error';
  const text = textOf(frame);
  if (text !== undefined && text !== '') return 'content';
  if (isErrorObject(frame)) return 'error';
  if (text === '') return 'nothing';
  if (frame.event !== undefined && HEARTBEATS.has(frame.event)) return 'nothing';
  const saysSo = member(frame.json, 'done') === true || ABOUT.has(frame.event ?? '');
  return saysSo && isBare(frame.json) ? 'nothing' : 'unknown';
}

/** Numbers and ids, as they stand beside `"done": true`. With any other words it could be the whole answer. */
function isBare(json: unknown): boolean {
  if (!isRecord(json)) return false;
  return Object.entries(json).every(
    ([key, value]) =>
      SIDE_KEYS.test(key) || value === null || ['number', 'boolean'].includes(typeof value),
  );
}
