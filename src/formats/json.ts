/** Reads parsed JSON of unknown shape without a cast at every step, and parses text without an exception for invalid JSON. */
import { isRecord } from '../core/values.ts';
import { isJson, MAX_CHECKED_CHARS } from './json-syntax.ts';

/** The member `key`, or `undefined` where `value` is no object or has none. */
export function member(value: unknown, key: string): unknown {
  return isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
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

/** The value if it is a string that is not empty. */
export function word(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The text of a value where a format has its text: a string, or a number as digits; `undefined` for anything else. */
export function textAt(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** A list of texts without the undefined ones. */
export function present(...texts: readonly (string | undefined)[]): readonly string[] {
  return texts.filter((text) => text !== undefined);
}

/** The `type` of a payload, or `''`; half of the formats choose their rows by it. */
export function typeOf(frame: { readonly json: unknown }): string {
  return stringOr(member(frame.json, 'type'));
}

/**
 * Whether the payload is `[DONE]`, which OpenAI introduced and with which many other streams end too; in quotes where the sender encodes
 * everything as JSON (better-sse).
 */
export function isDone(frame: { readonly data: string; readonly json: unknown }): boolean {
  if (frame.json !== undefined) return frame.json === '[DONE]';
  return frame.data.length < 32 && frame.data.trim() === '[DONE]';
}

/** Matches in every frame for which `isDone` is true; for `prefilter`. */
export const DONE = String.raw`DONE\]`;
/** Matches in every frame with `"done": true`. */
export const DONE_TRUE = String.raw`done"\s*:\s*true`;
/** Matches in `{"error":…}` that is not null, `"type":"error"`, and a line `event: error`. */
export const ERROR = String.raw`error["\r\n](?!\s*:\s*(?:null|\{\}|false))`;

/** Whether a value is null, `''`, `[]`, `{}` or absent: servers write these for an empty field. */
export function isVoid(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (typeof value !== 'object') return false;
  return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
}

/** RFC 8259, section 6. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const WORDS: Readonly<Record<string, unknown>> = { true: true, false: false, null: null };
/** What may follow an opening bracket (RFC 8259, sections 4 and 5). */
const INSIDE_OBJECT = '"}';
const INSIDE_ARRAY = '[{"]-0123456789tfn';

/**
 * The parsed value, or `undefined` for text that is not JSON. An exception costs as much as fifty frames: so the first characters and
 * the last are checked before parsing, and after an exception the next texts are checked in full.
 */
export function parseJson(text: string): unknown {
  const from = skipSpace(text, 0);
  const first = text.charAt(from);
  if (first !== '{' && first !== '[' && first !== '"') return parsePrimitive(text);
  if (first !== '"') {
    const second = text.charAt(skipSpace(text, from + 1));
    if (second === '' || !(first === '{' ? INSIDE_OBJECT : INSIDE_ARRAY).includes(second)) {
      return undefined;
    }
  }
  if (CLOSING[first] !== text.charAt(lastOf(text))) return undefined;
  return isSuspect(text) ? undefined : parsedOrUndefined(text);
}

/** Texts that are checked in full after one that was not JSON: one exception in a thousand texts costs little. */
const CHECKED_AFTER_EXCEPTION = 1_000;
/** Texts left to check, in the whole process. It affects only the cost, never the result. */
let left = 0;

/** True for a short text that is no JSON, while texts are checked. */
function isSuspect(text: string): boolean {
  if (left === 0 || text.length > MAX_CHECKED_CHARS) return false;
  left -= 1;
  if (isJson(text)) return false;
  left = CHECKED_AFTER_EXCEPTION;
  return true;
}

function parsedOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Text that is not JSON is normal: many streams send plain text.
    left = CHECKED_AFTER_EXCEPTION;
    return undefined;
  }
}

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']', '"': '"' };

function parsePrimitive(text: string): unknown {
  if (text.length > 64) return undefined;
  const bare = text.trim();
  if (NUMBER.test(bare)) return Number(bare);
  return rowOf(WORDS, bare);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

function lastOf(text: string): number {
  let at = text.length - 1;
  while (isSpace(text.charCodeAt(at))) at -= 1;
  return at;
}

/** RFC 8259, section 2. */
function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
