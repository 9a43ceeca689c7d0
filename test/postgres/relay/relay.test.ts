import { describe, expect, it, onTestFinished } from 'vitest';
import { type PostgresRelayOptions, postgresRelay } from '../../../src/postgres/relay/relay.ts';
import { describeRelay } from '../../relay/conformance.ts';
import { useDatabase } from '../../support/database.ts';
import { look } from '../messages.ts';

const database = useDatabase();

/** A relay that is closed when its test is over. */
function open(options: Omit<PostgresRelayOptions, 'connectionString'> = {}) {
  const relay = postgresRelay({ connectionString: database.url, ...options });
  onTestFinished(() => relay.close());
  return relay;
}

describeRelay('PostgreSQL', async () => {
  await open().migrate();
  return {
    connect: () => open(),
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
  };
});

const EMPTY = {
  instance: 'i',
  registers: true,
  leaseMs: 60_000,
  retainMs: 60_000,
  openings: [],
  parts: [],
  states: [],
  settled: [],
  following: [],
};

const persistence = () =>
  look(
    database.url,
    "SELECT relname, relpersistence AS kind FROM pg_class WHERE relname LIKE 'lastchunk\\_relay\\_%' AND relkind = 'r' ORDER BY 1",
  );

describe('the tables of the relay', () => {
  it('are made by any number of instances at once, and recorded beside the table of messages', async () => {
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

  it('are not logged unless they are to be durable', async () => {
    await open().migrate();
    expect((await persistence()).map(({ kind }) => kind)).toEqual(['u', 'u', 'u']);
  });

  it('are logged where they are to be durable', async () => {
    await open({ durable: true }).migrate();
    expect((await persistence()).map(({ kind }) => kind)).toEqual(['p', 'p', 'p']);
  });

  it('stand in a schema of their own', async () => {
    await look(database.url, 'CREATE SCHEMA "chat-relay"');
    const relay = open({ schema: 'chat-relay', migrate: true });
    expect((await relay.exchange(EMPTY)).isHeld).toBe(true);
    expect(
      await look(database.url, 'SELECT id FROM "chat-relay".lastchunk_relay_instances'),
    ).toEqual([{ id: 'i' }]);
  });

  it('are asked for in words where they are missing', async () => {
    await expect(open().exchange(EMPTY)).rejects.toMatchObject({ code: 'not-migrated' });
  });

  it('need no right to create anything once they are there', async () => {
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

  it('finds a conversation whose name no index can hold', async () => {
    const relay = open({ migrate: true });
    const conversationId = `\0${'long'.repeat(2_000)}`;
    await relay.exchange({
      ...EMPTY,
      openings: [{ streamId: 's', head: '{}', startedAtMs: 1 }],
      states: [{ streamId: 's', conversationId, heldFrom: null, ending: null, end: null }],
    });
    expect((await relay.find({ conversationId }))?.streamId).toBe('s');
  });

  it('rejects while the database is away, and answers when it is back without what was not durable', async () => {
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
