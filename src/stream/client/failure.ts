/**
 * What an error that ended a stream shows: the side it came from, whether it is a time-out, and the low-cardinality
 * name for spans and logs. It is recognised by code and class, except for two messages of fetch.
 */
import { hasFact } from '../../core/error-facts.ts';
import { causesOf, errorCodeOf, errorTypeOf } from '../../core/errors.ts';
import type { Outcome, Side } from '../../core/message.ts';

/** Names of the classes that LLM clients throw for a bad answer of their API. */
const UPSTREAM_CLASSES: ReadonlySet<string> = new Set([
  'APIError', // openai, @anthropic-ai/sdk: the root of all their status errors
  'APIConnectionError', // openai, @anthropic-ai/sdk
  'APICallError', // ai, whose classes carry the name AI_APICallError
  'SocketError', // undici
]);

/** `upstream` if the error, or a cause of it, comes from a request that this process made; else `server`. */
export function sideOf(error: unknown): Side {
  return causesOf(error).some(isUpstream) ? 'upstream' : 'server';
}

/** `timed-out` for a time-out, `failed` for everything else. */
export function outcomeOf(error: unknown): Extract<Outcome, 'failed' | 'timed-out'> {
  return causesOf(error).some(isTimeout) ? 'timed-out' : 'failed';
}

/** `error.type` of a stream: `timeout` for every time-out, else the code or name of the error. */
export function errorType(error: unknown): string {
  return causesOf(error).some(isTimeout) ? 'timeout' : errorTypeOf(error);
}

/** True for a `TimeoutError` and for undici's time-outs. */
function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'TimeoutError' || /^UND_ERR_\w+_TIMEOUT$/.test(errorCodeOf(error) ?? '');
}

function isUpstream(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (hasFact(errorCodeOf(error), 'upstream')) return true;
  // fetch and its body reject with a TypeError whose cause has the code; without a cause, only these two texts identify it.
  if (error instanceof TypeError && UPSTREAM_FETCH_MESSAGES.has(error.message)) return true;
  if (error.name === 'TimeoutError') return true;
  return classNames(error).some((name) => UPSTREAM_CLASSES.has(name));
}

/** Messages of undici, for a fetch whose body broke off and for one that could not connect. */
const UPSTREAM_FETCH_MESSAGES: ReadonlySet<string> = new Set(['terminated', 'fetch failed']);

function classNames(error: Error): string[] {
  const names: string[] = [];
  let prototype: unknown = Object.getPrototypeOf(error);
  while (prototype instanceof Error) {
    names.push(prototype.constructor.name);
    prototype = Object.getPrototypeOf(prototype);
  }
  return names;
}
