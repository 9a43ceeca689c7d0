/**
 * `lastchunk/redis`: the relay over Redis 6.2 and later, or Valkey, on its own connections, which it duplicates from the app's client.
 * Each call is one script, which the server runs atomically.
 */
import '../core/supported-node.ts';
import { isIdentifier } from '../core/identifiers.ts';
import { optionGroup, refuseUnknown, wholeNumber } from '../core/options.ts';
import { NOT_HELD, readPositions } from '../relay/engine.ts';
import type { Relay, RelayAnswer, RelayBatch, RelayRecord, RelayTail } from '../relay/port.ts';
import { linksOf, type RedisArgument, type RedisClient } from './client.ts';
import { closedError, RedisConnection } from './connection.ts';
import { DELETED_AT_ONCE, type SCRIPTS } from './scripts.ts';
import {
  conversationArgument,
  exchangeArguments,
  parseAnswer,
  parseClaims,
  parseRecord,
  parseTails,
  readArguments,
  rootOf,
} from './values.ts';

export type { RedisClient };

/** Options of `redisRelay()`. */
export interface RedisRelayOptions {
  /**
   * A client of `ioredis` 5 or `redis` 4 and later: for a server, a cluster, or (`ioredis`) sentinels. The relay duplicates it
   * twice (`duplicate()`), and closes only these two connections.
   */
  readonly client: RedisClient;
  /**
   * The prefix of all keys, in braces: `{lastchunk}:…`, so that a cluster stores them in one slot. 1 to 64 letters, digits and any of
   * `_.:-`. Default `lastchunk`. Each app that shares a Redis needs its own.
   */
  readonly prefix?: string | undefined;
  /** Time limit for a new connection: 1 to 60 000 ms. Default 2 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Time limit for the answer to each command: 1 to 600 000 ms. Default 2 000. */
  readonly commandTimeoutMs?: number | undefined;
}

const KNOWN: readonly (keyof RedisRelayOptions)[] = [
  'client',
  'prefix',
  'connectTimeoutMs',
  'commandTimeoutMs',
];

/**
 * Creates the relay. Throws `bad-option` for an invalid option. Does not connect: while the server does not answer, calls reject.
 */
export function redisRelay(options: RedisRelayOptions): Relay {
  const given = optionGroup('redisRelay()', options);
  refuseUnknown('redisRelay()', given, KNOWN);
  const connectTimeoutMs = wholeNumber('connectTimeoutMs', given['connectTimeoutMs'], {
    min: 1,
    max: 60_000,
    fallback: 2_000,
  });
  const commandTimeoutMs = wholeNumber('commandTimeoutMs', given['commandTimeoutMs'], {
    min: 1,
    max: 600_000,
    fallback: 2_000,
  });
  const makeLink = linksOf(given['client'], connectTimeoutMs);
  const root = rootOf(given['prefix']);
  const connect = (): RedisConnection =>
    new RedisConnection(makeLink, root, { connectTimeoutMs, commandTimeoutMs });
  // Two connections, so that a large read delays no flush and no renewal of a lease.
  return new RedisKeysClient(connect(), connect());
}

class RedisKeysClient implements Relay {
  readonly #exchanges: RedisConnection;
  readonly #others: RedisConnection;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  /** The number of exchanges that the server has acknowledged for the current lease. */
  #acknowledged = { instance: '', turn: 0 };

  constructor(exchanges: RedisConnection, others: RedisConnection) {
    this.#exchanges = exchanges;
    this.#others = others;
  }

  /** A server that lost what it had acknowledged answers that the lease is not held. */
  async exchange(batch: RelayBatch): Promise<RelayAnswer> {
    const { instance, turn } = this.#acknowledged;
    const args = exchangeArguments(batch, instance === batch.instance ? turn : 0);
    const told = parseAnswer(await this.#run('exchange', args, this.#exchanges), batch);
    if (told === undefined) return NOT_HELD;
    this.#acknowledged = { instance: batch.instance, turn: told.turn };
    return told.answer;
  }

  async find(query: Parameters<Relay['find']>[0]): Promise<RelayRecord | undefined> {
    if (!('streamId' in query)) {
      const conversation = conversationArgument(query.conversationId).slice(1);
      return parseRecord(await this.#run('find', ['', conversation]));
    }
    if (!isIdentifier(query.streamId)) return undefined;
    return parseRecord(await this.#run('find', [query.streamId]));
  }

  async read(
    ...[positions, reading]: Parameters<Relay['read']>
  ): Promise<readonly (RelayTail | undefined)[]> {
    return readPositions(positions, async (known) =>
      parseTails(await this.#run('read', readArguments(known, reading))),
    );
  }

  async command(streamId: string): Promise<boolean> {
    return isIdentifier(streamId) && Number(await this.#run('command', [streamId])) === 1;
  }

  async claim(instance: string, retainMs: number, repeats = false): ReturnType<Relay['claim']> {
    const args = [instance, String(retainMs), repeats ? '1' : '0'];
    return parseClaims(await this.#run('claim', args));
  }

  async settled(instance: string, streamIds: readonly string[], retainMs: number): Promise<void> {
    await this.#run('settled', [instance, String(retainMs), ...streamIds.filter(isIdentifier)]);
  }

  async purge(conversationId?: string): Promise<number> {
    const which = conversationArgument(conversationId ?? null);
    for (let purged = 0; ;) {
      const count = Number(await this.#run('purge', [which]));
      purged += count;
      if (count < DELETED_AT_ONCE) return purged;
    }
  }

  /** Waits for running calls, then closes the two connections. The app's client stays open. A second call returns the same promise. */
  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#running).then(() => {
      this.#exchanges.close();
      this.#others.close();
    });
    return this.#closing;
  }

  async #run(
    name: keyof typeof SCRIPTS,
    args: readonly RedisArgument[],
    by = this.#others,
  ): Promise<unknown> {
    if (this.#closing) throw closedError();
    const work = by.run(name, args);
    this.#running.add(work);
    return work.finally(() => this.#running.delete(work));
  }
}
