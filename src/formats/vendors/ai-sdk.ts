/**
 * The AI SDK's UI message stream. Shapes: `UIMessageChunk` of the `ai` package, versions 5 to 7.
 * It ends with `finish` and then `[DONE]`; `[DONE]` alone follows an `abort` as well, so it is not the
 * finish marker here.
 */
import type { BuiltInFormat, Carries } from '../format.ts';
import { ERROR, isDone, member, rowOf, stringOr, typeOf, word } from '../json.ts';

/**
 * By type. Reasoning, sources, files and data parts are content, because an answer that has them is not empty,
 * but they are not its text.
 */
const CARRIES: Readonly<Record<string, Carries>> = {
  start: 'nothing',
  'start-step': 'nothing',
  'finish-step': 'nothing',
  finish: 'nothing',
  abort: 'nothing',
  'message-metadata': 'nothing',
  'text-start': 'nothing',
  'text-delta': 'content',
  'text-end': 'nothing',
  'reasoning-start': 'nothing',
  'reasoning-delta': 'content',
  'reasoning-end': 'nothing',
  'reasoning-file': 'content',
  'source-url': 'content',
  'source-document': 'content',
  file: 'content',
  custom: 'content',
};

/** The AI SDK's UI message stream. */
export const aiSdk: BuiltInFormat = {
  name: 'ai-sdk',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: ['finish"', ERROR],
  // `start` or `error` could be anybody's; the types with a hyphen are the SDK's own.
  recognises: (frame) => {
    const type = typeOf(frame);
    return type.includes('-') && !type.startsWith('data-') && carriedBy(type) !== 'unknown';
  },
  terminal: (frame) => typeOf(frame) === 'finish',
  text: (frame) => (typeOf(frame) === 'text-delta' ? stringOr(member(frame.json, 'delta')) : ''),
  carries: (frame) => {
    if (isDone(frame)) return 'nothing';
    const type = typeOf(frame);
    if (type !== 'error') return carriedBy(type);
    return typeof member(frame.json, 'errorText') === 'string' ? 'error' : 'unknown';
  },
  toolCall: (frame) => typeOf(frame).startsWith('tool-'),
  finishReason: (frame) =>
    typeOf(frame) === 'finish' ? word(member(frame.json, 'finishReason')) : undefined,
};

/** Tool calls and the app's own data parts are families of types. */
function carriedBy(type: string): Carries {
  if (type.startsWith('tool-') || type.startsWith('data-')) return 'content';
  return rowOf(CARRIES, type) ?? 'unknown';
}
