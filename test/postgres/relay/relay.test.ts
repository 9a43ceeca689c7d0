import { describe, expect, it, onTestFinished } from 'vitest';
import { type PostgresRelayOptions, postgresRelay } from '../../../src/postgres/relay/relay.ts';
import { EMPTY_BATCH } from '../../relay/empty-batch.ts';
import { describeRelay } from '../../relay/conformance.ts';
import { useDatabase } from '../../support/database.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { look, withClient } from '../messages.ts';

const database = useDatabase();

/** A relay that is closed when its test is over. */
function open(options: Omit<PostgresRelayOptions, 'connectionString'> = {}) {
  const relay = postgresRelay({ connectionString: database.url, ...options });
  onTestFinished(() => relay.close());
  return relay;
}

describeRelay('PostgreSQL', async () => {
  await open().migrate();
  const proxy = await startTcpProxy(database.server.port);
  onTestFinished(() => proxy.close());
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  url.port = String(proxy.port);
  /** Settings of a database are those of its new connections. */
  const setReadOnly = async (to: string): Promise<void> => {
    await look(database.server.connectionString, `ALTER DATABASE ${name} ${to}`);
    proxy.cut();
  };
  return {
    connect: () => {
      const relay = postgresRelay({ connectionString: String(url), statementTimeoutMs: 1_000 });
      onTestFinished(() => relay.close());
      return relay;
    },
    expire: async (instance) => {
      await look(
        database.url,
        "UPDATE lastchunk_relay_instances SET expires_at = now() - interval '1 s' WHERE id = $1",
        [instance],
      );
    },
    forget: async () => {
      await look(
        database.url,
        "UPDATE lastchunk_relay_streams SET retained_until = now() - interval '1 s' WHERE retained_until IS NOT NULL",
      );
    },
    faults: [
      { name: 'slow', begin: async () => proxy.pause(), end: async () => proxy.resume() },
      {
        name: 'read-only',
        begin: () => setReadOnly('SET default_transaction_read_only = on'),
        end: () => setReadOnly('RESET default_transaction_read_only'),
      },
      { name: 'deaf', begin: async () => proxy.loseAnswers(), end: async () => proxy.resume() },
    ],
  };
});

const EMPTY = { ...EMPTY_BATCH, registers: true };

const persistence = () =>
  look(
    database.url,
    "SELECT relname, relpersistence AS kind FROM pg_class WHERE relname LIKE 'lastchunk\\_relay\\_%' AND relkind = 'r' ORDER BY 1",
  );

describe('the tables of the relay', () => {
  it('are created by any number of instances at once, and recorded beside the table of messages', async () => {
    const relays = Array.from({ length: 4 }, () => open({ migrate: true }));
    const answers = await Promise.all(
      relays.map((relay, index) => relay.exchange({ ...EMPTY, instance: `i${index}` })),
    );
    expect(answers.map(({ isHeld }) => isHeld)).toEqual([true, true, true, true]);
    const applied = 'SELECT table_name, version, name FROM lastchunk_migrations';
    expect(await look(database.url, applied)).toEqual([
      { table_name: 'lastchunk_relay', version: 1, name: 'relay' },
    ]);
  });

  it('are UNLOGGED unless `durable` is set', async () => {
    await open().migrate();
    expect((await persistence()).map(({ kind }) => kind)).toEqual(['u', 'u', 'u']);
  });

  it('are LOGGED if `durable` is set', async () => {
    await open({ durable: true }).migrate();
    expect((await persistence()).map(({ kind }) => kind)).toEqual(['p', 'p', 'p']);
  });

  it('can be in a schema of their own', async () => {
    await look(database.url, 'CREATE SCHEMA "chat-relay"');
    const relay = open({ schema: 'chat-relay', migrate: true });
    expect((await relay.exchange(EMPTY)).isHeld).toBe(true);
    expect(
      await look(database.url, 'SELECT id FROM "chat-relay".lastchunk_relay_instances'),
    ).toEqual([{ id: 'i' }]);
  });

  it('are required: without them an exchange rejects with not-migrated', async () => {
    await expect(open().exchange(EMPTY)).rejects.toMatchObject({ code: 'not-migrated' });
  });

  it('need no right to create anything once they exist', async () => {
    await open().migrate();
    await look(database.url, 'CREATE ROLE relay_writer LOGIN');
    for (const name of ['instances', 'streams', 'parts']) {
      await look(
        database.url,
        `GRANT SELECT, INSERT, UPDATE, DELETE ON lastchunk_relay_${name} TO relay_writer`,
      );
    }
    await look(database.url, 'GRANT SELECT ON lastchunk_migrations TO relay_writer');
    const url = database.url.replace('postgres@', 'relay_writer@');
    const relay = postgresRelay({ connectionString: url, migrate: true });
    onTestFinished(() => relay.close());
    expect((await relay.exchange(EMPTY)).isHeld).toBe(true);
  });
});

/** A statement of somebody else's that has a row of the streams, until `release`. */
async function lockStream(id: string): Promise<{ release(): Promise<void> }> {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isLocked = (): void => undefined;
  const locked = new Promise<void>((resolve) => {
    isLocked = resolve;
  });
  const over = withClient(database.url, async (run) => {
    await run('BEGIN');
    await run('SELECT id FROM lastchunk_relay_streams WHERE id = $1 FOR UPDATE', [id]);
    isLocked();
    await released;
    await run('COMMIT');
  });
  await locked;
  return {
    release: async () => {
      release();
      await over;
    },
  };
}

const STATE = { conversationId: 'c', heldFrom: null, ending: null, end: null };

