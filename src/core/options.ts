/**
 * Checks of options. They run once, at start-up, so that the code after them need not check again and a typo fails at once. Every message
 * names the option in backticks and the accepted range.
 */
import { getHeapStatistics } from 'node:v8';
import { maskCredentials, maskValue } from './error-words.ts';
import { LastchunkError } from './errors.ts';
import { isObject, isRecord } from './values.ts';

/** Throws `bad-option` for a key that `known` does not list, with the key that was probably meant, and the list. */
export function refuseUnknown(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      const meant = closestTo(key, known);
      const hint = meant === undefined ? '' : `did you mean \`${meant}\`? `;
      throw bad(
        `unknown option \`${maskValue(key)}\` of ${where}; ${hint}known are ${known.join(', ')}`,
      );
    }
  }
}

/**
 * Throws `bad-option` where a function that creates a middleware was passed to a framework without a call, so that the framework calls it
 * with a request. `call` is the correct code.
 */
export function refuseUncalled(name: string, given: unknown, call: string): void {
  if (!isObject(given) || !('method' in given && 'url' in given && 'headers' in given)) return;
  throw bad(`\`${name}\` was handed on without a call: write \`${call}\``);
}

/** The closest word to `typed`: at most two letters apart, of words of three to five letters one; `undefined` where none is that close. */
function closestTo(typed: string, words: readonly string[]): string | undefined {
  const [closest] = words
    .map((word) => ({ word, apart: lettersApart(typed.toLowerCase(), word.toLowerCase()) }))
    .filter(({ word, apart }) => apart <= Math.min(2, Math.floor(word.length / 3)))
    .toSorted((a, b) => a.apart - b.apart);
  return closest?.word;
}

/** The Levenshtein distance, in which a swap of two neighbouring letters counts as one. */
function lettersApart(one: string, other: string): number {
  let [before, last]: number[][] = [[], Array.from({ length: other.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= one.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const isSame = one[i - 1] === other[j - 1];
      let least = Math.min(
        (last?.[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last?.[j - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (isSwap) least = Math.min(least, (before?.[j - 2] ?? 0) + 1);
      row.push(least);
    }
    [before, last] = [last, row];
  }
  return last?.[other.length] ?? 0;
}

/** The range of a whole number, and its default. */
export interface WholeNumberRange {
  readonly min: number;
  readonly max: number;
  readonly fallback: number;
}

/** A whole number between `min` and `max`, or `fallback` when absent. */
export function wholeNumber(name: string, value: unknown, range: WholeNumberRange): number {
  if (value === undefined) return range.fallback;
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (value >= range.min && value <= range.max) return value;
  }
  throw bad(
    `\`${name}\` must be a whole number from ${range.min} to ${range.max}, not ${show(value)}`,
  );
}

/** `true` or `false`, or `fallback` when absent. */
export function flag(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw bad(`\`${name}\` must be true or false, not ${show(value)}`);
}

/** One of a closed set of words, or `fallback` when absent. */
export function oneOf<const T extends string>(
  name: string,
  value: unknown,
  choices: readonly T[],
  fallback: T,
): T {
  if (value === undefined) return fallback;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw bad(`\`${name}\` must be one of ${choices.join(', ')}, not ${show(value)}`);
}

/** A function, or `undefined` when absent. Its parameters cannot be checked: the caller declares them as `F`. */
export function optionalFunction<F>(name: string, value: F | undefined): F | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw bad(`\`${name}\` must be a function, not ${show(value)}`);
}

/**
 * The range of an option that limits memory: 1 MiB to 1 TiB. Default: `most`, but no more than a quarter of V8's heap, because data that is
 * read and saved is in memory several times for a while.
 */
export function memoryRange(most: number): WholeNumberRange {
  const share = Math.floor(getHeapStatistics().heap_size_limit / 4);
  return { min: 2 ** 20, max: 2 ** 40, fallback: Math.max(2 ** 20, Math.min(most, share)) };
}

/** A copy of an object of options; empty when absent. */
export function optionGroup(name: string, value: unknown): Record<string, unknown> {
  if (value === undefined) return {};
  if (isRecord(value)) return { ...value };
  throw bad(`\`${name}\` must be an object of options, not ${show(value)}`);
}

/** A `bad-option` error. Passwords in addresses are masked. */
export function bad(message: string): LastchunkError {
  return new LastchunkError('bad-option', maskCredentials(message));
}

/** A value for an error message: short, and without the content of an object, which may be secret. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(maskValue(value).slice(0, 80));
  if (isObject(value)) return Array.isArray(value) ? 'an array' : 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}
