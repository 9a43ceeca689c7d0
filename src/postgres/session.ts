/**
 * Finds the connections whose session is ours alone. On a direct connection to the server, a setting stays set and a prepared statement
 * stays prepared, so a save there is the bare statement and nothing else. Behind a pooler the next transaction may have another session,
 * and a save must not change the session.
 *
 * At connect a server sends its process id, which a client needs to cancel a query. A pooler cannot pass that on, since it lends another
 * server connection each time, and sends an invented number: PgBouncer, pgcat, Odyssey and Supavisor do. So the first statement of a
 * connection compares the id of the process that runs it with the id from connect, and sets the timeout only if they are equal. If they
 * differ, the session is not ours.
 *
 * If a pooler passed the process id on after all (none is known to), no message would be lost. The name of a prepared statement is derived
 * from its text and the timeout, and a session prepares it after the timeout is set. Another session does not have it, and reports that
 * before it runs anything; the save is tried again, and from then on no session of this store counts as ours. The remaining effects are a
 * timeout in a session that others share, and, if sessions change right after the first statement, one statement that is limited only by
 * the client's timeout. A session that is reset (DISCARD ALL) is handled in the same way. After a failover the connection is a new one, and
 * is checked again.
 */
import { createHash } from 'node:crypto';
import { sqlstateOf } from '../core/errors.ts';
import type {
  PgConnectionPort,
  PgModule,
  PgPoolClient,
  PgQuery,
  PgResult,
} from '../core/pg-shapes.ts';

/** Records which sessions are ours, and runs prepared statements in them. The timeout limits each statement, on the server. */
export class Sessions {
  readonly #timeoutMs: number;
  readonly #known = new WeakMap<PgPoolClient, boolean>();
  readonly #names = new Map<string, string>();
  /** A session was not ours although the process ids were equal: from then on none counts as ours. */
  #mistaken = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Whether this client's session is ours; if so, the timeout is set in it. Costs one round trip for each client. */
  async claim(client: PgPoolClient): Promise<boolean> {
    if (this.#mistaken) return false;
    let ours = this.#known.get(client);
    if (ours === undefined) {
      ours = await isNamedProcess(client, this.#timeoutMs);
      this.#known.set(client, ours);
    }
    return ours;
  }

  /** Runs a statement that the server prepares once for each session. The session must be ours. */
  async runPrepared(pg: PgModule, client: PgPoolClient, statement: Statement): Promise<PgResult> {
    const { text } = statement;
    const name = this.#names.get(text) ?? nameOf(text, this.#timeoutMs);
    this.#names.set(text, name);
    try {
      return await runAs(name, { pg, client, statement }, (_connection, submit) => submit());
    } catch (error) {
      if (STRANGE.has(sqlstateOf(error))) this.#mistaken = true;
      throw error;
    }
  }
}

/** A statement with its parameters. */
export interface Statement {
  /** The name in traces. It is the same in every version, and differs from the name of the prepared statement. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Sets the timeout in the session, if the process that answers is the one that was named at connect. Resolves to whether it is. */
async function isNamedProcess(client: PgPoolClient, timeoutMs: number): Promise<boolean> {
  // The bindings of libpq do not expose it.
  if (typeof client.processID !== 'number') return false;
  try {
    const { rows } = await client.query(CLAIM, [String(timeoutMs), client.processID]);
    return rows.length === 1;
  } catch (error) {
    // A server that cannot answer this may still take saves as a shared session.
    if (error instanceof Error && 'severity' in error) return false;
    throw error;
  }
}

/** At most 63 bytes: PostgreSQL cuts longer names, so that two of them could become equal. */
function nameOf(text: string, timeoutMs: number): string {
  const hash = createHash('sha256').update(`${timeoutMs} ${text}`).digest('base64url');
  return `lastchunk_${hash}`;
}

/**
 * Runs one statement with a timeout of its own, in one transaction and one round trip, where the session is not ours.
 * The client must be one that `speaksProtocol`. Resolves once the statement is committed.
 *
 * Nothing may be left in the session (behind PgBouncer in transaction mode the next save has another one), so the timeout is local to the
 * transaction of the save. `set_config` inside the statement comes too late: the server arms the timer before it runs it. BEGIN with SET
 * LOCAL, the statement and COMMIT, sent one after the other, take twice as long as the bare upsert; sent without waiting (the `pipeline` of
 * pg 8.23) up to 1.4 times, because each is parsed, answered and flushed alone. The fastest way is one message train of the extended
 * protocol: set the timeout, run the statement, one Sync. All before the Sync is one transaction. `pg` lets a query write its own messages,
 * which is how its cursors work.
 */
export function runInOneTrip(
  pg: PgModule,
  client: PgPoolClient,
  statement: Statement,
  timeoutMs: number,
): Promise<PgResult> {
  return runAs(undefined, { pg, client, statement }, (connection, submit) => {
    connection.stream.cork();
    try {
      connection.parse({ text: setTimeoutSql(timeoutMs), name: '' });
      connection.bind({});
      connection.execute({});
      return submit();
    } finally {
      connection.stream.uncork();
    }
  });
}

/**
 * Runs a statement that the session prepares as `name`; `undefined`: unnamed. A tracer of `pg` reads the statement's own name when the
 * query is passed to the client; only the protocol messages, which are written later, contain `name`.
 */
function runAs(
  name: string | undefined,
  {
    pg,
    client,
    statement,
  }: { readonly pg: PgModule; readonly client: PgPoolClient; readonly statement: Statement },
  write: (connection: PgConnectionPort, submit: () => Error | null) => Error | null,
): Promise<PgResult> {
  return new Promise((resolve, reject) => {
    const query: PgQuery = new pg.Query(statement, undefined, (error, results) => {
      if (error) reject(error);
      // With two results, the second is that of the statement.
      else resolve(Array.isArray(results) ? results[1] : results);
    });
    const submit = query.submit.bind(query);
    query.submit = (connection) => {
      query.name = name;
      return write(connection, () => submit(connection));
    };
    client.query(query);
  });
}

/** False for the bindings of libpq (`NODE_PG_FORCE_NATIVE`), which do not expose the protocol. */
export function speaksProtocol(client: PgPoolClient): boolean {
  return client.connection !== undefined;
}

/** Sets the timeout in a condition that is never true, because a row of this command would be mixed with those of the statement. */
function setTimeoutSql(timeoutMs: number): string {
  return `SELECT WHERE set_config('statement_timeout', '${timeoutMs}', true) IS NULL`;
}

/** Where the process ids differ, there is no row to compute, and nothing is set. */
const CLAIM = `SELECT set_config('statement_timeout', $1, false) WHERE pg_backend_pid() = $2`;

/** The error codes of a session that is not the one that prepared the statement. */
const STRANGE = new Set<string | undefined>([
  '26000', // invalid_sql_statement_name: the session lacks a statement that was prepared
  '42P05', // duplicate_prepared_statement: the session has a statement that was not prepared
]);
