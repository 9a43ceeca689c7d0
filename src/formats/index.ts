/** The `format` option: its check, and the functions by which the stream core inspects and reads bodies. */
import { bad, show } from '../core/options.ts';
import { FORMAT_NAMES, formatNamed } from './registry.ts';
import type { Format } from './format.ts';
import { isRecord } from '../core/values.ts';
import { OVERLAP_CHARS } from './prefilter.ts';

export { FORMAT_NAMES } from './registry.ts';
export {
  decodeAtOnce,
  decodeBody,
  isCompressed,
  isEncoded,
  isPlain,
  isText,
  textDecoderFor,
} from './decode-body.ts';
export type { Carries, FinishMarker, Format, Frame, Framing } from './format.ts';
export { TerminalDetector } from './terminal-detector.ts';
export type { TerminalSignal } from './large-frame.ts';
export { beginsVendorAnswer, isVendorAnswer } from './vendor-answer.ts';
export { BodyReader } from './body-reader.ts';
export type { BodyReading } from './body-reader.ts';
export type { DecodedBody } from './decode-body.ts';
export type { FrameTemplate } from './frame-template.ts';

/**
 * Checks the `format` option: a name, `auto` (also when absent), or a `Format` of your own. Throws a
 * `LastchunkError` with code `bad-option` for anything else.
 */
export function resolveFormat(option: unknown): Format | 'auto' {
  if (option === undefined || option === 'auto') return 'auto';
  const named = typeof option === 'string' ? formatNamed(option) : undefined;
  if (named !== undefined) return named;
  if (isRecord(option)) return checked(option);
  throw bad(
    `\`format\` must be one of ${FORMAT_NAMES.join(', ')}, or a format of your own, not ${show(option)}`,
  );
}

/** The members that a custom format must have, each with its check and the words for an error. */
const MUST: readonly (readonly [string, (value: unknown) => boolean, string])[] = [
  [
    'name',
    (value) =>
      typeof value === 'string' &&
      /^[a-z0-9][a-z0-9-]{0,31}$/.test(value) &&
      !FORMAT_NAMES.includes(value),
    `1 to 32 of a-z, 0-9 and -, and none of ${FORMAT_NAMES.join(', ')}`,
  ],
  ['framing', oneOfWords('sse', 'ndjson', 'text'), 'one of sse, ndjson, text'],
  ['finishMarker', oneOfWords('needed', 'accepted', 'none'), 'one of needed, accepted, none'],
  ['terminal', isFunction, 'a function'],
  ['text', isFunction, 'a function'],
  ['carries', isFunction, 'a function'],
  ['plumbing', isPaths, 'absent, or a list of key paths'],
  ['needles', isNeedles, `absent, or a list of strings of 1 to ${OVERLAP_CHARS} characters`],
];

function checked(option: Record<string, unknown>): Format {
  for (const [key, holds, what] of MUST) {
    if (!holds(option[key]))
      throw bad(`\`format.${key}\` must be ${what}, not ${show(option[key])}`);
  }
  // Every member of Format was checked above. The object itself is passed on: its functions may use `this`.
  return option as unknown as Format;
}

function oneOfWords(...words: readonly string[]): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && words.includes(value);
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

function isPaths(value: unknown): boolean {
  if (value === undefined) return true;
  return Array.isArray(value) && value.every((path) => typeof path === 'string' && path !== '');
}

function isNeedles(value: unknown): boolean {
  if (value === undefined) return true;
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(
      (needle) => typeof needle === 'string' && needle !== '' && needle.length <= OVERLAP_CHARS,
    )
  );
}
