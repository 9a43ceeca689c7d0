/** `pg` against a real PostgreSQL. None of it is noise: lastchunk cancels no query and ends no pool of the app's. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import type { Case, Scene, Stage } from './case.ts';
import { errorEvent, meanwhile, nobody, ours, rejection } from './provoke.ts';

const NEVER: Partial<Record<Scene, boolean>> = { left: false, there: false };
const SLEEP = 'SELECT pg_sleep(60)';

/** A client that is there until the end of the test. */
async function dial(stage: Stage, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: stage.connectionString, ...options });
  client.on('error', () => {
    // A connection that is lost says so once more.
  });
  onTestFinished(async () => {
    await Promise.race([client.end(), delay(1000)]);
  });
  await client.connect();
  return client;
}

function pool(stage: Stage, options: pg.PoolConfig = {}): pg.Pool {
  const made = new pg.Pool({ connectionString: stage.connectionString, ...options });
  made.on('error', () => {
    // As above, for idle clients.
  });
  return made;
}

async function pidOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/** A query that runs, and another connection. */
async function running(stage: Stage) {
  const [client, other] = [await dial(stage), await dial(stage)];
  const pid = await pidOf(client);
  const error = rejection(client.query(SLEEP));
  await until('the query runs', async () => {
    const active = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND state = 'active'";
    return ((await other.query(active, [pid])).rowCount ?? 0) > 0;
  });
  return { client, other, pid, error };
}

/** A query that another connection ends by `how`. */
async function endedBy(stage: Stage, how: 'pg_cancel_backend' | 'pg_terminate_backend') {
  const { client, other, pid, error } = await running(stage);
  await stage.depart();
  await other.query(`SELECT ${how}($1)`, [pid]);
  return { client, error };
}

export const POSTGRES: readonly Case[] = [
  {
    what: 'statement_timeout',
    source: 'pg',
    look: 'DatabaseError error 57014',
    noise: { ...NEVER, stopped: false },
    provoke: async (stage) => {
      const client = await dial(stage, { statement_timeout: 1 });
      return meanwhile(stage, () => client.query(SLEEP));
    },
  },
  {
    what: 'pg_cancel_backend by somebody',
    source: 'pg',
    look: 'DatabaseError error 57014',
    noise: { ...NEVER, stopped: false },
    provoke: async (stage) => (await endedBy(stage, 'pg_cancel_backend')).error,
  },
  {
    what: "a query that the handler cancelled with the stream's signal, and marked so",
    source: 'pg',
    look: 'Error Error -',
    noise: { left: true, stopped: true },
    provoke: async (stage) => {
      const { other, pid, error } = await running(stage);
      return ours(stage, async (signal) => {
        // Before the abort: both answers are waited for, since the connections end with the test.
        const cancelled = once(signal, 'abort').then(() =>
          other.query('SELECT pg_cancel_backend($1)', [pid]),
        );
        await Promise.all([error, cancelled]);
        throw new Error('the lookup was cancelled', { cause: signal.reason });
      });
    },
  },
  {
    what: 'pg_terminate_backend',
    source: 'pg',
    look: 'DatabaseError error 57P01',
    noise: { ...NEVER, closing: false },
    provoke: async (stage) => (await endedBy(stage, 'pg_terminate_backend')).error,
  },
  {
    what: 'a query on a client whose connection was lost',
    source: 'pg',
    look: 'Error Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const { client, error } = await endedBy(stage, 'pg_terminate_backend');
      await error;
      await until('the connection is lost', async () => {
        const said = await rejection(client.query('SELECT 1'));
        return String(said).includes('not queryable');
      });
      return rejection(client.query('SELECT 1'));
    },
  },
  {
    what: 'a connection that is reset: the same code as that of a client that leaves',
    source: 'pg',
    look: 'Error Error ECONNRESET',
    noise: { ...NEVER, reset: false },
    provoke: async (stage) => {
      const proxy = await startTcpProxy(Number(new URL(stage.connectionString).port));
      onTestFinished(() => proxy.close());
      const url = new URL(stage.connectionString);
      url.port = String(proxy.port);
      const client = await dial(stage, { connectionString: url.href });
      const error = rejection(client.query(SLEEP));
      await stage.depart();
      proxy.cut();
      return error;
    },
  },
  {
    what: 'client.end() with a query in flight',
    source: 'pg',
    look: 'Error Error -',
    noise: { ...NEVER, closing: false },
    provoke: async (stage) => {
      const client = await dial(stage);
      const error = rejection(client.query(SLEEP));
      await stage.depart();
      void client.end();
      return error;
    },
  },
  {
    what: 'a query after client.end()',
    source: 'pg',
    look: 'Error Error -',
    noise: { ...NEVER, closing: false },
    provoke: async (stage) => {
      const client = await dial(stage);
      await client.end();
      return meanwhile(stage, () => client.query('SELECT 1'));
    },
  },
  {
    what: 'a query after pool.end()',
    source: 'pg',
    look: 'Error Error -',
    noise: { ...NEVER, stopped: false, closing: false },
    provoke: async (stage) => {
      const ended = pool(stage);
      await ended.end();
      return meanwhile(stage, () => ended.query('SELECT 1'));
    },
  },
  {
    what: 'query_timeout',
    source: 'pg',
    look: 'Error Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = await dial(stage, { query_timeout: 1 });
      const error = await meanwhile(stage, () => client.query(SLEEP));
      return error;
    },
  },
  {
    what: 'an exhausted pool',
    source: 'pg',
    look: 'Error Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const small = pool(stage, { max: 1, connectionTimeoutMillis: 100 });
      const held = await small.connect();
      const error = await meanwhile(stage, () => small.connect());
      held.release();
      await small.end();
      return error;
    },
  },
  {
    what: 'an idle client of a pool that is killed',
    source: 'pg',
    look: 'DatabaseError error 57P01',
    noise: NEVER,
    provoke: async (stage) => {
      const idle = pool(stage, { max: 1 });
      const { rows } = await idle.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const other = await dial(stage);
      const error = errorEvent(idle);
      await stage.depart();
      await other.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
      const said = await error;
      await idle.end();
      return said;
    },
  },
  {
    what: 'lock_timeout',
    source: 'pg',
    look: 'DatabaseError error 55P03',
    noise: NEVER,
    provoke: async (stage) => {
      const [holder, waiter] = [await dial(stage), await dial(stage)];
      await holder.query('SELECT pg_advisory_lock(4711)');
      await waiter.query("SET lock_timeout = '1ms'");
      const error = await meanwhile(stage, () => waiter.query('SELECT pg_advisory_lock(4711)'));
      await holder.query('SELECT pg_advisory_unlock(4711)');
      return error;
    },
  },
  {
    what: 'a duplicate key',
    source: 'pg',
    look: 'DatabaseError error 23505',
    noise: NEVER,
    provoke: async (stage) => {
      const client = await dial(stage);
      await client.query('CREATE TEMP TABLE t (id int PRIMARY KEY)');
      return meanwhile(stage, () => client.query('INSERT INTO t VALUES (1), (1)'));
    },
  },
  {
    what: 'no server listens',
    source: 'pg',
    look: 'Error Error ECONNREFUSED',
    noise: NEVER,
    provoke: async (stage) => {
      const { port } = new URL(await nobody());
      const connectionString = `postgres://postgres@127.0.0.1:${port}/postgres`;
      return meanwhile(stage, () => new pg.Client({ connectionString }).connect());
    },
  },
];
