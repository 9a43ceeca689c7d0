/** Sessions of our own, where a timeout and a plan may stay, and sessions that are lent, where nothing may. */
import pg from 'pg';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { isObject } from '../../src/core/values.ts';
import { Connections } from '../../src/postgres/connections.ts';
import { postgres, type PostgresOptions, type PostgresStore } from '../../src/postgres/index.ts';
import { checkOptions, loadPg } from '../../src/postgres/options.ts';
import { hasPgBouncer, startPgBouncer } from '../faults/pgbouncer.ts';
import { useDatabase } from '../support/database.ts';
import { aMessage, look, withClient } from './messages.ts';
import { startStandIn } from './stand-in.ts';

const database = useDatabase();
beforeEach(async () => {
  await open({ migrate: true }).save([]);
});

/** A store with one connection, which is closed after the test. */
function open(options: Partial<PostgresOptions> = {}): PostgresStore {
  const store = postgres({ connectionString: database.url, maxConnections: 1, ...options });
  onTestFinished(() => store.close());
  return store;
}

/** The same database, at another port. */
function through(port: number): string {
  const other = new URL(database.url);
  other.port = String(port);
  return other.href;
}

async function standIn(key: 'own' | 'passed on') {
  const started = await startStandIn(database.server.port, { key });
  onTestFinished(() => started.close());
  return started;
}

async function bouncer(): Promise<string> {
  const started = await startPgBouncer(database.server.port);
  onTestFinished(() => started.stop());
  return through(started.port);
}

const texts = () => look(database.url, 'SELECT content FROM lastchunk_messages ORDER BY content');

/** In a session: the timeout, and how many statements of ours it knows. */
const LEFT = `SELECT current_setting('statement_timeout') AS timeout,
  (SELECT count(*)::int FROM pg_prepared_statements WHERE name LIKE 'lastchunk%') AS statements`;

/** What is left in the session of a connection, between two transactions. */
async function left(connections: Connections): Promise<Record<string, unknown> | undefined> {
  const { rows } = await connections.transaction(async (client) => {
    await client.query('COMMIT');
    const seen = await client.query(LEFT);
    await client.query('BEGIN');
    return seen;
  });
  return rows[0];
}

function connect(connectionString: string): Connections {
  const settings = checkOptions({ connectionString, maxConnections: 1, statementTimeoutMs: 1234 });
  const connections = new Connections(loadPg(), settings, () => undefined);
  onTestFinished(() => connections.close());
  return connections;
}

/** The names that whoever traces `pg` gets to see, which is when a query is handed over. */
function watchNames(): readonly unknown[] {
  const names: unknown[] = [];
  const { query } = pg.Client.prototype;
  const watched = function (this: pg.Client, ...given: unknown[]): unknown {
    const [first] = given;
    if (isObject(first) && 'name' in first) names.push(first.name);
    return Reflect.apply(query, this, given);
  };
  // It stands in for all forms of the method.
  pg.Client.prototype.query = watched as typeof query;
  onTestFinished(() => {
    pg.Client.prototype.query = query;
  });
  return names;
}

