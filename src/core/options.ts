/**
 * Options are checked once, at the door, so that the code behind it never asks again and a typo is
 * met at start-up instead of at three in the morning. Every message names the option in backticks
 * and the accepted range.
 */
import { getHeapStatistics } from 'node:v8';
import { maskCredentials } from './error-words.ts';
import { LastchunkError } from './errors.ts';
import { isObject, isRecord } from './values.ts';

/** Throws `bad-option` for a key that `known` does not list, naming the closest thing: the list. */
export function refuseUnknown(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw bad(`unknown option \`${key}\` of ${where}; known are ${known.join(', ')}`);
    }
  }
}

/** What a whole number may be, and what it is when it is absent. */
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

/** A function, or `undefined` when absent; `F` is the caller's word for its shape. */
export function optionalFunction<F>(name: string, value: F | undefined): F | undefined {
  if (value === undefined || typeof value === 'function') return value;
  throw bad(`\`${name}\` must be a function, not ${show(value)}`);
}

/**
 * The range of an option that bounds memory: from 1 MiB to 1 TiB, `most` by default, and no more than a quarter of V8's heap,
 * because what is read and saved is there several times for a while.
 */
export function memoryRange(most: number): WholeNumberRange {
  const share = Math.floor(getHeapStatistics().heap_size_limit / 4);
  return { min: 2 ** 20, max: 2 ** 40, fallback: Math.max(2 ** 20, Math.min(most, share)) };
}

/** A plain object of further options. */
export function optionGroup(name: string, value: unknown): Record<string, unknown> {
  if (value === undefined) return {};
  if (isRecord(value)) return { ...value };
  throw bad(`\`${name}\` must be an object of options, not ${show(value)}`);
}

/** A `bad-option` error. What looks like an address with a password is masked. */
export function bad(message: string): LastchunkError {
  return new LastchunkError('bad-option', maskCredentials(message));
}

/** A value as it can stand in a message: short, and never the inside of an object (it may be secret). */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(maskCredentials(value).slice(0, 80));
  if (isObject(value)) return Array.isArray(value) ? 'an array' : 'an object';
  if (typeof value === 'function') return 'a function';
  return String(value);
}
