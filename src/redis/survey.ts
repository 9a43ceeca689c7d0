/** What an operator asks of a Redis with a relay in it. Changes nothing. */
import { Buffer } from 'node:buffer';
import { linksOf, type RedisClient } from './client.ts';
import { RedisConnection } from './connection.ts';
import { LAYOUT } from './scripts.ts';
import { rootOf } from './values.ts';

/** A server as it is now. */
export interface RedisSurvey {
  /** Of Redis, or the one that the server is compatible with; empty where it does not tell. */
  readonly version: string;
  /** Whether it writes to disk: an append-only file or snapshots. `undefined` where it does not tell. */
  readonly isOnDisk: boolean | undefined;
  /** The `maxmemory-policy` by which it deletes keys when it is full; `undefined` where it deletes none. */
  readonly eviction: string | undefined;
  /** Whether the keys of this prefix, if there are any, have the layout of this version of lastchunk. */
  readonly isOurLayout: boolean;
  /** That hold a lease, by the clock of the server. */
  readonly instances: number;
}

/** Asks one server. Rejects where it does not answer within `timeoutMs`, and with `bad-option` for an impossible prefix. */
export async function surveyRedis(
  client: RedisClient,
  prefix: string | undefined,
  timeoutMs: number,
): Promise<RedisSurvey> {
  const root = rootOf(prefix);
  const timeouts = { connectTimeoutMs: timeoutMs, commandTimeoutMs: timeoutMs };
  const connection = new RedisConnection(linksOf(client, timeoutMs), root, timeouts);
  try {
    const info = fieldsOf(textOf(await connection.ask(['INFO'])) ?? '');
    const layout = textOf(await connection.ask(['GET', `${root}:version`]));
    const time = await connection.ask(['TIME']);
    const now = String(
      Math.floor(Number(itemOf(time, 0)) * 1_000 + Number(itemOf(time, 1)) / 1_000),
    );
    const policy = info.get('maxmemory_policy');
    const isBounded = Number(info.get('maxmemory') ?? 0) > 0;
    return {
      version: info.get('redis_version') ?? '',
      isOnDisk: info.get('aof_enabled') === '1' ? true : await hasSnapshots(connection),
      eviction: isBounded && policy !== 'noeviction' ? policy : undefined,
      isOurLayout: layout === undefined || layout === LAYOUT,
      instances: Number(await connection.ask(['ZCOUNT', `${root}:leases`, `(${now}`, '+inf'])),
    };
  } finally {
    connection.close();
  }
}

/** `undefined` where the server does not let everybody ask, as hosted ones do. */
async function hasSnapshots(connection: RedisConnection): Promise<boolean | undefined> {
  try {
    const save = textOf(itemOf(await connection.ask(['CONFIG', 'GET', 'save']), 1));
    return save === undefined ? undefined : save !== '';
  } catch {
    // It answered the question before: it refuses this one.
    return undefined;
  }
}

function fieldsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split('\r\n').flatMap((line) => {
      const at = line.indexOf(':');
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
    }),
  );
}

/** Links give texts as bytes. */
function textOf(reply: unknown): string | undefined {
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : undefined;
}

function itemOf(reply: unknown, at: number): unknown {
  return Array.isArray(reply) ? reply[at] : undefined;
}
