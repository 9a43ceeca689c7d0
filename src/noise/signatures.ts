/**
 * The tables of cancellations and failures. A row names the fields of an error, and in `needs` the facts that its stream must have too.
 * The text of an error alone is never sufficient; rows with weaker evidence need more of the stream. Facts that follow from a code alone
 * are in core/error-facts.ts.
 */
import { OF_LIBRARIES } from './libraries.ts';
import { OF_RESPONSE, type Failure, type Signature } from './matcher.ts';

/** Errors of Node and of the web platform. */
const OF_NODE: readonly Signature[] = [
  {
    id: 'AbortError 20',
    className: 'DOMException',
    name: 'AbortError',
    code: 20,
    reason: 'abort-error',
    needs: 'left',
    source: 'DOM standard, AbortSignal: what fetch and its body reject with',
  },
  {
    id: 'ABORT_ERR',
    name: 'AbortError',
    code: 'ABORT_ERR',
    reason: 'abort-error',
    needs: 'left',
    source: 'nodejs.org/api/errors.html#abort_err: http.request, timers, events, pipeline',
  },
  {
    id: 'ECONNRESET aborted',
    code: 'ECONNRESET',
    message: 'aborted',
    syscall: false,
    reason: 'request-aborted',
    needs: 'own',
    source:
      'Node lib/_http_server.js, abortIncoming; a response of an upstream fails with its twin',
  },
  {
    id: 'ECONNRESET',
    code: 'ECONNRESET',
    syscall: true,
    reason: 'connection-reset',
    needs: 'own',
    source: 'nodejs.org/api/errors.html#common-system-errors',
  },
  {
    id: 'EPIPE',
    code: 'EPIPE',
    syscall: true,
    reason: 'broken-pipe',
    needs: 'own',
    source: 'nodejs.org/api/errors.html#common-system-errors',
  },
  {
    id: 'ETIMEDOUT',
    code: 'ETIMEDOUT',
    syscall: true,
    reason: 'connection-timed-out',
    needs: 'own',
    source: 'nodejs.org/api/errors.html#common-system-errors: a network that went away',
  },
  {
    id: 'ERR_STREAM_DESTROYED',
    code: 'ERR_STREAM_DESTROYED',
    stack: OF_RESPONSE,
    reason: 'stream-destroyed',
    needs: 'left',
    source: 'nodejs.org/api/errors.html: write callbacks of a response that was left',
  },
  {
    id: 'ERR_STREAM_PREMATURE_CLOSE',
    code: 'ERR_STREAM_PREMATURE_CLOSE',
    stack: OF_RESPONSE,
    reason: 'premature-close',
    needs: 'left',
    source: 'nodejs.org/api/errors.html: pipeline and finished',
  },
  {
    id: 'ERR_HTTP2_INVALID_STREAM',
    code: 'ERR_HTTP2_INVALID_STREAM',
    stack: OF_RESPONSE,
    reason: 'http2-invalid-stream',
    needs: 'left',
    source: 'nodejs.org/api/errors.html: writes to a stream that was reset',
  },
  {
    id: 'ERR_HTTP2_STREAM_CANCEL',
    code: 'ERR_HTTP2_STREAM_CANCEL',
    reason: 'http2-cancelled',
    needs: 'left',
    source: 'nodejs.org/api/errors.html: the pending streams of a session that was destroyed',
  },
  {
    id: 'ERR_HTTP2_STREAM_ERROR',
    code: 'ERR_HTTP2_STREAM_ERROR',
    reason: 'http2-cancelled',
    needs: 'own',
    source: 'Node lib/internal/http2/core.js: a client may reset with any code of RFC 9113, 7',
  },
  {
    id: 'ERR_STREAM_WRITE_AFTER_END',
    code: 'ERR_STREAM_WRITE_AFTER_END',
    stack: OF_RESPONSE,
    reason: 'write-after-end',
    needs: 'closed',
    source: 'nodejs.org/api/errors.html; while the connection is open it is a bug of the handler',
  },
  {
    id: 'ERR_STREAM_ALREADY_FINISHED',
    code: 'ERR_STREAM_ALREADY_FINISHED',
    stack: OF_RESPONSE,
    reason: 'already-finished',
    needs: 'closed',
    source: 'nodejs.org/api/errors.html; Node 20 and 22, a second end()',
  },
  {
    id: 'HPE_INVALID_EOF_STATE',
    name: 'Error',
    code: 'HPE_INVALID_EOF_STATE',
    reason: 'invalid-eof',
    needs: 'left',
    source:
      'llhttp: the client left inside a body that it was sending; undici gives it a name of its own',
  },
  {
    id: 'socket hang up',
    code: 'ECONNRESET',
    message: 'socket hang up',
    syscall: false,
    reason: 'upstream-aborted',
    needs: 'our-destroy',
    source:
      'Node lib/_http_client.js: the same error for a request that was destroyed and for one cut off',
  },
  {
    id: 'ECANCELLED',
    code: 'ECANCELLED',
    syscall: true,
    reason: 'upstream-aborted',
    needs: 'left',
    source: 'nodejs.org/api/dns.html#error-codes: only resolver.cancel() gives it',
  },
];

/** The first row that an error matches counts. */
export const SIGNATURES: readonly Signature[] = [...OF_NODE, ...OF_LIBRARIES];

/** Used when no signature matches, together with the failure codes of core/error-facts.ts. */
export const FAILURES: readonly Failure[] = [
  { name: 'TimeoutError', source: 'DOM standard, AbortSignal.timeout(): code 23' },
  {
    className: 'Error',
    message:
      /^(?:Connection terminated|Client (?:has encountered|was closed)|Cannot use a pool|Query read timeout|timeout exceeded when trying to connect)/,
    source:
      'pg and pg-pool, which set no code: a connection or a pool that is gone, also under close()',
  },
];
