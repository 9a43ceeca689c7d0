/** What is Redis's alone: clusters, scripts that are forgotten, acknowledged writes that are lost, and its errors in words. */
import { createCluster } from 'redis';
import { Cluster, Redis } from 'ioredis';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest';
import { describeError } from '../../src/core/error-words.ts';
import { redisRelay, type RedisClient, type RedisRelayOptions } from '../../src/redis/index.ts';
import type { Relay, RelayBatch, RelayEnd } from '../../src/relay/port.ts';
import { EMPTY_BATCH } from '../relay/empty-batch.ts';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const present = hasRedis('what is Redis alone');
let server: TestRedis;
beforeAll(async () => {
  if (present) server = await startRedis();
});
afterAll(() => server?.remove());
beforeEach(async () => {
  if (!present) return;
  await server.start();
  await server.ask('FLUSHALL');
});
/** A failed test leaves no engine that stands still. */
afterEach(() => server?.resume());

const END: RelayEnd = { isTidy: true, length: 5, outcome: 'completed', save: 'saved' };
const STATE = { streamId: 's', conversationId: 'c', heldFrom: null, ending: null, end: null };
const OPENED: RelayBatch = {
  ...EMPTY_BATCH,
  registers: true,
  openings: [{ streamId: 's', head: 'the head', startedAtMs: 1 }],
  states: [STATE],
  parts: [{ streamId: 's', at: 0, body: Buffer.from('hello') }],
};
const ALL = { maxBytes: 1_000, withHeld: true };

const at = (port: number): RedisClient => new Redis({ port, lazyConnect: true });

function open(options: Partial<RedisRelayOptions> = {}): Relay {
  const relay = redisRelay({ client: at(server.port), ...options });
  onTestFinished(() => relay.close());
  return relay;
}

const bodyOf = async (relay: Relay): Promise<string | undefined> => {
  const [tail] = await relay.read([{ streamId: 's', offset: 0 }], ALL);
  return tail && Buffer.from(tail.body).toString();
};

const keys = async (): Promise<readonly string[]> =>
  ((await server.ask('KEYS', '*')) as string[]).toSorted();

