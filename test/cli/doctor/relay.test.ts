/** What the doctor says of a relay: real tables, and a real Redis where there is one. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { postgres, postgresRelay, type PostgresRelayOptions } from '../../../src/postgres/index.ts';
import { redisRelay } from '../../../src/redis/index.ts';
import { look } from '../../postgres/messages.ts';
import { EMPTY_BATCH } from '../../relay/empty-batch.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { hasRedis, startRedis, type TestRedis } from '../../support/redis.ts';
import { anApp, doctor, HEALTHY, install, real } from './an-app.ts';

describe('the relay in PostgreSQL', () => {
  let server: TestPostgres;
  let url: string;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove());
  beforeEach(async () => {
    url = await server.newDatabase();
    const store = postgres({ connectionString: url, migrate: true });
    await store.check();
    await store.close();
  });

  const examine = async (...argv: readonly string[]) =>
    doctor(await anApp(), ['--database-url', url, ...argv]);

  function open(options: PostgresRelayOptions = {}) {
    const relay = postgresRelay({ connectionString: url, migrate: true, ...options });
    onTestFinished(() => relay.close());
    return relay;
  }

  /** An instance that holds a lease for `leaseMs`, with a stream that began a minute ago. */
  async function stream(options: PostgresRelayOptions = {}, leaseMs = 60_000): Promise<void> {
    await open(options).exchange({
      ...EMPTY_BATCH,
      registers: true,
      leaseMs,
      openings: [{ streamId: 's', head: '{}', startedAtMs: Date.now() - 60_000 }],
      states: [{ streamId: 's', conversationId: 'c', heldFrom: null, ending: null, end: null }],
    });
  }

  it('is a note if its tables are missing, and wrong with --relay', async () => {
    const { exitCode, lines } = await examine();
    expect([exitCode, lines.length, lines[0]]).toEqual([
      0,
      2,
      expect.stringContaining('note   there is no relay in the database.'),
    ]);
    expect(await examine('--relay')).toEqual({
      exitCode: 1,
      lines: [
        'wrong  the tables of the relay have not been made. npx lastchunk migrate --relay, or `migrate: true` of postgresRelay().',
        '1 wrong',
      ],
    });
  });

  it('is reported with its leases and its unsettled streams', async () => {
    await open().exchange({ ...EMPTY_BATCH, registers: true, instance: 'other' });
    await stream();
    const { exitCode, lines } = await examine('--relay');
    expect([exitCode, lines[0]]).toEqual([
      0,
      expect.stringMatching(
        /^note {3}the relay in PostgreSQL, UNLOGGED: 2 instances hold a lease, 1 stream is not settled, the oldest for 6\d s\. a crash/,
      ),
    ]);
    await look(url, 'UPDATE lastchunk_relay_streams SET is_settled = true');
    expect((await examine()).lines[0]).toContain(
      '2 instances hold a lease, 0 streams are not settled.',
    );
  });

  it('is wrong if streams wait in it and no instance holds a lease', async () => {
    await stream({}, 0);
    const { exitCode, lines } = await examine();
    expect([exitCode, lines[0]]).toEqual([
      1,
      'wrong  1 stream of the relay waits to be saved, and no instance holds a lease. start the app with its relay: it saves them.',
    ]);
    // Another one holds a lease: it claims the streams by itself.
    await open().exchange({ ...EMPTY_BATCH, registers: true, instance: 'other' });
    expect((await examine()).exitCode).toBe(0);
  });

  it('is wrong if it should be durable and is not, and the printed statement repairs it', async () => {
    await look(url, 'CREATE SCHEMA chat');
    await open({ schema: 'chat' }).migrate();
    const durable = ['--relay', '--schema', 'chat', '--durable'];
    const { exitCode, lines } = await examine(...durable);
    expect([exitCode, lines[0]]).toEqual([1, expect.stringMatching(/UNLOGGED.*SET LOGGED/)]);
    const [, fix = ''] = /`durable`: (.*)\.$/.exec(lines[0] ?? '') ?? [];
    await look(url, fix);
    const mended = await examine(...durable);
    expect([mended.exitCode, mended.lines[0]]).toEqual([
      0,
      expect.stringContaining('in PostgreSQL, logged: 0 instances hold a lease'),
    ]);
  });

  it('is reported if it has another version or lacks a table', async () => {
    await look(url, 'CREATE SCHEMA chat');
    await open({ schema: 'chat' }).migrate();
    const inSchema = ['--relay', '--schema', 'chat'];
    await look(url, 'INSERT INTO chat.lastchunk_migrations VALUES ($1, 9000, $1)', [
      'lastchunk_relay',
    ]);
    expect(await examine(...inSchema)).toMatchObject({
      exitCode: 0,
      lines: [
        expect.stringContaining('version 9000'),
        expect.stringContaining('0 instances'),
        'nothing is wrong',
      ],
    });
    await look(url, 'DELETE FROM chat.lastchunk_migrations');
    expect((await examine(...inSchema)).lines[0]).toMatch(
      /^wrong .* version 0 and have to be at 1\./,
    );
    await look(url, 'DROP TABLE chat.lastchunk_relay_parts');
    expect((await examine(...inSchema)).lines[0]).toMatch(/^wrong .* 2 of its 3 tables/);
  });

  it('is wrong if the role may not read it', async () => {
    await open().migrate();
    await look(
      url,
      'CREATE ROLE reader LOGIN; GRANT SELECT ON lastchunk_migrations TO reader; GRANT ALL ON lastchunk_messages TO reader',
    );
    const { lines } = await doctor(await anApp(), [
      '--database-url',
      url.replace('postgres@', 'reader@'),
    ]);
    expect(lines[0]).toMatch(/^wrong {2}the tables of the relay cannot be read: .*\(42501\)/);
  });

  it('is checked only with options that belong together', async () => {
    const app = await anApp();
    await expect(doctor(app, ['--schema', 'chat'])).rejects.toThrow(/give `--relay` too/);
    await expect(doctor(app, ['--relay'])).rejects.toThrow(/no database/);
    await expect(examine('--relay', '--schema', 'a.b')).rejects.toMatchObject({
      code: 'bad-option',
    });
  });
});

