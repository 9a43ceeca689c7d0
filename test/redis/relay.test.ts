/** The engine over a real Redis, by each client that it knows. */
import { createClient as createClient5 } from 'redis';
import { createClient as createClient4 } from 'redis4';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, onTestFinished } from 'vitest';
import { redisRelay, type RedisClient, type RedisRelayOptions } from '../../src/redis/index.ts';
import { describeRelay, type RelayFault } from '../relay/conformance.ts';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.ts';

const present = hasRedis('the relay over Redis');
let server: TestRedis;
beforeAll(async () => {
  if (present) server = await startRedis({ appendonly: 'yes' });
});
afterAll(() => server?.remove());

const byIoredis = (): RedisClient => new Redis({ port: server.port, lazyConnect: true });

const CLIENTS: Readonly<Record<string, () => RedisClient>> = {
  'ioredis 5': byIoredis,
  'redis 5': () => createClient5({ url: `redis://127.0.0.1:${server.port}` }),
  'redis 4': () => createClient4({ url: `redis://127.0.0.1:${server.port}` }),
};

function open(options: Partial<RedisRelayOptions> = {}) {
  const relay = redisRelay({ client: byIoredis(), ...options });
  onTestFinished(() => relay.close());
  return relay;
}

describe.runIf(present)('Redis', () => {
  for (const [name, client] of Object.entries(CLIENTS)) {
    describeRelay(`Redis, by ${name}`, async () => {
      await server.ask('FLUSHALL');
      return {
        connect: () => open({ client: client(), commandTimeoutMs: 500 }),
        expire: async (instance) => {
          await server.ask('ZADD', '{lastchunk}:leases', 'XX', 1, instance);
        },
        forget: () => forget(server),
        faults: faultsOf(server),
      };
    });
  }
});

/** Whatever has an end may be deleted. */
async function forget({ ask }: TestRedis): Promise<void> {
  const script = `for _, key in ipairs(redis.call('KEYS', '{lastchunk}:stream:*')) do
    if redis.call('HGET', key, 'until') ~= '' then redis.call('HSET', key, 'until', '1') end
  end
  for _, id in ipairs(redis.call('ZRANGE', '{lastchunk}:over', 0, -1)) do
    redis.call('ZADD', '{lastchunk}:over', 1, id)
  end`;
  await ask('EVAL', script, 0);
}

function faultsOf({ ask, kill, start, pause, resume }: TestRedis): readonly RelayFault[] {
  const told =
    (...command: readonly [string, ...string[]]) =>
    async (): Promise<void> => {
      await ask(...command);
    };
  return [
    { name: 'slow', begin: async () => pause(), end: async () => resume() },
    {
      name: 'read-only',
      begin: told('REPLICAOF', '127.0.0.1', '1'),
      end: told('REPLICAOF', 'NO', 'ONE'),
    },
    {
      name: 'full',
      begin: told('CONFIG', 'SET', 'maxmemory', '1'),
      end: told('CONFIG', 'SET', 'maxmemory', '0'),
    },
    { name: 'gone', begin: kill, end: start },
  ];
}
