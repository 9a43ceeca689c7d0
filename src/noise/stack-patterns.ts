/**
 * Whose an error is, by the frames of Node's own in its stack trace. A code tells what happened, and not to whom; the same
 * on Node 20, 22, 24 and 26. Where there are no frames, because `Error.stackTraceLimit` is small or the stack is written
 * by somebody else, there is no evidence, and the error stays a failure.
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
