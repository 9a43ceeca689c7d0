/**
 * The connections of the store: a pool that nothing else can close, exhaust or break, and the ways to run a transaction on it. After any
 * error a client is closed and never returned to the pool: its state is unknown, and a new connection costs little compared with a lost
 * message.
 */
import { createHash } from 'node:crypto';
import type { PostgresSettings } from './options.ts';
import { markSayable } from '../core/error-words.ts';
import { isObject } from '../core/values.ts';
import type { PgClient, PgModule, PgPool, PgPoolClient, PgResult } from '../core/pg-shapes.ts';
import { runInOneTrip, Sessions, speaksProtocol } from './session.ts';

/** The state of the pool, as gauges. */
export interface PoolGauges {
  /** Connections that are open or being opened. */
  readonly total: number;
  readonly idle: number;
  /** Saves waiting for a connection. */
  readonly waiting: number;
  /** The maximum of `total`. */
  readonly max: number;
}

/** The address of a database, as the driver derives it from options and environment (`PGHOST`, `PGSSLMODE` …). */
export interface Destination {
  /** For a Unix socket its directory; '' where the driver has no host. */
  readonly host: string;
  readonly port: string;
  readonly database: string;
  /** False without TLS; `unverified`: encrypted, but the server's certificate is not checked. */
  readonly tls: boolean | 'unverified';
}

/** Reads the address of a connection; `undefined` where the driver does not expose it. Throws what the driver throws. */
export function destinationOf(pg: PgModule, connection: object): Destination | undefined {
  if (pg.Client === undefined) return undefined;
  const { host, port, database, ssl } = new pg.Client(connection);
  const isUnverified =
    isObject(ssl) && 'rejectUnauthorized' in ssl && ssl.rejectUnauthorized === false;
  return {
    host: typeof host === 'string' ? host : '',
    port: String(port),
    database: typeof database === 'string' ? database : '',
    tls: isUnverified ? 'unverified' : Boolean(ssl),
  };
}

/**
 * Identifies the database and the table of the messages by 16 hex digits: a hash of host, port, database and table, or of the first three
 * with the option `write`. `undefined` where the driver does not expose the address.
 */
export function fingerprintOf(
  pg: PgModule,
  { connection, table, write }: PostgresSettings,
): string | undefined {
  const destination = destinationOf(pg, connection);
  if (destination === undefined) return undefined;
  const { host, port, database } = destination;
  const parts = [host.toLowerCase(), port, database, write === undefined ? table.name : null];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** The pool of one store. */
export class Connections {
  readonly #pg: PgModule;
  readonly #pool: PgPool;
  readonly #sessions: Sessions;
  readonly #settings: PostgresSettings;
  readonly #onError: (error: unknown) => void;

  /** Opens no connection yet. `onError` receives the errors of idle and lent connections that break. */
  constructor(pg: PgModule, settings: PostgresSettings, onError: (error: unknown) => void) {
    this.#pg = pg;
    this.#pool = openPool(pg, settings, onError);
    this.#sessions = new Sessions(settings.statementTimeoutMs);
    this.#settings = settings;
    this.#onError = onError;
  }

  /**
   * Runs one statement in its own transaction, in one round trip where the driver allows it. The server may plan it only once for each
   * connection: use this only for a statement whose plan is the same for an empty table and a full one. `name` is the name in traces.
   */
  run(text: string, values: readonly unknown[], name?: string): Promise<PgResult> {
    const statement = { text, values, ...(name !== undefined && { name }) };
    return this.#lend(async (client) => {
      if (await this.#sessions.claim(client)) {
        return this.#sessions.runPrepared(this.#pg, client, statement);
      }
      return speaksProtocol(client)
        ? runInOneTrip(this.#pg, client, statement, this.#settings.statementTimeoutMs)
        : this.#inTransaction(client, () => client.query(text, values));
    });
  }

  /** Runs `work` in a transaction. READ COMMITTED: each statement sees what others committed before it. */
  transaction<T>(work: (client: PgClient) => Promise<T>): Promise<T> {
    return this.#lend((client) => this.#inTransaction(client, work));
  }

  /** Whether the database answers. Never rejects. */
  ping(): Promise<boolean> {
    return this.#pool.query('SELECT 1').then(
      () => true,
      () => false,
    );
  }

  /** Where it connects to: `postgres://host:port/database`, without user and password. */
  address(): string {
    return addressOf(this.#pg, this.#settings.connection);
  }

  gauges(): PoolGauges {
    const { totalCount: total, idleCount: idle, waitingCount: waiting } = this.#pool;
    return { total, idle, waiting, max: this.#settings.maxConnections };
  }

  /** Waits for running statements, whose time is limited, and closes the pool. */
  close(): Promise<void> {
    return this.#pool.end();
  }

  async #inTransaction<T>(
    client: PgPoolClient,
    work: (client: PgClient) => Promise<T>,
  ): Promise<T> {
    await client.query(begin(this.#settings.statementTimeoutMs));
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  }

  /** An error here comes before any message is sent, so its text may be logged: TLS, a password function, a full pool. */
  async #connect(): Promise<PgPoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw markSayable(error);
    }
  }

  /**
   * Lends a client to `work`. The client returns to the pool when `work` resolves; it is closed when `work` rejects or the connection
   * breaks.
   */
  async #lend<T>(work: (client: PgPoolClient) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    // The pool listens to idle clients only: without a listener, the error of a lent client would end the process.
    let onBroken: (error: Error) => void = () => undefined;
    const broken = new Promise<never>((_, reject) => {
      onBroken = reject;
    });
    broken.catch(this.#onError);
    client.on('error', onBroken);
    let healthy = false;
    try {
      const result = await Promise.race([work(client), broken]);
      healthy = true;
      return result;
    } finally {
      client.release(!healthy);
      client.off('error', onBroken);
    }
  }
}

