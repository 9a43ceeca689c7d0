/**
 * Connections whose session is ours alone. On a direct connection to the server, a setting stays set and a prepared statement stays
 * prepared, so a save there is the bare statement and nothing else. Behind a pooler the next transaction may
 * have another session, and a save must not change the session.
 *
 * How to tell: at connect a server names its process, for requests that cancel a query. A pooler cannot pass that
 * on, since it lends another server each time, and sends an invented number: PgBouncer, pgcat, Odyssey and Supavisor do. So the
 * first statement of a connection reads the process that answers, and sets the timeout only if that is the one that was named at
 * connect. With any other answer, the session is not ours.
 *
 * If a pooler passed the name on after all (none is known to), no message would be lost. A statement's name is made of its text
 * and the timeout, and a session prepares it after the timeout is set. Another session does not have it, and reports that before it
 * runs anything; the save is tried again, and from then on no session of this store counts as ours. The remaining effects are a
 * timeout in a session that others share, and, if sessions change right after the first statement, one statement that only
 * the client gives up. A session that is emptied (DISCARD ALL) is handled in the same way. After a failover the
 * connection is a new one, and is checked again.
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

/** Which sessions are ours, and how a statement runs on a client. The timeout is that of each statement, on the server. */
export class Sessions {
  readonly #timeoutMs: number;
  readonly #known = new WeakMap<PgPoolClient, boolean>();
  readonly #names = new Map<string, string>();
  /** A session was not the one that a client was named; none counts as ours any more. */
  #mistaken = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Whether this client's session is ours, with the timeout in force. Costs a round trip once for each client. */
  async claim(client: PgPoolClient): Promise<boolean> {
    if (this.#mistaken) return false;
    let ours = this.#known.get(client);
    if (ours === undefined) {
      ours = await isNamedProcess(client, this.#timeoutMs);
      this.#known.set(client, ours);
    }
    return ours;
  }

  /** Runs a statement that is planned once. The session must be ours. */
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
  /** What traces call it. It stays from version to version, and is not the name that a session knows it by. */
  readonly name?: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** Asks the server for its process and sets the timeout there, only where it is the one that was named. */
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

/** At most 63 bytes: what is longer is cut, and then two names could be one. */
function nameOf(text: string, timeoutMs: number): string {
  const hash = createHash('sha256').update(`${timeoutMs} ${text}`).digest('base64url');
  return `lastchunk_${hash}`;
}

/**
 * Runs one statement with a timeout of its own, in one transaction and one round trip, where the session is not ours.
 * The client must be one that `speaksProtocol`. Resolves once the statement is committed.
 *
 * Nothing may be left in the session (behind PgBouncer in transaction mode the next save has another one), so the timeout
 * is local to the transaction of the save. `set_config` inside the statement comes too late: the server arms the timer
 * before it runs it. BEGIN with SET LOCAL, the statement and COMMIT, sent one after the other, take twice as long as
 * the bare upsert; sent without waiting (the `pipeline` of pg 8.23) up to 1.4 times, for each is parsed, answered and
 * flushed alone. What costs least is one message train of the extended protocol: set the timeout, run the statement, one
 * Sync. All before the Sync is one transaction. `pg` lets a query write its own messages, which is how its cursors work.
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
 * Runs a statement that the session is to know as `name`, or is not to remember. Whoever traces `pg` sees the name of the
 * statement when the query is handed over; its messages are written later, and only they have the other one.
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
      // Of several commands the statement is the last.
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

/** False for the bindings of libpq (`NODE_PG_FORCE_NATIVE`), which show no protocol to write to. */
export function speaksProtocol(client: PgPoolClient): boolean {
  return client.connection !== undefined;
}

/** As a condition that is never true, because a row of its own would end up among those of the statement. */
function setTimeoutSql(timeoutMs: number): string {
  return `SELECT WHERE set_config('statement_timeout', '${timeoutMs}', true) IS NULL`;
}

/** Sets nothing unless the condition holds: then there is no row to compute. */
const CLAIM = `SELECT set_config('statement_timeout', $1, false) WHERE pg_backend_pid() = $2`;

/** The error codes of a session that is not the one that prepared the statement. */
const STRANGE = new Set<string | undefined>([
  '26000', // invalid_sql_statement_name: does not know what was prepared
  '42P05', // duplicate_prepared_statement: knows what was not
]);