describe('the name of the save statement in traces', () => {
  it.each(['passed on', 'own'] as const)(
    'is constant if the backend key of the connection is %s',
    async (key) => {
      const store = open({ connectionString: through((await standIn(key)).port) });
      const names = watchNames();
      await store.save([aMessage({ text: 'a' })]);
      await store.save([aMessage({ text: 'b' }), aMessage({ text: 'c' })]);
      await store.save([aMessage({ text: 'd' })]);
      expect(names).toEqual(['lastchunk_save_1', 'lastchunk_save_n', 'lastchunk_save_1']);
      expect(await texts()).toHaveLength(4);
    },
  );

  it('is different from the prepared statement in the session, which depends on version, table and timeout', async () => {
    const connections = connect(database.url);
    const run = (sql: string) => connections.run(sql, [], 'lastchunk_save_1');
    await run('SELECT 1 AS one');
    expect((await run('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
    const { rows } = await connections.run(
      'SELECT name FROM pg_prepared_statements WHERE from_sql = false ORDER BY name',
      [],
    );
    for (const { name } of rows) expect(name).toMatch(/^lastchunk_[\w-]{43}$/);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(3);
  });
});

describe('a direct connection to the server', () => {
  it('keeps the timeout in its session, and plans a statement once', async () => {
    const connections = connect(database.url);
    for (const value of [1, 2, 3]) await connections.run('SELECT $1::int AS value', [value]);
    expect(await left(connections)).toEqual({ timeout: '1234ms', statements: 1 });
  });

  it('is checked once, and then sends a save as one statement and nothing else', async () => {
    const tap = await standIn('passed on');
    const store = open({ connectionString: through(tap.port) });
    for (const text of ['a', 'b', 'c']) await store.save([aMessage({ text })]);
    await store.save([aMessage({ text: 'd' }), aMessage({ text: 'e' })]);
    await store.save([aMessage({ text: 'f' }), aMessage({ text: 'g' })]);
    const [question, first, again] = ['PBDES', 'PBDES', 'BDES'];
    expect(tap.trips).toEqual([question, first, again, again, first, again]);
    expect(await texts()).toHaveLength(7);
  });

  it('that ended is replaced by one that is checked anew', async () => {
    const connections = connect(database.url);
    await connections.run('SELECT 1', []);
    await expect(connections.run('SELECT 1 / $1::int', [0])).rejects.toMatchObject({
      code: '22012',
    });
    await connections.run('SELECT 1', []);
    expect(await left(connections)).toEqual({ timeout: '1234ms', statements: 1 });
  });

  it('whose session was reset fails once, and then sets the timeout again', async () => {
    const connections = connect(database.url);
    const run = () => connections.run('SELECT current_setting($1)', ['statement_timeout']);
    await run();
    await connections.transaction(async (client) => {
      for (const sql of ['COMMIT', 'DISCARD ALL', 'BEGIN']) await client.query(sql);
    });
    await expect(run()).rejects.toMatchObject({ code: '26000' });
    expect((await run()).rows).toEqual([{ current_setting: '1234ms' }]);
  });

  it('whose check is refused still saves', async () => {
    await withClient(database.url, async (ask) => {
      await ask('REVOKE EXECUTE ON FUNCTION pg_backend_pid() FROM PUBLIC');
      await ask('CREATE ROLE simple LOGIN');
      await ask('GRANT ALL ON lastchunk_messages TO simple');
    });
    await open({ connectionString: database.url.replace('postgres@', 'simple@') }).save([
      aMessage(),
    ]);
    expect(await texts()).toHaveLength(1);
  });
});

describe('a connection to a pooler in transaction mode', () => {
  it('sends the timeout with each statement, and leaves nothing in the session', async () => {
    const pooler = await standIn('own');
    const connections = connect(through(pooler.port));
    const { rows } = await connections.run('SELECT current_setting($1)', ['statement_timeout']);
    expect(rows).toEqual([{ current_setting: '1234ms' }]);
    expect(await left(connections)).toEqual({ timeout: '0', statements: 0 });
    expect(pooler.trips.slice(0, 2)).toEqual(['PBDES', 'PBEPBDES']);
  });

  it('saves in any session that it gets next', async () => {
    const pooler = await standIn('own');
    const store = open({ connectionString: through(pooler.port) });
    await store.save([aMessage({ text: 'a' })]);
    pooler.change();
    await store.save([aMessage({ text: 'b' })]);
    expect(await texts()).toEqual([{ content: 'a' }, { content: 'b' }]);
  });

  it('that passes on the backend key fails one save, which is repeated, and is then recognised', async () => {
    const pooler = await standIn('passed on');
    const store = open({ connectionString: through(pooler.port) });
    await store.save([aMessage({ text: 'a' })]);
    pooler.change();
    const message = aMessage({ text: 'b' });
    await expect(store.save([message])).rejects.toMatchObject({ code: '26000' });
    expect(await texts()).toEqual([{ content: 'a' }]);
    await store.save([message]);
    await store.save([aMessage({ text: 'c' })]);
    expect(await texts()).toEqual([{ content: 'a' }, { content: 'b' }, { content: 'c' }]);
    expect(pooler.trips.slice(-2)).toEqual(['PBEPBDES', 'PBEPBDES']);
  });
});

// No package brings it.
const present = hasPgBouncer();
if (!present)
  console.warn('skipped: what is left in the sessions of PgBouncer (there is no program)');

describe.runIf(present)('PgBouncer in transaction mode', () => {
  it('nothing is left in any of its sessions', async () => {
    const pooled = await bouncer();
    const store = open({ connectionString: pooled, maxConnections: 4, statementTimeoutMs: 1234 });
    const batch = () => [aMessage(), aMessage()];
    await Promise.all(
      Array.from({ length: 20 }, (_, turn) => store.save(turn % 2 ? batch() : [aMessage()])),
    );
    expect(await texts()).toHaveLength(30);
    // Two transactions at once have both of its sessions.
    const seen = await withClient(pooled, async (one) =>
      withClient(pooled, async (other) => {
        for (const ask of [one, other]) await ask('BEGIN');
        const answers = [await one(LEFT), await other(LEFT)];
        for (const ask of [one, other]) await ask('COMMIT');
        return answers.flat();
      }),
    );
    expect(seen).toEqual(Array(2).fill({ timeout: '0', statements: 0 }));
  });
});

describe('the server ends a save that waits for a lock', () => {
  const ways: Record<string, () => Promise<string>> = {
    'straight to it': () => Promise.resolve(database.url),
    'behind a stand-in': async () => through((await standIn('own')).port),
    ...(present && { 'behind PgBouncer': bouncer }),
  };
  for (const [name, way] of Object.entries(ways)) {
    it(`${name}, alone and in a batch`, async () => {
      const store = open({ connectionString: await way(), statementTimeoutMs: 300 });
      const messages = [aMessage({ id: 'a' }), aMessage({ id: 'b' })];
      await store.save(messages);
      const revised = messages.map((message) => ({ ...message, revision: 1 }));
      await withClient(database.url, async (ask) => {
        await ask('BEGIN');
        await ask('SELECT FROM lastchunk_messages FOR UPDATE');
        // Canceling, as the server says it; a timeout of this side has no code.
        for (const batch of [revised, revised.slice(1)]) {
          await expect(store.save(batch)).rejects.toMatchObject({ code: '57014' });
        }
        await ask('COMMIT');
      });
      await store.save(revised);
      expect(await look(database.url, 'SELECT DISTINCT revision FROM lastchunk_messages')).toEqual([
        { revision: 1 },
      ]);
    });
  }
});
