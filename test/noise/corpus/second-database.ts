/** Errors of PostgreSQL and its client. Hardly any is noise: behind each may be an answer that was not saved. */
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { until } from '../../support/until.ts';
import type { Case, Stage } from './case.ts';
import { meanwhile, nobody, rejection } from './provoke.ts';
import { FAILURE, FAILURE_ANYHOW } from './second-scenery.ts';

async function connected(stage: Stage, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: stage.connectionString, ...config });
  client.on('error', () => {
    // The queries say it.
  });
  await client.connect();
  onTestFinished(() => {
    // Whether it was ended before or not; nobody waits for a connection that is broken.
    client.end().catch(() => {});
  });
  return client;
}

/** The process of the server that works for `client`. */
async function backendOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/** What a query that sleeps rejects with when, after the scene, `means` is used on it. */
async function disturbed(
  stage: Stage,
  means: 'pg_cancel_backend' | 'pg_terminate_backend',
): Promise<unknown> {
  const client = await connected(stage);
  const other = await connected(stage);
  const pid = await backendOf(client);
  const error = rejection(client.query('SELECT pg_sleep(60)'));
  const asleep = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'";
  await until('the query sleeps', async () => (await other.query(asleep, [pid])).rowCount);
  await stage.depart();
  await other.query(`SELECT ${means}($1)`, [pid]);
  return error;
}

/** What a query rejects with after the scene. */
function query(what: string, code: string, ...statements: readonly string[]): Case {
  return {
    what,
    source: 'pg',
    look: `DatabaseError error ${code}`,
    noise: FAILURE,
    provoke: async (stage) => {
      const client = await connected(stage);
      return meanwhile(stage, async () => {
        for (const statement of statements) await client.query(statement);
      });
    },
  };
}

/** Errors of the database. */
export const DATABASE: readonly Case[] = [
  query(
    'a statement that takes too long',
    '57014',
    "SET statement_timeout = '5ms'",
    'SELECT pg_sleep(60)',
  ),
  query(
    'a row that is there already',
    '23505',
    'CREATE TEMP TABLE t (id int UNIQUE)',
    'INSERT INTO t VALUES (1), (1)',
  ),
  query(
    'a transaction that is spoilt',
    '25P02',
    'BEGIN',
    'DO $$ BEGIN END $$',
    'ROLLBACK',
    "DO $$ BEGIN RAISE EXCEPTION 'aborted' USING ERRCODE = '25P02'; END $$",
  ),
  query('a text that PostgreSQL cannot hold', '22021', "SELECT convert_from('\\x00', 'UTF8')"),
  {
    what: 'a query that is cancelled because the client left',
    source: 'pg',
    look: 'DatabaseError error 57014',
    noise: { left: true, stopped: true, there: false },
    undecidable: 'an administrator’s pg_cancel_backend gives the same error',
    provoke: (stage) => disturbed(stage, 'pg_cancel_backend'),
  },
  {
    what: 'a connection that an administrator terminates',
    source: 'pg',
    look: 'DatabaseError error 57P01',
    noise: FAILURE_ANYHOW,
    provoke: (stage) => disturbed(stage, 'pg_terminate_backend'),
  },
  {
    what: 'a save on a connection that the cleanup of the request has closed',
    source: 'pg',
    look: 'Error Error -',
    noise: FAILURE,
    provoke: async (stage) => {
      const client = await connected(stage);
      await stage.depart();
      const save = rejection(client.query('SELECT pg_sleep(60)'));
      void client.end();
      // Ends what `end` waits for, as the end of a process would.
      client.connection.stream.destroy();
      return save;
    },
  },
  {
    what: 'a save on a client that was released',
    source: 'pg',
    look: 'Error Error -',
    noise: FAILURE,
    provoke: async (stage) => {
      const client = await connected(stage);
      await client.end();
      return meanwhile(stage, () => client.query('SELECT 1'));
    },
  },
  {
    what: 'an exhausted pool',
    source: 'pg',
    look: 'Error Error -',
    noise: FAILURE,
    provoke: async (stage) => {
      const { connectionString } = stage;
      const pool = new pg.Pool({ connectionString, max: 1, connectionTimeoutMillis: 500 });
      const held = await pool.connect();
      onTestFinished(async () => {
        held.release();
        await pool.end();
      });
      return meanwhile(stage, () => pool.query('SELECT 1'));
    },
  },
  {
    what: 'a pool that was ended',
    source: 'pg',
    look: 'Error Error -',
    noise: FAILURE,
    provoke: async (stage) => {
      const pool = new pg.Pool({ connectionString: stage.connectionString });
      await pool.end();
      return meanwhile(stage, () => pool.query('SELECT 1'));
    },
  },
  {
    what: 'a query that is abandoned',
    source: 'pg',
    look: 'Error Error -',
    noise: FAILURE,
    provoke: async (stage) => {
      const client = await connected(stage, { query_timeout: 500 });
      return meanwhile(stage, () => client.query('SELECT pg_sleep(2)'));
    },
  },
  {
    what: 'an unreachable database',
    source: 'pg',
    look: 'Error Error ECONNREFUSED',
    noise: FAILURE,
    provoke: async (stage) => {
      const { port } = new URL(await nobody());
      const client = new pg.Client({ host: 'localhost', port: Number(port) });
      return meanwhile(stage, () => client.connect());
    },
  },
];
