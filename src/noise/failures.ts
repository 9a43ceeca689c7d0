/** What a failure looks like, as a table: looks that are never noise. */
import type { Look } from './rows.ts';

/** A look that is a failure, and makes one of everything that it is a cause of. */
export interface Failure extends Look {
  readonly source: string;
}

/** Asked when no signature fits. Nothing here can be noise; as a cause it makes a failure of its wrapper. */
export const FAILURES: readonly Failure[] = [
  { name: 'TimeoutError', source: 'DOM standard, AbortSignal.timeout(): code 23' },
  { code: /^UND_ERR_/, source: 'undici lib/core/errors.js: time-outs, sockets, protocol' },
  {
    code: /^E[A-Z]+$/,
    source: 'nodejs.org/api/errors.html#common-system-errors, resolver included',
  },
  { code: /^ERR_/, source: 'nodejs.org/api/errors.html: misuse, ERR_HTTP_HEADERS_SENT among them' },
  { code: /^HPE_/, source: 'llhttp: a client that does not speak HTTP' },
  {
    code: /^[0-9A-Z]{5}$/,
    source: 'PostgreSQL, appendix A: whatever the database answers, by any driver',
  },
  {
    className: 'Error',
    message:
      /^(?:Connection terminated|Client (?:has encountered|was closed)|Cannot use a pool|Query read timeout|timeout exceeded when trying to connect)/,
    source:
      'pg and pg-pool, which set no code: a connection or a pool that is gone, also under close()',
  },
];
