/**
 * Facts about error codes, in one table: PostgreSQL's SQLSTATEs, Node's codes, those of its HTTP client and parser. Other rooms call
 * `hasFact`; a code that several rows match has the facts of all of them. noise/signatures.ts and stream/client/failure.ts judge whole
 * errors (class, message, stack).
 */

/** A fact about a code. */
export type Fact =
  /** Only a request that this process made can fail with it. */
  | 'upstream'
  /** Occurs also when a client left or lastchunk aborted: a row of the noise signatures decides. */
  | 'cancellation'
  /** A failure, unless a noise signature matches. */
  | 'failure'
  /** The store can never take this message; a retry would only delay the others. */
  | 'refused'
  /** A refusal that may not repeat: at a second attempt the row of a concurrent writer of the same id is visible. */
  | 'may-pass'
  /** The cause is the network, the server or another transaction, not the message that was sent. */
  | 'transient'
  /** The text of the error names the server and its catalogue, never a value that a user wrote. */
  | 'loggable'
  /** A failure of the store with a metric series of its own. */
  | 'series';

interface FactRow {
  /** One code, or the pattern of a family. */
  readonly code: string | RegExp;
  readonly means: string;
  readonly facts: readonly Fact[];
}

/** A class of SQLSTATEs: the first two of five characters. */
function sqlClass(two: string): RegExp {
  return new RegExp(`^${two}[0-9A-Z]{3}$`);
}