/** A stream that is live, of the conversation `c`. */
const OPENED = {
  ...EMPTY,
  openings: [{ streamId: 's', head: '{}', startedAtMs: 1 }],
  states: [{ ...STATE, streamId: 's' }],
};

/** Statements of the relay that wait for a lock. */
const waiting = async (): Promise<number> => {
  const sql =
    "SELECT count(*)::int AS count FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%lastchunk_relay%'";
  const [row] = await look(database.url, sql);
  return Number(row?.['count']);
};

describe('a conversation that is purged', () => {
  it('is deleted also while another session uses one of its streams', async () => {
    const relay = open({ migrate: true, statementTimeoutMs: 60_000 });
    await relay.exchange(OPENED);
    const lock = await lockStream('s');
    const purged = relay.purge('c');
    await until('it waits', async () => (await waiting()) === 1);
    await lock.release();
    expect(await purged).toBe(1);
    expect(await relay.find({ streamId: 's' })).toBeUndefined();
  });

  it('is reported as not deleted while another session locks one of its streams', async () => {
    const relay = open({ migrate: true, statementTimeoutMs: 300 });
    await relay.exchange(OPENED);
    const lock = await lockStream('s');
    await expect(relay.purge('c')).rejects.toMatchObject({ code: '57014' });
    await lock.release();
    expect(await relay.find({ streamId: 's' })).toBeDefined();
  });
});

describe('an exchange', () => {
  it('waits for no other call, even if all other connections wait', async () => {
    const relay = open({ migrate: true, statementTimeoutMs: 60_000, maxConnections: 3 });
    await relay.exchange(OPENED);
    const lock = await lockStream('s');
    const purges = Array.from({ length: 3 }, () => relay.purge('c'));
    await until('they wait', async () => (await waiting()) === 2);
    expect((await relay.exchange({ ...EMPTY, registers: false })).isHeld).toBe(true);
    await lock.release();
    const counts = await Promise.all(purges);
    expect(counts.reduce((sum, count) => sum + count)).toBe(1);
  });

  it('and all other calls share one connection if there is only one', async () => {
    const relay = open({ migrate: true, maxConnections: 1 });
    expect((await relay.exchange(OPENED)).isHeld).toBe(true);
    expect(await relay.find({ streamId: 's' })).toBeDefined();
  });
});

describe('a stored end that cannot be parsed', () => {
  it('is an interrupted end, and does not affect other streams', async () => {
    const relay = open({ migrate: true });
    await relay.exchange({
      ...OPENED,
      openings: ['s', 't'].map((streamId) => ({ streamId, head: '{}', startedAtMs: 1 })),
      states: ['s', 't'].map((streamId) => ({ ...STATE, streamId })),
      parts: ['s', 't'].map((streamId) => ({ streamId, at: 0, body: Buffer.from('hello') })),
    });
    for (const text of ['no JSON', '[]', '{}']) {
      await look(
        database.url,
        "UPDATE lastchunk_relay_streams SET response_end = $1 WHERE id = 's'",
        [text],
      );
      const positions = ['s', 't'].map((streamId) => ({ streamId, offset: 0 }));
      const tails = await relay.read(positions, { maxBytes: 100, withHeld: false });
      expect(tails.map((tail) => tail && Buffer.from(tail.body).toString())).toEqual([
        'hello',
        'hello',
      ]);
      expect(tails[0]?.end).toMatchObject({ isTidy: false, outcome: 'interrupted' });
      expect(tails[0]?.end?.length).toBeGreaterThan(5);
      expect(tails[1]?.end).toBeNull();
      expect((await relay.find({ streamId: 's' }))?.end?.isTidy).toBe(false);
    }
  });
});

describe('postgresRelay()', () => {
  it.each([
    [{ connectionString: 'postgres://h/d', durable: 1 }, '`durable`'],
    [{ connectionString: 'postgres://h/d', schema: '' }, '`schema`'],
    [{ connectionString: 'postgres://h/d', tabel: 1 }, '`tabel`'],
    [{}, '`connectionString`'],
  ])('refuses %j', (options, word) => {
    // A mistake that TypeScript would find.
    expect(() => postgresRelay(options as PostgresRelayOptions)).toThrow(word);
  });

  it('finds a conversation whose name is too long for an index', async () => {
    const relay = open({ migrate: true });
    const conversationId = `\0${'long'.repeat(2_000)}`;
    await relay.exchange({
      ...EMPTY,
      openings: [{ streamId: 's', head: '{}', startedAtMs: 1 }],
      states: [{ streamId: 's', conversationId, heldFrom: null, ending: null, end: null }],
    });
    expect((await relay.find({ conversationId }))?.streamId).toBe('s');
  });

  it('rejects while the database is down, and afterwards answers without the data of its unlogged tables', async () => {
    const relay = open({ migrate: true });
    await relay.exchange({ ...EMPTY, openings: [{ streamId: 's', head: '{}', startedAtMs: 1 }] });
    await database.server.stopImmediate();
    await expect(relay.exchange({ ...EMPTY, registers: false })).rejects.toBeInstanceOf(Error);
    await database.server.start();
    expect((await relay.exchange({ ...EMPTY, registers: false })).isHeld).toBe(false);
    expect(await relay.find({ streamId: 's' })).toBeUndefined();
  });

  it('refuses calls after its close, and closes once', async () => {
    const relay = open({ migrate: true });
    await relay.exchange(EMPTY);
    await Promise.all([relay.close(), relay.close()]);
    await expect(relay.exchange(EMPTY)).rejects.toMatchObject({ code: 'closed' });
  });
});
