import { createServer, Socket } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postgres } from '../../src/postgres/index.ts';
import type { PostgresOptions, PostgresStore } from '../../src/postgres/index.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { aMessage, look, withClient } from './messages.ts';
import type { Look } from './messages.ts';

const database = useDatabase();
let store: PostgresStore;
let errors: unknown[];
const extra: PostgresStore[] = [];
beforeEach(async () => {
  errors = [];
  store = open();
  await store.save([]);
});
afterEach(async () => {
  await Promise.all([store, ...extra.splice(0)].map((one) => one.close()));
});

function open(options: Partial<PostgresOptions> = {}): PostgresStore {
  const opened = postgres({ connectionString: database.url, migrate: true, ...options });
  opened.listen({ onError: (error) => errors.push(error) });
  return opened;
}

function openExtra(options: Partial<PostgresOptions> = {}): PostgresStore {
  const opened = open(options);
  extra.push(opened);
  return opened;
}

const ids = (): Promise<readonly Record<string, unknown>[]> =>
  look(database.url, 'SELECT id FROM lastchunk_messages ORDER BY id');

/** Ends every connection of the store; resolves to how many there were. */
async function killAll(ask: Look): Promise<number> {
  const killed = await ask(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lastchunk' AND datname = current_database()",
  );
  return killed.length;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : error;
}

/** Waits until a statement of the store waits for a lock. */
function untilBlocked(ask: Look) {
  return until('a save waits for a lock', async () => {
    const waiting = await ask(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'lastchunk' AND wait_event_type = 'Lock' AND datname = current_database()",
    );
    return waiting.length > 0;
  });
}

describe('a connection that is killed', () => {
  it('while idle is reported, and the next save succeeds', async () => {
    await store.save([aMessage({ id: 'before' })]);
    await withClient(database.url, async (ask) => expect(await killAll(ask)).toBeGreaterThan(0));
    await until('the pool hears of it', () => errors.length > 0);
    expect(errors[0]).toMatchObject({ code: '57P01' });
    expect(errors[0]).not.toHaveProperty('client');
    await store.save([aMessage({ id: 'after' })]);
    expect(await ids()).toEqual([{ id: 'after' }, { id: 'before' }]);
  });

  it('in the middle of a save makes that save reject, and the next one succeeds', async () => {
    const message = aMessage({ id: 'a' });
    await store.save([message]);
    await withClient(database.url, async (ask) => {
      await ask('BEGIN');
      await ask('SELECT FROM lastchunk_messages FOR UPDATE');
      const saving = store.save([{ ...message, revision: 1, text: 'revised' }]).catch(codeOf);
      await untilBlocked(ask);
      expect(await killAll(ask)).toBeGreaterThan(0);
      // What the server still had to read makes its end a reset, which may overtake its last word.
      expect(['57P01', 'ECONNRESET']).toContain(await saving);
      await ask('COMMIT');
    });
    await store.save([{ ...message, revision: 1, text: 'revised' }]);
    expect(await look(database.url, 'SELECT content FROM lastchunk_messages')).toEqual([
      { content: 'revised' },
    ]);
  });

  it('while write() of the app runs rejects the save at once', async () => {
    const writing = openExtra({
      migrate: false,
      write: async (client) => {
        await client.query('SELECT 1');
        await withClient(database.url, killAll);
        await new Promise(() => undefined);
      },
    });
    await expect(writing.save([aMessage()])).rejects.toThrow(/terminat/);
    expect(writing.pool()).toMatchObject({ total: 0, waiting: 0 });
  });
});

describe('a server', () => {
  it('that stops and starts again causes rejected saves, and nothing else', async () => {
    await store.save([aMessage({ id: '1' })]);
    await database.server.stop();
    await until('the pool hears of it', () => errors.length > 0);
    await expect(store.save([aMessage({ id: 'lost' })])).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    expect(await store.ping()).toBe(false);
    await database.server.start();
    expect(await store.ping()).toBe(true);
    await store.save([aMessage({ id: '2' })]);
    await database.server.stopImmediate();
    await database.server.start();
    await until('a save gets through', () =>
      store.save([aMessage({ id: '3' })]).then(
        () => true,
        () => false,
      ),
    );
    expect(await ids()).toEqual([{ id: '1' }, { id: '2' }, { id: '3' }]);
  });

  it('that is down at the start is no error then; the table is created before the first save that succeeds', async () => {
    database.url = await database.server.newDatabase();
    await database.server.stop();
    const late = openExtra();
    await expect(late.save([aMessage()])).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await late.ping()).toBe(false);
    await database.server.start();
    await late.save([aMessage({ id: 'late' })]);
    expect(await ids()).toEqual([{ id: 'late' }]);
  });

  it('that accepts the connection and sends nothing runs into the connection timeout', async () => {
    const silent = await listen(() => undefined);
    const away = openExtra({
      connectionString: `postgres://u@127.0.0.1:${silent.port}/d`,
      connectTimeoutMs: 50,
    });
    expect(await away.ping()).toBe(false);
    await expect(away.save([aMessage()])).rejects.toThrow(/timeout/);
    await silent.close();
  });

  it('that stops answering in the middle of a save runs into a timeout, and the connection is closed', async () => {
    // A pipe to the real server that can be blocked, as a network that loses every packet.
    let blocked = false;
    const sockets = new Set<Socket>();
    const pipe = await listen((near) => {
      const far = new Socket();
      far.connect(database.server.port, '127.0.0.1');
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(from);
        from.on('data', (bytes: Buffer) => blocked || to.write(bytes));
        from.on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
        from.on('error', () => to.destroy());
      }
    });
    const cut = openExtra({
      connectionString: database.url.replace(`:${database.server.port}/`, `:${pipe.port}/`),
      statementTimeoutMs: 1,
      connectTimeoutMs: 100,
      migrate: false,
    });
    await until('it has a connection', () => cut.ping());
    blocked = true;
    await expect(cut.save([aMessage()])).rejects.toThrow(/timeout|terminated/);
    await until('the connection is closed', () => sockets.size === 0);
    expect(cut.pool()).toMatchObject({ total: 0, idle: 0 });
    blocked = false;
    await until('it has a connection again', () => cut.ping());
    await cut.close();
    await pipe.close();
  });
});

