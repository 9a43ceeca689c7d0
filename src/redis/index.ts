/**
 * `lastchunk/redis`: the relay over Redis 6.2 and later, or Valkey, with connections of its own that it makes from the app's client.
 * Each call is one script, run by the engine whole and alone.
 */
import '../core/supported-node.ts';
import { isIdentifier } from '../core/identifiers.ts';
import { bad, optionGroup, refuseUnknown, show, wholeNumber } from '../core/options.ts';
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
} from './values.ts';

export type { RedisClient };

/** Options of `redisRelay()`. */
export interface RedisRelayOptions {
  /**
   * A client of `ioredis` 5 or `redis` 4 and later: of a server, a cluster, or (`ioredis`) sentinels. The relay makes two
   * connections of its own from it (`duplicate()`), and closes those alone.
   */
  readonly client: RedisClient;
  /**
   * What all keys begin with, in braces: `{lastchunk}:…`, so that a cluster has them in one slot. Letters, digits and `_.:-`, 1 to
   * 64 of them. Default `lastchunk`. One for each app that shares a Redis.
   */
  readonly prefix?: string | undefined;
  /** For a new connection: 1 to 60 000 ms. Default 2 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** For the answer to each command: 1 to 600 000 ms. Default 2 000. */
  readonly commandTimeoutMs?: number | undefined;
}

const KNOWN: readonly (keyof RedisRelayOptions)[] = [
  'client',
  'prefix',
  'connectTimeoutMs',
  'commandTimeoutMs',
];

/**
 * Makes the relay. Throws `bad-option` for a mistake in the options; an engine that does not answer is not a mistake: calls reject
 * until it does.
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
  const root = `{${prefixOption(given['prefix'])}}`;
  const connect = (): RedisConnection =>
    new RedisConnection(makeLink, root, { connectTimeoutMs, commandTimeoutMs });
  // No reading that is large delays a flush or a lease.
  return new RedisKeysClient(connect(), connect());
}

class RedisKeysClient implements Relay {
  readonly #exchanges: RedisConnection;
  readonly #others: RedisConnection;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  /** How many exchanges of which lease the engine has acknowledged. */
  #acknowledged = { instance: '', turn: 0 };

  constructor(exchanges: RedisConnection, others: RedisConnection) {
    this.#exchanges = exchanges;
    this.#others = others;
  }

  /** An engine that has lost what it acknowledged says that the lease is not held. */
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

  async claim(instance: string, retainMs: number): ReturnType<Relay['claim']> {
    return parseClaims(await this.#run('claim', [instance, String(retainMs)]));
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

  /** Waits for calls that are running, then closes the two connections. The app's client stays open. A second call does nothing more. */
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

const PREFIX = /^[\w.:-]{1,64}$/;

function prefixOption(prefix: unknown): string {
  if (prefix === undefined) return 'lastchunk';
  if (typeof prefix === 'string' && PREFIX.test(prefix)) return prefix;
  throw bad(`\`prefix\` must be 1 to 64 letters, digits or any of _.:-, not ${show(prefix)}`);
}
