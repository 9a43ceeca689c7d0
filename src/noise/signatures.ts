/**
 * What a cancellation looks like, as a table. A row is half of a verdict: it says what an error looks like, and what
 * its stream must know besides. The error's text is never enough, and where nothing better tells, its row needs most.
 */
import type { NoiseReason } from '../telemetry/names/labels.ts';
import { BEFORE_ASKING, OF_ABORT, OF_RESPONSE, OF_SERVER } from './stacks.ts';

/**
 * What has to be true of the stream, besides the look of the error:
 * - `left`: its client left, or it was stopped or interrupted;
 * - `own`: that, and this very object is what its own request or connection failed with;
 * - `aborted`: that, and its own signal is aborted;
 * - `closed`: that, and its connection is closed;
 * - `our-reason`: that, and among the causes is what the stream's own signal was aborted with;
 * - `our-destroy`: that, and this process destroyed the request when the stream's own signal was aborted, not later.
 */
export type Need = 'left' | 'own' | 'aborted' | 'closed' | 'our-reason' | 'our-destroy';

/** What an error looks like; everything that is given must agree. */
export interface Look {
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

/** A look that can be noise. */
export interface Signature extends Look {
  /** The name of the row. */
  readonly id: string;
  readonly reason: NoiseReason;
  readonly needs: Need;
  /** Where the look comes from. */
  readonly source: string;
}

/** The first row that an error looks like counts. */
export const SIGNATURES: readonly Signature[] = [
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
    id: 'UND_ERR_ABORTED',
    name: 'AbortError',
    code: 'UND_ERR_ABORTED',
    reason: 'undici-aborted',
    needs: 'left',
    source: 'undici lib/core/errors.js, RequestAbortedError',
  },
  {
    id: 'UND_ERR_ABORT',
    name: 'AbortError',
    code: 'UND_ERR_ABORT',
    reason: 'undici-aborted',
    needs: 'left',
    source: 'undici lib/core/errors.js, AbortError',
  },
  {
    id: 'APIUserAbortError',
    className: 'APIUserAbortError',
    reason: 'sdk-aborted',
    needs: 'left',
    source: 'openai and @anthropic-ai/sdk, core/error; openai sets no name',
  },
  {
    id: 'AbortError of an abort',
    name: 'AbortError',
    stack: OF_ABORT,
    reason: 'abort-error',
    needs: 'left',
    source:
      'node-fetch, @smithy/node-http-handler, @azure/abort-controller: classes of their own, by convention of this name; ioredis and p-retry use the name for failures',
  },
  {
    id: 'AbortError of node-fetch',
    name: 'AbortError',
    type: 'aborted',
    stack: BEFORE_ASKING,
    reason: 'abort-error',
    needs: 'aborted',
    source: 'node-fetch lib/index.js: under a signal that was aborted before it was called',
  },
  {
    id: 'AbortError of LangChain',
    className: 'Error',
    name: 'AbortError',
    message: 'Request was aborted.',
    reason: 'sdk-aborted',
    needs: 'left',
    source: '@langchain/openai, utils/client.js: what it makes of an APIUserAbortError',
  },
  {
    id: 'ResponseAborted',
    className: 'ResponseAborted',
    name: 'ResponseAborted',
    reason: 'response-aborted',
    needs: 'left',
    source: 'Next.js, web/spec-extension/adapters/next-request.ts',
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
    id: 'request.aborted',
    code: 'ECONNABORTED',
    type: 'request.aborted',
    stack: OF_SERVER,
    reason: 'request-aborted',
    needs: 'left',
    source: 'raw-body index.js: body-parser; the same for the body of an answer that is cut off',
  },
  {
    id: 'Request aborted',
    name: 'Error',
    code: 'ECONNABORTED',
    message: 'Request aborted',
    syscall: false,
    reason: 'request-aborted',
    needs: 'left',
    source: 'express lib/response.js, sendfile: res.sendFile and res.download',
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
    id: 'terminated',
    className: 'TypeError',
    message: 'terminated',
    reason: 'upstream-aborted',
    needs: 'our-reason',
    source: 'undici lib/web/fetch: a body cut off',
  },
  {
    id: 'fetch failed',
    className: 'TypeError',
    message: 'fetch failed',
    reason: 'upstream-aborted',
    needs: 'our-reason',
    source: 'undici lib/web/fetch: a request that got no response',
  },
  {
    id: 'SseError',
    className: 'SseError',
    message: /^better-sse: Cannot push data to a non-active session/,
    reason: 'write-after-end',
    needs: 'closed',
    source: 'better-sse, Session.push; its other errors are mistakes of the handler',
  },
  {
    id: 'ECANCELLED',
    code: 'ECANCELLED',
    syscall: true,
    reason: 'upstream-aborted',
    needs: 'left',
    source: 'nodejs.org/api/dns.html#error-codes: only resolver.cancel() gives it',
  },
  {
    id: '57014',
    className: 'DatabaseError',
    code: '57014',
    reason: 'query-cancelled',
    needs: 'our-reason',
    source:
      'PostgreSQL, appendix A; only its text, which is translated, tells a time-out from a cancel',
  },
];
