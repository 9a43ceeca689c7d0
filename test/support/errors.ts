/** Errors as upstreams and SDKs make them. */

/** An error with a code, like those of Node. */
export function coded(message: string, code: string, options?: ErrorOptions): Error {
  return Object.assign(new Error(message, options), { code });
}

/** Errors of an upstream, each with the outcome of the stream that it ends. The shapes are those of undici and node:http. */
export const UPSTREAM_ERRORS = [
  {
    name: 'fetch, cut in the body',
    error: new TypeError('terminated', { cause: coded('other side closed', 'UND_ERR_SOCKET') }),
    outcome: 'failed',
  },
  {
    name: 'fetch, nobody there',
    error: new TypeError('fetch failed', { cause: coded('connect', 'ECONNREFUSED') }),
    outcome: 'failed',
  },
  {
    name: 'http, cut in the body',
    error: coded('aborted', 'ECONNRESET'),
    outcome: 'failed',
  },
  {
    name: 'http, cut before the headers',
    error: coded('socket hang up', 'ECONNRESET'),
    outcome: 'failed',
  },
  {
    name: 'an SDK error around a fetch error',
    error: new Error('Connection error.', {
      cause: new TypeError('fetch failed', { cause: coded('reset', 'UND_ERR_SOCKET') }),
    }),
    outcome: 'failed',
  },
  {
    name: 'fetch, silent for too long',
    error: new TypeError('terminated', { cause: coded('Body Timeout', 'UND_ERR_BODY_TIMEOUT') }),
    outcome: 'timed-out',
  },
  {
    name: 'AbortSignal.timeout',
    error: new DOMException('The operation was aborted due to timeout', 'TimeoutError'),
    outcome: 'timed-out',
  },
] as const;