describe('the statement timeout', () => {
  for (const [name, count] of [
    ['alone', 1],
    ['in a batch', 3],
  ] as const) {
    it(`ends a save that waits for a lock, ${name}, and the pool recovers`, async () => {
      const quick = openExtra({ statementTimeoutMs: 200, maxConnections: 1 });
      const messages = Array.from({ length: count }, (_, index) => aMessage({ id: `${index}` }));
      await quick.save(messages);
      const revised = messages.map((message) => ({ ...message, revision: 1 }));
      await withClient(database.url, async (ask) => {
        await ask('BEGIN');
        await ask('SELECT FROM lastchunk_messages FOR UPDATE');
        await expect(quick.save(revised)).rejects.toMatchObject({ code: '57014' });
        const waiting = await ask(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        );
        expect(waiting).toEqual([]);
        await ask('COMMIT');
      });
      await quick.save(revised);
      expect(await look(database.url, 'SELECT DISTINCT revision FROM lastchunk_messages')).toEqual([
        { revision: 1 },
      ]);
    });
  }

  it('applies only inside the transaction: the session keeps its own setting', async () => {
    let seen: unknown;
    const spy = openExtra({
      statementTimeoutMs: 1234,
      migrate: false,
      maxConnections: 1,
      write: async (client) => {
        const inside = await client.query('SHOW statement_timeout');
        await client.query('COMMIT');
        const outside = await client.query('SHOW statement_timeout');
        const idle = await client.query('SHOW idle_in_transaction_session_timeout');
        seen = [inside, outside, idle].map(({ rows }) => Object.values(rows[0] ?? {})[0]);
        await client.query('BEGIN');
      },
    });
    await spy.save([aMessage()]);
    expect(seen).toEqual(['1234ms', '0', '0']);
  });

  it('ends a transaction whose write() never resolves', async () => {
    const stuck = openExtra({
      statementTimeoutMs: 100,
      migrate: false,
      write: () => new Promise(() => undefined),
    });
    await expect(stuck.save([aMessage()])).rejects.toThrow(/terminat/);
  });
});

describe('the pool', () => {
  it('has the application name lastchunk and leaves no transaction open', async () => {
    await store.save([aMessage()]);
    await store.save([aMessage(), aMessage()]);
    const sessions = await look(
      database.url,
      'SELECT DISTINCT application_name, state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    expect(sessions).toEqual([{ application_name: 'lastchunk', state: 'idle' }]);
  });

  it('opens at most maxConnections, and counts the waiting saves', async () => {
    const small = openExtra({ maxConnections: 2 });
    const messages = Array.from({ length: 5 }, () => aMessage());
    await small.save(messages);
    await withClient(database.url, async (ask) => {
      await ask('BEGIN');
      await ask('SELECT FROM lastchunk_messages FOR UPDATE');
      const saves = messages.map((message) => small.save([{ ...message, revision: 1 }]));
      await until('two are busy and three wait', () => small.pool().waiting === 3);
      expect(small.pool()).toEqual({ total: 2, idle: 0, waiting: 3, max: 2 });
      await ask('COMMIT');
      await Promise.all(saves);
    });
    expect(small.pool()).toMatchObject({ waiting: 0, max: 2 });
  });

  it('closes once, after the saves that are running', async () => {
    const closing = openExtra();
    const saving = closing.save([aMessage({ id: 'last' })]);
    await until('the save has its connection', () => closing.pool().total > closing.pool().idle);
    await Promise.all([closing.close(), closing.close()]);
    await saving;
    expect(await ids()).toEqual([{ id: 'last' }]);
    await expect(closing.save([aMessage()])).rejects.toMatchObject({ code: 'closed' });
    expect(await closing.ping()).toBe(false);
  });

  it('ends a ping when the signal aborts', async () => {
    expect(await store.ping(new AbortController().signal)).toBe(true);
    expect(await store.ping(AbortSignal.abort())).toBe(false);
    const silent = await listen(() => undefined);
    const away = openExtra({
      connectionString: `postgres://u@127.0.0.1:${silent.port}/d`,
      connectTimeoutMs: 60_000,
      migrate: false,
    });
    const controller = new AbortController();
    const ping = away.ping(controller.signal);
    controller.abort();
    expect(await ping).toBe(false);
    await silent.close();
  });
});

async function listen(
  onConnection: (socket: Socket) => void,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const open = new Set<Socket>();
  const listener: Server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  // True: it listens on a port, not on a path.
  const { port } = listener.address() as AddressInfo;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        listener.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}
