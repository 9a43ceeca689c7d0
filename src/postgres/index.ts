/**
 * `lastchunk/postgres`: the message store over PostgreSQL, with its own pool, its own table or the app's own
 * SQL. It does not depend on streams. It stores each message once, or rejects with the reason.
 */
import '../core/supported-node.ts';
import { once } from 'node:events';
import { LastchunkError } from '../core/errors.ts';
import type { Message, MessageStore } from '../core/message.ts';
import { Connections, fingerprintOf } from './connections.ts';
import type { PoolGauges } from './connections.ts';
import { createReadiness, migrate } from './migrations.ts';
import type { Migrated } from './migrations.ts';
import { checkOptions, loadPg } from './options.ts';
import type {
  PgConnection,
  PgDriver,
  PostgresOptions,
  PostgresSettings,
  WriteMessages,
} from './options.ts';
import type { PgClient, PgResult } from '../core/pg-shapes.ts';
import { postgresRelay } from './relay/relay.ts';
import type { PostgresRelay, PostgresRelayOptions } from './relay/relay.ts';
import { saveRows, uniqueRows } from './save.ts';
import type { IdConflict } from './save.ts';
import { toRow, toStorableMessage, underId } from './storable.ts';
import type { StorableMessage } from './storable.ts';
import { rankSql, statements } from './table.ts';

export { postgresRelay, rankSql };
export type {
  IdConflict,
  Migrated,
  PgClient,
  PgConnection,
  PgDriver,
  PgResult,
  PoolGauges,
  PostgresOptions,
  PostgresRelay,
  PostgresRelayOptions,
  StorableMessage,
  WriteMessages,
};

/** Events that the store reports besides its results. Called after the fact; must not throw. */
export interface PostgresListener {
  /** The requested id of a message belongs to another stream; the message was saved under another id. */
  onIdConflict?(conflict: IdConflict): void;
  /** A connection broke, or the migration at the start failed. */
  onError?(error: unknown): void;
}

/** A message store over PostgreSQL. */
export interface PostgresStore extends MessageStore {
  /**
   * Identifies database and table by 16 hex digits. A journal records it, so that no process with another store saves its messages.
   * `undefined` where the driver does not expose the address.
   */
  readonly fingerprint: string | undefined;
  /**
   * Commits all messages, or rejects with the error of `pg`. After a rejection some of them may be stored; it is safe to save them again.
   * Rejects with `closed` after `close`.
   */
  save(messages: readonly Message[]): Promise<void>;
  /** Whether the database answers; `false` also once `signal` aborts. Never rejects. */
  ping(signal?: AbortSignal): Promise<boolean>;
  /** Where the database is: `postgres://host:port/database`, without user and password. */
  readonly address: string;
  /**
   * Resolves if a message could be saved now: the database answers and the table exists. Else rejects with the error of `pg` or with
   * `not-migrated`. With `write` only the connection is checked.
   */
  check(): Promise<void>;
  /** The state of the pool now. */
  pool(): PoolGauges;
  /** Creates or updates the table, whether or not the option `migrate` is set. */
  migrate(): Promise<Migrated>;
  /** Sets the listener; a second call replaces it. */
  listen(listener: PostgresListener): void;
  /** Waits for saves that are running, then closes the pool. A second call returns the same promise. */
  close(): Promise<void>;
}

/**
 * Makes the store. Throws `bad-option` for a mistake in the options and `missing-peer` without `pg`; while the database does not answer,
 * saves reject.
 */
export function postgres(options: PostgresOptions): PostgresStore {
  const settings = checkOptions(options);
  let listener: PostgresListener = {};
  const pg = loadPg(options.pg);
  const connections = new Connections(pg, settings, (error) => listener.onError?.(error));
  const save = createSave(connections, settings);
  const ready = createReadiness(settings.migrate, () => migrate(connections, settings.table));
  const running = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;
  const run = async <T>(work: () => Promise<T>): Promise<T> => {
    if (closing) throw new LastchunkError('closed', 'the PostgreSQL store is closed');
    const promise = work();
    running.add(promise);
    return promise.finally(() => running.delete(promise));
  };
  // A failure at the start is only reported to `onError`: the first save tries again.
  run(ready).catch((error: unknown) => listener.onError?.(error));
  return {
    fingerprint: fingerprintOf(pg, settings),
    save: (messages) =>
      run(async () => {
        await ready();
        for (const conflict of await save(messages)) listener.onIdConflict?.(conflict);
      }),
    address: connections.address(),
    check: () =>
      run(async () => {
        await ready();
        await checkTable(connections, settings);
      }),
    ping: (signal) => pingUnlessAborted(connections, signal),
    pool: () => connections.gauges(),
    migrate: () => run(() => migrate(connections, settings.table)),
    listen(next) {
      listener = next;
    },
    close() {
      // The pool is closed last: a save between two transactions still needs a connection.
      closing ??= Promise.allSettled(running).then(() => connections.close());
      return closing;
    },
  };
}

/** Checks that the table exists, not its version: a role that may only write need not be able to read the migrations. */
async function checkTable(
  connections: Connections,
  { table, write }: PostgresSettings,
): Promise<void> {
  const isThere = await connections.transaction(async (client) => {
    if (write !== undefined) return true;
    const { rows } = await client.query('SELECT to_regclass($1) IS NOT NULL AS made', [table.sql]);
    return rows[0]?.['made'] === true;
  });
  if (isThere) return;
  throw new LastchunkError(
    'not-migrated',
    `the table ${table.name} has not been made: run \`npx lastchunk migrate\`, or set \`migrate: true\``,
  );
}

type Save = (messages: readonly Message[]) => Promise<readonly IdConflict[]>;

function createSave(connections: Connections, { table, write }: PostgresSettings): Save {
  if (write === undefined) {
    const sql = statements(table);
    return (messages) => saveRows(connections, sql, messages.map(toRow));
  }
  return async (messages) => {
    const { rows, clashing } = uniqueRows(messages.map(toRow));
    // The app's SQL handles conflicts with the ids of existing rows; only streams of one batch with the same id are separated here.
    const renamed = clashing.map((row) => underId(row, row.stream_id));
    const storable = [...rows, ...renamed].map(toStorableMessage);
    await connections.transaction((client) => write(client, storable));
    return clashing.map((row) => ({ requestedId: row.id, messageId: row.stream_id }));
  };
}

async function pingUnlessAborted(connections: Connections, signal?: AbortSignal): Promise<boolean> {
  if (signal === undefined) return connections.ping();
  if (signal.aborted) return false;
  const done = new AbortController();
  // Both the abort and the end of the ping remove the listener.
  const aborted = once(signal, 'abort', { signal: done.signal }).then(
    () => false,
    () => false,
  );
  const answered = await Promise.race([connections.ping(), aborted]);
  done.abort();
  return answered;
}