/** The order of the rows is that of the metric series. */
const ERROR_FACTS: readonly FactRow[] = [
  { code: 'timeout', means: 'our own bound of an attempt', facts: ['transient', 'series'] },

  // nodejs.org/api/errors.html#common-system-errors, and the resolver's of nodejs.org/api/dns.html#error-codes.
  { code: 'ECONNREFUSED', means: 'connect', facts: ['upstream', 'series'] },
  {
    code: 'ECONNRESET',
    means: 'a connection, a request or a response cut by the other end',
    facts: ['upstream', 'cancellation', 'series'],
  },
  { code: 'ENOTFOUND', means: 'getaddrinfo', facts: ['upstream', 'series'] },
  {
    code: 'EPIPE',
    means: 'a body whose reader has closed the connection',
    facts: ['upstream', 'cancellation', 'series'],
  },
  { code: 'EAI_AGAIN', means: 'getaddrinfo', facts: ['upstream'] },
  { code: 'EHOSTUNREACH', means: 'connect', facts: ['upstream'] },
  { code: 'ENETUNREACH', means: 'connect', facts: ['upstream'] },
  { code: 'ETIMEDOUT', means: 'connect, read', facts: ['upstream', 'cancellation'] },
  { code: 'ECANCELLED', means: 'resolver.cancel()', facts: ['cancellation'] },
  {
    code: 'ECONNABORTED',
    means: 'a request body or a file that was cut off',
    facts: ['cancellation'],
  },
  {
    code: /^E[A-Z]+$/,
    means: 'any system error, resolver included',
    facts: ['transient', 'failure'],
  },

  // nodejs.org/api/errors.html#nodejs-error-codes; axios uses the same prefix.
  { code: 'ABORT_ERR', means: 'an aborted signal', facts: ['cancellation'] },
  { code: 'ERR_CANCELED', means: 'axios: an aborted signal', facts: ['cancellation'] },
  { code: 'ERR_STREAM_DESTROYED', means: 'a write after the client left', facts: ['cancellation'] },
  { code: 'ERR_STREAM_PREMATURE_CLOSE', means: 'pipeline, finished', facts: ['cancellation'] },
  { code: 'ERR_STREAM_WRITE_AFTER_END', means: 'a late write', facts: ['cancellation'] },
  { code: 'ERR_STREAM_ALREADY_FINISHED', means: 'a second end()', facts: ['cancellation'] },
  { code: 'ERR_HTTP2_INVALID_STREAM', means: 'a stream that was reset', facts: ['cancellation'] },
  { code: 'ERR_HTTP2_STREAM_CANCEL', means: 'a session destroyed', facts: ['cancellation'] },
  { code: 'ERR_HTTP2_STREAM_ERROR', means: 'a reset by the client', facts: ['cancellation'] },
  { code: /^ERR_/, means: 'misuse, ERR_HTTP_HEADERS_SENT among them', facts: ['failure'] },

  // llhttp, and undici lib/core/errors.js.
  {
    code: 'HPE_INVALID_EOF_STATE',
    means: 'a client left inside its body',
    facts: ['cancellation'],
  },
  { code: /^HPE_/, means: 'a client that does not speak HTTP', facts: ['failure'] },
  { code: 'UND_ERR_ABORTED', means: 'an aborted signal', facts: ['cancellation'] },
  { code: 'UND_ERR_ABORT', means: 'an aborted signal', facts: ['cancellation'] },
  {
    code: /^UND_ERR_/,
    means: 'time-outs, sockets, protocol',
    facts: ['upstream', 'transient', 'failure'],
  },

  // PostgreSQL, Appendix A "Error Codes".
  { code: /^[0-9A-Z]{5}$/, means: 'whatever the database answers', facts: ['failure'] },
  { code: sqlClass('08'), means: 'connection exception', facts: ['transient', 'loggable'] },
  { code: '08006', means: 'connection_failure', facts: ['series'] },
  {
    code: sqlClass('0A'),
    means: 'feature not supported: ON CONFLICT on a table with a rule',
    facts: ['loggable'],
  },
  { code: sqlClass('22'), means: 'a value that its type cannot hold', facts: ['refused'] },
  { code: sqlClass('23'), means: 'integrity constraint violation', facts: ['refused'] },
  { code: '23505', means: 'unique_violation: also two writers of one id', facts: ['may-pass'] },
  { code: sqlClass('25'), means: 'invalid transaction state', facts: ['transient', 'loggable'] },
  { code: '25006', means: 'read_only_sql_transaction: a replica', facts: ['series'] },
  { code: sqlClass('28'), means: 'invalid authorization', facts: ['transient', 'loggable'] },
  { code: '28P01', means: 'invalid_password', facts: ['series'] },
  { code: sqlClass('3D'), means: 'no such database', facts: ['loggable'] },
  { code: sqlClass('40'), means: 'transaction rollback', facts: ['transient'] },
  { code: '40001', means: 'serialization_failure', facts: ['series'] },
  { code: '40P01', means: 'deadlock_detected', facts: ['series'] },
  { code: sqlClass('42'), means: 'no such table, no permission', facts: ['loggable'] },
  { code: '42501', means: 'insufficient_privilege', facts: ['series'] },
  { code: '42P01', means: 'undefined_table', facts: ['series'] },
  { code: sqlClass('53'), means: 'insufficient resources', facts: ['transient', 'loggable'] },
  { code: '53100', means: 'disk_full', facts: ['series'] },
  { code: '53300', means: 'too_many_connections', facts: ['series'] },
  { code: '54000', means: 'an index row or a jsonb value that is too large', facts: ['refused'] },
  { code: sqlClass('55'), means: 'a lock that was not available', facts: ['transient'] },
  { code: sqlClass('57'), means: 'operator intervention', facts: ['transient', 'loggable'] },
  { code: '57014', means: 'query_canceled', facts: ['cancellation', 'series'] },
  { code: '57P01', means: 'admin_shutdown', facts: ['series'] },
  { code: '57P03', means: 'cannot_connect_now: starting up', facts: ['series'] },
  { code: sqlClass('58'), means: 'system error', facts: ['transient', 'loggable'] },
];

/** Whether a code, or a family that it belongs to, has this fact. False for `undefined`. */
export function hasFact(code: string | undefined, fact: Fact): boolean {
  if (code === undefined) return false;
  return ERROR_FACTS.some((row) => row.facts.includes(fact) && covers(row, code));
}

/** The single codes that have this fact, in the order of the table. */
export function codesWith(fact: Fact): readonly string[] {
  return ERROR_FACTS.flatMap(({ code, facts }) =>
    typeof code === 'string' && facts.includes(fact) ? [code] : [],
  );
}

function covers({ code: row }: FactRow, code: string): boolean {
  return typeof row === 'string' ? row === code : row.test(code);
}
