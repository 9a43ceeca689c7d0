/** Looking into parsed JSON of unknown shape, without a cast at every step. */
import type { Frame } from './format.ts';
import { isRecord } from '../core/values.ts';

/** The member `key`, or `undefined` where `value` is no object or has none. */
export function member(value: unknown, key: string): unknown {
  return isRecord(value) ? value[key] : undefined;
}

/** A row of a table, by a name that came over the wire (`constructor` is no row). */
export function rowOf<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** The items of an array, none for anything else. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value if it is a string, else `''`. */
export function stringOr(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The value if it is a string with something in it. */
export function word(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The `type` of a payload, or `''`: half of the formats are tables over it. */
export function typeOf(frame: Frame): string {
  return stringOr(member(frame.json, 'type'));
}

/**
 * `data: [DONE]`, which OpenAI began and which many streams of other shapes end with too; in quotes where the writer makes
 * JSON of everything (better-sse).
 */
export function isDone(frame: Frame): boolean {
  return frame.json === '[DONE]' || frame.data.trim() === '[DONE]';
}

/** In every frame of which `isDone` is true; for `prefilter`. */
export const DONE = String.raw`DONE\]`;
/** In every frame with `"done": true`. */
export const DONE_TRUE = String.raw`done"\s*:\s*true`;
/** In `{"error":…}`, `"type":"error"`, and a line `event: error`. */
export const ERROR = String.raw`error["\r\n]`;

/**
 * `{"error": …}` with something in it: OpenAI, Gemini, Ollama, and most home-made streams. With a `type` of its
 * own it is news of a part (a tool that failed), and the answer goes on.
 */
export function isErrorObject(frame: Frame): boolean {
  const type = member(frame.json, 'type');
  if (type !== undefined && type !== 'error') return false;
  const error = member(frame.json, 'error');
  return isRecord(error) || word(error) !== undefined;
}

/** Null, `''`, `[]` and absent: what servers write for a field that has nothing to say. */
export function isVoid(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === '' ||
    (Array.isArray(value) && value.length === 0)
  );
}
