/**
 * Which failures of a store refuse a message. There are two classes: *refused*, this message can never be stored, and *away*, every other
 * failure, after which the message is tried again without limit.
 */
import { hasFact } from './error-facts.ts';
import { causesOf, errorCodeOf } from './errors.ts';
import { isObject } from './values.ts';

/** Shared by all copies of this package in a process: the app may call `refuse` of another copy than the saver's. */
const REASON = Symbol.for('lastchunk.refusal');

/** Matches values that fit a label and a log field, and no sentence. */
const WORD = /^[\w-]{1,64}$/;

/**
 * For stores without SQLSTATE: marks an error, so that the message counts as one that can never be stored. `throw refuse(error,
 * 'too-large')` in `save()` moves the message to `refused/` under `reason`: at most 64 letters, digits, `_` and `-` (else `refused`). A
 * refused batch is sent again in halves. Returns the marked error, or an `Error` with it as the cause where it cannot be marked.
 */
export function refuse(error: unknown, reason: string): Error {
  const markable = error instanceof Error && Object.isExtensible(error);
  const refused = markable ? error : new Error('refused by the store', { cause: error });
  const value = WORD.test(reason) ? reason : 'refused';
  return Object.defineProperty(refused, REASON, { value, configurable: true });
}

/**
 * The reason of a rejection that refuses the message: an SQLSTATE, or the reason given to `refuse`. Searches the chain of causes, because
 * query builders wrap the driver's error. `undefined` when the store is only unavailable.
 */
export function refusalOf(error: unknown): string | undefined {
  for (const cause of causesOf(error)) {
    const given: unknown = isObject(cause) ? Reflect.get(cause, REASON) : undefined;
    if (typeof given === 'string') return given;
    const code = errorCodeOf(cause);
    if (hasFact(code, 'refused')) return code;
  }
  return undefined;
}