const present = hasRedis('what the doctor says of Redis');

describe.runIf(present)('the relay in Redis', () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.remove());
  beforeEach(() => server.ask('FLUSHALL'));

  const examine = async (client: 'ioredis' | 'redis', ...argv: readonly string[]) => {
    const app = await anApp(real([...HEALTHY, client]));
    const address = `redis://127.0.0.1:${server.port}`;
    const { exitCode, lines } = await doctor(app, ['--redis-url', address, ...argv]);
    return { exitCode, lines: lines.filter((line) => /Redis/.test(line)) };
  };

  it.each(['ioredis', 'redis'] as const)('is reported with its leases, by %s', async (client) => {
    const app = new Redis({ port: server.port, lazyConnect: true });
    for (const instance of ['a', 'b', 'gone']) {
      const relay = redisRelay({ client: app, prefix: 'chat' });
      const leaseMs = instance === 'gone' ? 0 : 60_000;
      await relay.exchange({ ...EMPTY_BATCH, registers: true, instance, leaseMs });
      await relay.close();
    }
    await server.ask('CONFIG', 'SET', 'save', '3600 1');
    onTestFinished(async () => void (await server.ask('CONFIG', 'SET', 'save', '')));
    expect(await examine(client, '--redis-prefix', 'chat', '--no-journal')).toEqual({
      exitCode: 0,
      lines: [
        expect.stringMatching(
          /^note {3}the relay in Redis \d+\.\d+\.\d+: 2 instances hold a lease\./,
        ),
      ],
    });
    await server.ask('SET', '{chat}:version', '9000');
    const { exitCode, lines } = await examine(client, '--redis-prefix', 'chat');
    expect([exitCode, lines[0]]).toEqual([
      1,
      expect.stringContaining('another version of lastchunk'),
    ]);
  });

  it('is a note if Redis writes nothing to disk, and wrong without a journal', async () => {
    const says = 'Redis writes nothing to disk: its restart loses what only the relay has';
    const withJournal = await examine('ioredis');
    expect([withJournal.exitCode, withJournal.lines[0]]).toEqual([
      0,
      expect.stringContaining(`note   ${says}`),
    ]);
    const without = await examine('ioredis', '--no-journal');
    expect([without.exitCode, without.lines[0]]).toEqual([
      1,
      expect.stringContaining(`wrong  ${says}`),
    ]);
    await server.ask('CONFIG', 'SET', 'appendonly', 'yes');
    onTestFinished(async () => void (await server.ask('CONFIG', 'SET', 'appendonly', 'no')));
    expect((await examine('ioredis', '--no-journal')).exitCode).toBe(0);
  });

  it('is wrong if Redis may evict the keys of live streams', async () => {
    await server.ask('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    expect((await examine('ioredis')).exitCode).toBe(0);
    await server.ask('CONFIG', 'SET', 'maxmemory', '100mb');
    onTestFinished(async () => void (await server.ask('CONFIG', 'SET', 'maxmemory', '0')));
    const all = await examine('ioredis');
    expect([all.exitCode, all.lines[0]]).toEqual([
      1,
      expect.stringContaining('live streams of the relay when it is full (allkeys-lru)'),
    ]);
    await server.ask('CONFIG', 'SET', 'maxmemory-policy', 'volatile-ttl');
    const ended = await examine('ioredis');
    expect([ended.exitCode, ended.lines[0]]).toEqual([0, expect.stringContaining('ended streams')]);
    await server.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    expect((await examine('ioredis')).lines.join()).not.toContain('when it is full');
  });
});

describe('a Redis that cannot be checked', () => {
  const nowhere = ['--redis-url', 'redis://:secret@127.0.0.1:1'];
  const lineIn = async (app: string) =>
    (await doctor(app, nowhere)).lines.find((line) => line.startsWith('wrong'));

  it('is wrong if it does not answer, and its password is not printed', async () => {
    const line = await lineIn(await anApp(real([...HEALTHY, 'ioredis'])));
    expect(line).toMatch(/the Redis of the relay does not answer: .*ECONNREFUSED/);
    expect(line).not.toContain('secret');
  });

  it('is wrong if its client is not installed', async () => {
    expect(await lineIn(await anApp())).toMatch(
      /`--redis-url` is given, and neither ioredis nor redis/,
    );
  });

  it('is reported by the name of the option that is wrong', async () => {
    const app = await anApp();
    await expect(doctor(app, ['--redis-url', 'http://u:secret@x'])).rejects.toThrow(
      /^`--redis-url` must be an address that starts with redis:\/\/ or rediss:\/\/$/,
    );
    await expect(doctor(app, ['--redis-prefix', 'x'])).rejects.toThrow(/goes with `--redis-url`/);
    await install(app, 'ioredis', 'real');
    await expect(doctor(app, [...nowhere, '--redis-prefix', '{'])).rejects.toMatchObject({
      code: 'bad-option',
    });
  });
});