/** Where a pool connects to, without user and password. */
function addressOf(pg: PgModule, connection: object): string {
  try {
    const { host = '', port = '', database = '' } = destinationOf(pg, connection) ?? {};
    return port === '' ? 'postgres://' : `postgres://${host}:${port}/${database}`;
  } catch {
    // The first attempt to connect reports the error.
    return 'postgres://';
  }
}

function openPool(
  pg: PgModule,
  settings: PostgresSettings,
  onError: (error: unknown) => void,
): PgPool {
  const pool = new pg.Pool({
    ...POOL,
    ...settings.connection,
    max: settings.maxConnections,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    query_timeout: settings.statementTimeoutMs + CLIENT_GRACE_MS,
  });
  // Without a listener, a connection that is killed while idle would end the process.
  pool.on('error', (error) => {
    // pg adds the whole client to the error; it must not be logged.
    Reflect.deleteProperty(error, 'client');
    onError(error);
  });
  // The pool removes its listener in the tick in which it lends a client, and `#lend` adds one only after its `await`. An error in between
  // (a server that accepts and terminates a connection in one packet) makes the next query fail; without this listener it would end the
  // process.
  pool.on('connect', (client) => void client.on('error', () => undefined));
  return pool;
}

/**
 * One simple query: three statements, one round trip. The isolation level is explicit because a role may have another default. The idle
 * timeout releases the locks where the code between two statements never continues.
 */
function begin(timeoutMs: number): string {
  return (
    `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = ${timeoutMs}; ` +
    `SET LOCAL idle_in_transaction_session_timeout = ${timeoutMs}`
  );
}

/**
 * How much longer than the server's own timeout the client waits, in milliseconds: for a server that disappeared without closing
 * the connection, whose timeout cannot reach the client.
 */
const CLIENT_GRACE_MS = 2_000;

/** The settings of every pool of lastchunk, independent of the app's own. */
const POOL = {
  application_name: 'lastchunk',
  keepAlive: true,
  keepAliveInitialDelayMillis: 10_000,
  // Each connection is replaced within an hour, so that a failover or a new password takes effect even if no connection breaks.
  maxLifetimeSeconds: 3_600,
  // One connection stays open: after a quiet time, too, a terminal frame waits for a save, which must not wait for a connect.
  min: 1,
  idleTimeoutMillis: 30_000,
  // An idle connection must not keep the process running.
  allowExitOnIdle: true,
};
