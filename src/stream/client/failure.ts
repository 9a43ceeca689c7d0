/**
 * What an error that ended a stream says about it: which side it came from, whether it is a time-out, and the
 * low-cardinality name that spans and logs carry. Recognised by code and class, never by message.
 */
import { errorCodeOf, errorTypeOf } from '../../core/error-type.ts';
import type { Outcome, Side } from '../../core/message.ts';

/** How deep a chain of causes is followed: beyond that it says nothing new, and chains may be cyclic. */
const MAX_CAUSE_DEPTH = 5;

/** Codes that only a request to somewhere else can produce: undici's own, and the resolver's and connect's. */
const UPSTREAM_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED', // connect
  'ECONNRESET', // http.request and its response, when cut by the other end
  'ENOTFOUND', // getaddrinfo
  'EAI_AGAIN', // getaddrinfo
  'EHOSTUNREACH', // connect
  'ENETUNREACH', // connect
  'ETIMEDOUT', // connect, read
  'EPIPE', // a request body that nobody reads any more
]);

/** Names of the classes that LLM clients throw for a bad answer of their API. */
const UPSTREAM_CLASSES: ReadonlySet<string> = new Set([
  'APIError', // openai, @anthropic-ai/sdk: the root of all their status errors
  'APIConnectionError', // openai, @anthropic-ai/sdk
  'APICallError', // ai, whose classes carry the name AI_APICallError
  'SocketError', // undici
]);

/** `upstream` if the error, or a cause of it, comes from a request that this process made; else `server`. */
export function sideOf(error: unknown): Side {
  return causes(error).some(isUpstream) ? 'upstream' : 'server';
}

/** `timed-out` for a time-out, `failed` for everything else. */
export function outcomeOf(error: unknown): Extract<Outcome, 'failed' | 'timed-out'> {
  return causes(error).some(isTimeout) ? 'timed-out' : 'failed';
}

/** `error.type` of a stream: `timeout` for a time-out, whichever it was, else what the error goes by. */
export function errorType(error: unknown): string {
  return causes(error).some(isTimeout) ? 'timeout' : errorTypeOf(error);
}

/** True for a `TimeoutError` and for undici's time-outs. */
function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.name === 'TimeoutError' || /^UND_ERR_\w+_TIMEOUT$/.test(errorCodeOf(error) ?? '');
}

function isUpstream(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = errorCodeOf(error);
  if (code !== undefined && (code.startsWith('UND_ERR_') || UPSTREAM_CODES.has(code))) return true;
  // fetch and its body: a TypeError whose cause tells; without a cause, these two texts are all there is.
  if (error instanceof TypeError && UPSTREAM_FETCH_MESSAGES.has(error.message)) return true;
  if (error.name === 'TimeoutError') return true;
  return classNames(error).some((name) => UPSTREAM_CLASSES.has(name));
}

/** undici, for a fetch whose body was cut and for one that could not connect. */
const UPSTREAM_FETCH_MESSAGES: ReadonlySet<string> = new Set(['terminated', 'fetch failed']);

/** The error and its causes, at most five deep. */
function causes(error: unknown): unknown[] {
  const found: unknown[] = [];
  let current = error;
  while (current !== undefined && current !== null && found.length <= MAX_CAUSE_DEPTH) {
    found.push(current);
    current = current instanceof Error ? current.cause : undefined;
  }
  return found;
}

function classNames(error: Error): string[] {
  const names: string[] = [];
  let prototype: unknown = Object.getPrototypeOf(error);
  while (prototype instanceof Error) {
    names.push(prototype.constructor.name);
    prototype = Object.getPrototypeOf(prototype);
  }
  return names;
}
