/**
 * Which failures of a store refuse a message. There are two classes only: *refused*, this very message can never be stored,
 * and *away*, everything else, known or not, which is tried again for ever.
 */
import { hasFact } from './error-facts.ts';
import { causesOf, errorCodeOf } from './errors.ts';
import { isObject } from './values.ts';

/** Shared by all copies of this package in a process: the app may call `refuse` of another one than the saver's. */
const REASON = Symbol.for('lastchunk.refusal');

/** Fits a label and a log field; nothing that could be a sentence. */
const WORD = /^[\w-]{1,64}$/;

/**
 * For stores without SQLSTATE: says that this very message can never be stored. `throw refuse(error, 'too-large')` in
 * `save()` sets it aside under `reason`, of letters, digits, `_` and `-`, at most 64 (else `refused`). A batch that is refused
 * is sent again in halves. Returns the error, marked; an `Error` with it as the cause where it cannot be marked.
 */
export function refuse(error: unknown, reason: string): Error {
  const markable = error instanceof Error && Object.isExtensible(error);
  const refused = markable ? error : new Error('refused by the store', { cause: error });
  const value = WORD.test(reason) ? reason : 'refused';
  return Object.defineProperty(refused, REASON, { value, configurable: true });
}

/**
 * The reason of a rejection that refuses the message: an SQLSTATE, or what was given to `refuse`. It may stand anywhere in
 * the chain of causes, where query builders put the driver's error. `undefined` when the store is merely away.
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
