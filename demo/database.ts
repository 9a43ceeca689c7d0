/**
 * The database as the chaos sees it: a server to take down, connections to kill, tables to look into. It is
 * a server of our own, or the one in `DATABASE_URL`, which is never stopped and left as it was found.
 */
import pg from 'pg';
import { ANSWERS, APP_POOL, type Route } from './agreed.ts';
import { postgres, postgresRelay } from '../src/postgres/index.ts';
import { startPostgres, type TestPostgres } from '../test/support/postgres.ts';

/** The connections that the chaos kills, and no others: of the app's own pool and of lastchunk's. */
const APP_CONNECTIONS = [APP_POOL, 'lastchunk'] as const;

/** A database and what can be done to it. */
export interface Database {
  readonly connectionString: string;
  /** `undefined` when the server is not ours to stop. */
  readonly server: TestPostgres | undefined;
  /** Stored texts by conversation, several where a conversation has several rows. */
  stored(route: Route, ids: readonly string[]): Promise<ReadonlyMap<string, string[]>>;
  /** Kills the connections of both pools of the app. */
  killConnections(): Promise<void>;
  /** How many connections of the app sleep in a slow statement. */
  sleepers(): Promise<number>;
  /** Ends those statements. */
  wakeSleepers(): Promise<void>;
  /** Stops our server; from one that is not ours, removes what this run left there. */
  close(): Promise<void>;
}

/**
 * Connects to `url`, or without one starts a server that is gone with this process, and makes the tables. The ids of this run's conversations start with `run`.
 */
export async function openDatabase(url: string | undefined, run: string): Promise<Database> {
  const server = url === undefined ? await startPostgres(AS_IN_PRODUCTION) : undefined;
  const connectionString = url ?? server?.connectionString ?? '';
  const pool = new pg.Pool({ connectionString, max: 2, application_name: 'lastchunk-demo' });
  // Idle connections die when the server is taken down; the next query makes a new one.
  pool.on('error', () => {});
  await pool.query(APP_TABLE);
  await migrate(connectionString);
  return {
    connectionString,
    server,
    stored: async (route, ids) => {
      const { rows } = await pool.query<{ id: string; text: string }>(
        `${ANSWERS[route]} where conversation_id = any($1)`,
        [ids],
      );
      const texts = new Map<string, string[]>(ids.map((id) => [id, []]));
      for (const row of rows) texts.get(row.id)?.push(row.text);
      return texts;
    },
    killConnections: async () =>
      void (await pool.query(`select pg_terminate_backend(pid) ${APP_BACKENDS}`, [
        APP_CONNECTIONS,
      ])),
    sleepers: async () => {
      const { rows } = await pool.query<{ pid: number }>(`select pid ${SLEEPERS}`, [
        APP_CONNECTIONS,
      ]);
      return rows.length;
    },
    wakeSleepers: async () =>
      void (await pool.query(`select pg_cancel_backend(pid) ${SLEEPERS}`, [APP_CONNECTIONS])),
    close: async () => {
      if (server === undefined) await sweep(pool, run);
      await pool.end();
      await server?.remove();
    },
  };
}

/** As a deployment does before it starts the app. */
async function migrate(connectionString: string): Promise<void> {
  const store = postgres({ connectionString });
  await store.migrate();
  await store.close();
  const relay = postgresRelay({ connectionString });
  await relay.migrate();
  await relay.close();
}

async function sweep(pool: pg.Pool, run: string): Promise<void> {
  await pool.query('drop table lastchunk_demo_answers');
  await pool.query('delete from lastchunk_messages where starts_with(conversation_id, $1)', [run]);
  await pool.query(`delete from lastchunk_relay_parts where stream_id in (select id ${RELAYED})`, [
    run,
  ]);
  await pool.query(`delete ${RELAYED}`, [run]);
}

/** The helper starts servers for tests, which give up durability for speed. */
const AS_IN_PRODUCTION = { fsync: 'on', full_page_writes: 'on' };

const APP_TABLE = `create table if not exists lastchunk_demo_answers (
  id bigint generated always as identity primary key,
  conversation_id text not null,
  text text not null
)`;

const RELAYED = 'from lastchunk_relay_streams where starts_with(conversation_id, $1)';

const APP_BACKENDS = `from pg_stat_activity
  where datname = current_database() and usename = current_user and application_name = any($1)`;

const SLEEPERS = `${APP_BACKENDS} and state = 'active' and query like 'select pg_sleep%'`;
