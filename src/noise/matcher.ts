/**
 * The rows of the noise tables, and whether an error matches one. Only the fields that the row names are read, because a thrown object
 * may have getters with any behaviour.
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
  /** The field in which some libraries put their code. */
  readonly type?: string;
  /** The stack trace: it shows the origin of an error where no other field does. An error without one does not match. */
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
  /** Where these fields are documented or set. */
  readonly source: string;
}

/** A row of the table of failures: an error that matches is never noise, nor is an error that has it as a cause. */
export interface Failure extends Matcher {
  readonly source: string;
}

/** Whether every field that `matcher` names agrees. May throw what a getter or a proxy throws. */
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

/** Whether a class of this name is in the prototype chain. By name, because a package may be installed twice. */
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
 * Stack patterns: the object that an error belongs to, by Node's own frames in its stack trace. A code tells what happened, but not to
 * which object; the frames are the same on Node 20, 22, 24 and 26. Without frames (a small `Error.stackTraceLimit`, a replaced stack)
 * there is no evidence, and the error stays a failure.
 */

/**
 * Created by a response: the first frame that names the called object names a response. Node's streams use the same codes for files,
 * child processes and responses of providers. V8 writes `Type.function` (v8.dev/docs/stack-trace-api).
 */
export const OF_RESPONSE =
  /^[^\n]*\n {4}at (?:(?:new )?\w+ \([^\n]*\n {4}at )*(?:ServerResponse|Http2ServerResponse|ServerHttp2Stream)\./;

/** Created when a client's connection closed: Node lib/_http_server.js; no response of an upstream passes this function. */
export const OF_SERVER = /\n {4}at abortIncoming \(node:_http_server:/;

/** Created during a call of `abort()`: Node lib/internal/abort_controller.js; a time-out does not pass this function. */
export const OF_ABORT = /\n {4}at AbortController\.abort \(node:internal\/abort_controller:/;

/** Created by node-fetch itself, not in a listener of a signal, which may be that of a time-out. */
export const BEFORE_ASKING = /^(?![^]*abort_controller)[^]*\n {4}at abort \(/;
