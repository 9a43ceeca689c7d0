/**
 * Converts any value to JSON that jsonb accepts. The metadata of an app and the payloads of an upstream must never prevent a message from
 * being stored, so a value that jsonb cannot hold is replaced by a text that says so.
 */
import { isObject } from '../core/values.ts';

/** A JSON text, and how many characters of its strings and keys were replaced by U+FFFD. */
export interface JsonbText {
  readonly json: string;
  readonly replaced: number;
}

/** Makes a JSON text that jsonb accepts, from any value. Never throws. */
export function jsonbText(value: unknown): JsonbText {
  const json = toJson(value);
  if (!BAD_ESCAPE.test(json)) return { json, replaced: 0 };
  let replaced = 0;
  const clean = json.replace(ESCAPE, (escape, unstorable: string | undefined) => {
    if (unstorable === undefined) return escape;
    replaced += 1;
    return '\ufffd';
  });
  return { json: clean, replaced };
}

function toJson(value: unknown): string {
  try {
    const json = JSON.stringify(value) ?? 'null';
    return isDeep(json) ? JSON.stringify(tame(JSON.parse(json), [])) : json;
  } catch {
    // Circular, too deep, a BigInt, a `toJSON` or getter that throws: `tame` replaces each of them.
  }
  try {
    return JSON.stringify(tame(value, [])) ?? 'null';
  } catch {
    // Only a text beyond the longest string of JavaScript (512 MiB) comes here.
    return JSON.stringify(TOO_LONG);
  }
}

/** Whether brackets nest deeper than `MAX_DEPTH`; those inside strings do not count. */
function isDeep(json: string): boolean {
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    switch (json.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(json, at);
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth += 1;
        if (depth > MAX_DEPTH) return true;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth -= 1;
        break;
    }
  }
  return false;
}

/** The index of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end !== -1; end = json.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (json.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return end;
  }
  return json.length;
}

/** A copy that `JSON.stringify` accepts. `ancestors` are the objects around it; their number is the depth. */
function tame(value: unknown, ancestors: readonly object[]): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (!isObject(value)) return value;
  if (ancestors.includes(value)) return CIRCULAR;
  if (ancestors.length >= MAX_DEPTH) return TOO_DEEP;
  const around = [...ancestors, value];
  try {
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return tame(value.toJSON(), around);
    }
    if (Array.isArray(value)) return value.map((item) => tame(item, around));
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, tame(item, around)]),
    );
  } catch {
    // A getter, a `toJSON` or a proxy that throws; its siblings are kept.
    return UNREADABLE;
  }
}

/**
 * Deeper values are cut. PostgreSQL parses jsonb recursively: with the smallest `max_stack_depth` (100 kB) it takes 500 levels, with the
 * default (2 MB) over 10 000; `JSON.stringify` takes over 3 000. The error would be 54001, which is no refusal of this message, so the save
 * would be retried for ever.
 */
const MAX_DEPTH = 256;

const TOO_DEEP = '[lastchunk: nested too deep]';
const CIRCULAR = '[lastchunk: circular]';
const UNREADABLE = '[lastchunk: unreadable]';
const TOO_LONG = '[lastchunk: too long]';

/**
 * `JSON.stringify` writes NUL as \u0000 and a lone surrogate as \udXXX. Only an escaped backslash before such letters looks the same, so
 * the pattern matches every escape, including the pair of backslashes.
 */
const ESCAPE = /\\(?:(u0000|ud[89a-f][0-9a-f]{2})|[^])/g;
const BAD_ESCAPE = /\\u(?:0000|d[89a-f])/;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