describe.runIf(present)('the relay in Redis', () => {
  it('needs one command for each call, and sends a script again that the engine has evicted', async () => {
    const relay = open();
    await relay.exchange(OPENED);
    await server.ask('CONFIG', 'RESETSTAT');
    for (let n = 0; n < 5; n += 1) await relay.exchange(EMPTY_BATCH);
    const stats = async (): Promise<string> => String(await server.ask('INFO', 'commandstats'));
    expect(await stats()).toContain('cmdstat_evalsha:calls=5,');
    expect(await stats()).not.toContain('cmdstat_eval:');
    await server.ask('SCRIPT', 'FLUSH');
    expect((await relay.exchange(EMPTY_BATCH)).isHeld).toBe(true);
    expect(await stats()).toContain('cmdstat_eval:calls=1,');
  });

  it('keeps no key of a purged stream, and gives every body an expiry', async () => {
    const relay = open();
    await relay.exchange(OPENED);
    expect(await server.ask('PTTL', '{lastchunk}:body:s')).toBe(-1);
    await relay.exchange({ ...EMPTY_BATCH, states: [{ ...STATE, end: END }], settled: ['s'] });
    for (const kind of ['body:s', 'stream:s', 'conversation:c']) {
      const ms = Number(await server.ask('PTTL', `{lastchunk}:${kind}`));
      expect(ms).toBeGreaterThan(600_000);
      expect(ms).toBeLessThanOrEqual(660_000);
    }
    // Opened again it is live.
    await relay.exchange({ ...OPENED, registers: false });
    for (const kind of ['body:s', 'stream:s', 'conversation:c']) {
      expect(await server.ask('PTTL', `{lastchunk}:${kind}`)).toBe(-1);
    }
    expect(await relay.purge('c')).toBe(1);
    const rest = ['following', 'leases', 'turns', 'version'].map((name) => `{lastchunk}:${name}`);
    expect(await keys()).toEqual(rest);
  });

  it('gets all streams again if a failover has lost acknowledged writes', async () => {
    const relay = open();
    await relay.exchange(OPENED);
    const dumped = new Map<string, unknown>();
    const client = new Redis({ port: server.port });
    onTestFinished(() => client.disconnect());
    for (const key of await client.keys('*')) dumped.set(key, await client.dumpBuffer(key));
    await relay.exchange({ ...EMPTY_BATCH, states: [{ ...STATE, end: END }] });
    await client.flushall();
    for (const [key, value] of dumped) await client.restore(key, 0, value as Buffer);
    // Also where the exchange has nothing to tell: its end was lost.
    const answer = await relay.exchange(EMPTY_BATCH);
    expect(answer.isHeld).toBe(false);
    const again = await relay.exchange({ ...OPENED, instance: 'anew' });
    expect(again.lengths.get('s')).toBe(5);
  });

  it('separates the keys of prefixes, whatever keyPrefix the client has', async () => {
    const client = new Redis({ port: server.port, lazyConnect: true, keyPrefix: 'app:' });
    const one = open({ client, prefix: 'one' });
    await one.exchange(OPENED);
    expect(await bodyOf(open({ prefix: 'two' }))).toBeUndefined();
    expect(await bodyOf(open({ prefix: 'one' }))).toBe('hello');
    expect((await keys()).every((key) => key.startsWith('{one}:'))).toBe(true);
  });

  it('reports keys of another version, and keys of another program', async () => {
    const relay = open();
    await server.ask('SET', '{lastchunk}:version', '2');
    await expect(relay.exchange(OPENED)).rejects.toThrow('another version of lastchunk');
    await expect(relay.find({ streamId: 's' })).rejects.toThrow('another version of lastchunk');
    await server.ask('FLUSHALL');
    await server.ask('SET', '{lastchunk}:leases', 'x');
    await expect(relay.exchange(OPENED)).rejects.toThrow('give another `prefix`');
    expect(await keys()).toEqual(['{lastchunk}:leases']);
  });

  it('reports the fault of the engine, without any text of users', async () => {
    const relay = open({ commandTimeoutMs: 1_500, connectTimeoutMs: 1_500 });
    await relay.exchange(OPENED);
    const secret = {
      ...OPENED,
      parts: [{ streamId: 's', at: 0, body: Buffer.from('secret'.repeat(50)) }],
    };
    const failure = async (): Promise<Error> => {
      const error: unknown = await relay.exchange(secret).then(
        () => 'it answers',
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(Error);
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret');
      return error as Error;
    };
    await server.ask('REPLICAOF', '127.0.0.1', '1');
    expect(describeError(await failure())).toContain('(READONLY): it takes no writes');
    await server.ask('REPLICAOF', 'NO', 'ONE');
    await server.ask('CONFIG', 'SET', 'maxmemory', '1');
    expect(describeError(await failure())).toContain('(OOM): it is full');
    await server.ask('CONFIG', 'SET', 'maxmemory', '0');
    await server.ask('CONFIG', 'SET', 'requirepass', 'x');
    await server.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until('it wants a password', async () =>
      /\((NOAUTH|WRONGPASS)\)/.test(String(describeError(await failure()))),
    );
    await server.ask('CONFIG', 'SET', 'requirepass', '');
    server.pause();
    expect(describeError(await failure())).toMatch(
      /^no (answer|connection) from the engine of the relay within 1500 ms$/,
    );
    server.resume();
    await server.kill();
    await until('it is gone', async () => describeError(await failure())?.includes('ECONNREFUSED'));
    await server.start();
    await until('it is back', () =>
      relay.exchange({ ...OPENED, instance: 'j' }).catch(() => false),
    );
  });

  it('queues no commands while the engine does not answer', async () => {
    const relay = open({ commandTimeoutMs: 50 });
    await until('it answers in time', () => relay.exchange(OPENED).catch(() => false));
    server.pause();
    const calls = Array.from({ length: 20 }, () => relay.exchange(EMPTY_BATCH));
    const results = await Promise.allSettled(calls);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    server.resume();
    await until('it answers', () => relay.find({ streamId: 's' }).catch(() => false));
    const clients = String(await server.ask('CLIENT', 'LIST', 'TYPE', 'normal'))
      .trim()
      .split('\n');
    // Two of the relay, and the test's own.
    expect(clients.length).toBeLessThanOrEqual(3);
  });

  it('does not change or close the client of the app', async () => {
    const client = new Redis({ port: server.port, db: 3 });
    onTestFinished(() => client.disconnect());
    const relay = open({ client });
    await relay.exchange(OPENED);
    expect(await client.exists('{lastchunk}:stream:s')).toBe(1);
    await Promise.all([relay.close(), relay.close()]);
    await expect(relay.exchange(EMPTY_BATCH)).rejects.toMatchObject({ code: 'closed' });
    expect(await client.ping()).toBe('PONG');
    await until('its own connections are closed', async () => {
      const list = String(await server.ask('CLIENT', 'LIST', 'TYPE', 'normal'));
      return list.trim().split('\n').length === 2;
    });
  });
});

describe.runIf(present)('a cluster', () => {
  let node: TestRedis;
  beforeAll(async () => {
    node = await startRedis({ 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' });
    await node.ask('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383);
    await until('it has a node for every slot', async () =>
      String(await node.ask('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    );
  });
  afterAll(() => node?.remove());

  it.each([
    ['ioredis', () => new Cluster([{ host: '127.0.0.1', port: node.port }], { lazyConnect: true })],
    ['redis', () => createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${node.port}` }] })],
  ])('has all keys of a relay in one slot, with the client %s', async (_, client) => {
    await node.ask('FLUSHALL');
    const relay = open({ client: client() });
    expect((await relay.exchange(OPENED)).isHeld).toBe(true);
    expect(await bodyOf(relay)).toBe('hello');
    expect(await relay.command('s')).toBe(true);
    expect((await relay.exchange(EMPTY_BATCH)).stops).toEqual(['s']);
    expect(await relay.purge('c')).toBe(1);
  });
});

describe('redisRelay()', () => {
  const client = { callBuffer() {}, duplicate() {}, connect() {}, disconnect() {} };

  it.each([
    [{}, '`client`'],
    [{ client: 'redis://h' }, '`client`'],
    [{ client: { sendCommand() {} } }, 'redis before 4'],
    [{ client, prefix: '' }, '`prefix`'],
    [{ client, prefix: '{a}' }, '`prefix`'],
    [{ client, prefix: 'a b' }, '`prefix`'],
    [{ client, commandTimeoutMs: 0 }, '`commandTimeoutMs`'],
    [{ client, connectTimeoutMs: 60_001 }, '`connectTimeoutMs`'],
    [{ client, prefx: 'a' }, 'did you mean `prefix`'],
  ])('refuses %j', (options, word) => {
    // A mistake that TypeScript would find.
    expect(() => redisRelay(options as unknown as RedisRelayOptions)).toThrow(word);
  });
});
