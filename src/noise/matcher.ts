/**
 * What a row of the noise tables can say of an error, and whether an error matches it. Nothing is read but the fields that
 * the row names, because nobody vouches for an object that was thrown.
 */
import type { NoiseReason } from '../core/names/labels.ts';
import { isReference } from '../core/values.ts';

/**
 * What has to be true of the stream, besides the match:
 * - `left`: its client left, or it was stopped or interrupted;
 * - `own`: that, and this very object is what its own request or connection failed with;
 * - `aborted`: that, and its own signal is aborted;
 * - `closed`: that, and its connection is closed;
 * - `our-reason`: that, and among the causes is what the stream's own signal was aborted with;
 * - `our-destroy`: that, and this process destroyed the request when the stream's own signal was aborted, not later.
 */
export type Need = 'left' | 'own' | 'aborted' | 'closed' | 'our-reason' | 'our-destroy';

/** What an error looks like; every field that is given must agree. */
export interface Matcher {
  readonly code?: string | number | RegExp;
  readonly name?: string;
  /** A class in its prototype chain: some libraries set no name and no code. */
  readonly className?: string;
  readonly message?: string | RegExp;
  /** What some libraries call their code. */
  readonly type?: string;
  /** The stack trace: it tells whose error it is where nothing else does. Without one the row does not fit. */
  readonly stack?: RegExp;
  /** Whether a system call failed. */
  readonly syscall?: boolean;
}

/** A row of the table of cancellations: an error that matches can be noise. */
export interface Signature extends Matcher {
  /** The name of the row. */
  readonly id: string;
  readonly reason: NoiseReason;
  readonly needs: Need;
  /** Where the look comes from. */
  readonly source: string;
}

/** A row of the table of failures: never noise, and whatever it is a cause of is a failure too. */
export interface Failure extends Matcher {
  readonly source: string;
}

/** True when everything that `matcher` names agrees. May throw what a getter or a proxy throws. */
export function matches(error: object, matcher: Matcher): boolean {
  const { code, name, className, message, syscall, type, stack } = matcher;
  return (
    agrees(code, error, 'code') &&
    agrees(name, error, 'name') &&
    agrees(message, error, 'message') &&
    agrees(type, error, 'type') &&
    agrees(stack, error, 'stack') &&
    (syscall === undefined || syscall === (property(error, 'syscall') !== undefined)) &&
    (className === undefined || isOfClass(error, className))
  );
}

/** A class of this name is in the prototype chain: a package may be installed twice, so identity would not do. */
export function isOfClass(error: object, className: string): boolean {
  let prototype: unknown = Object.getPrototypeOf(error);
  // Real chains are short; a proxy's may have no end.
  for (let depth = 0; depth < 10 && isReference(prototype); depth += 1) {
    const made = property(prototype, 'constructor');
    if (typeof made === 'function' && made.name === className) return true;
    prototype = Object.getPrototypeOf(prototype);
  }
  return false;
}

export function property(of: object, key: string): unknown {
  return Reflect.get(of, key);
}

function agrees(wanted: string | number | RegExp | undefined, error: object, key: string): boolean {
  if (wanted === undefined) return true;
  const value = property(error, key);
  if (wanted instanceof RegExp) return typeof value === 'string' && wanted.test(value);
  return value === wanted;
}

/*
 * Stack patterns: whose an error is, by the frames of Node's own in its stack trace. A code tells what happened, and not to
 * whom; the frames are the same on Node 20, 22, 24 and 26. Without frames (a small `Error.stackTraceLimit`, a stack
 * written by somebody else) there is no evidence, and the error stays a failure.
 */

/**
 * Made by a response: the first frame that names the object which was called names one. Node's streams give the same
 * codes for files, programs and answers of providers. `Type.function` is how V8 writes it (v8.dev/docs/stack-trace-api).
 */
export const OF_RESPONSE =
  /^[^\n]*\n {4}at (?:(?:new )?\w+ \([^\n]*\n {4}at )*(?:ServerResponse|Http2ServerResponse|ServerHttp2Stream)\./;

/** Made when a client's connection closed: Node lib/_http_server.js; a response of an upstream never comes by there. */
export const OF_SERVER = /\n {4}at abortIncoming \(node:_http_server:/;

/** Made while an `abort()` told of itself: Node lib/internal/abort_controller.js; a time-out does not come by there. */
export const OF_ABORT = /\n {4}at AbortController\.abort \(node:internal\/abort_controller:/;

/** Made by node-fetch itself, and not by a signal, which may be that of a time-out. */
export const BEFORE_ASKING = /^(?![^]*abort_controller)[^]*\n {4}at abort \(/;
