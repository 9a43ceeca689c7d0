/** A client for the Redis that a command is given: made by the app's `ioredis` or `redis`, whichever is installed. */
import { LastchunkError } from '../core/errors.ts';
import { appPlaces, findPeer, loadPeer } from '../core/load-peer.ts';
import { bad } from '../core/options.ts';
import type { RedisClient } from '../redis/index.ts';

/**
 * Throws `bad-option` for a text that is no address of a Redis. The text is never shown: it may contain a password even if it is invalid.
 */
export function checkRedisAddress(url: string): void {
  if (/^rediss?:\/\//.test(url) && URL.canParse(url)) return;
  throw bad('`--redis-url` must be an address that starts with redis:// or rediss://');
}

/**
 * A client of one server, not connected: its caller duplicates it. Throws `missing-peer` where neither package is installed
 * in `places`.
 */
export function openRedis(url: string, places: readonly string[] = appPlaces()): RedisClient {
  if (findPeer('ioredis', places) !== undefined) {
    const { Redis } = loadPeer('ioredis', places) as Ioredis;
    return new Redis(url, { lazyConnect: true });
  }
  if (findPeer('redis', places) !== undefined) {
    return (loadPeer('redis', places) as NodeRedis).createClient({ url });
  }
  throw new LastchunkError(
    'missing-peer',
    '`--redis-url` needs the package ioredis or redis and found neither: npm install ioredis',
  );
}

/** The part of `ioredis` 5 that is used. */
interface Ioredis {
  readonly Redis: new (url: string, options: { readonly lazyConnect: true }) => RedisClient;
}

/** The part of `redis` 4 and later that is used. */
interface NodeRedis {
  createClient(options: { readonly url: string }): RedisClient;
}
