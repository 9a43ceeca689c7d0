/**
 * Deletes the streams of a conversation from the relay, for `lastchunk journal purge --conversation`: from the tables in the database, and
 * from the Redis that is given.
 */
import { LastchunkError } from '../../core/errors.ts';
import { oneLine } from '../../core/logger.ts';
import { bad } from '../../core/options.ts';
import { postgresRelay } from '../../postgres/index.ts';
import { redisRelay } from '../../redis/index.ts';
import type { Relay } from '../../relay/port.ts';
import { databaseIn, neededDatabase } from '../database.ts';
import type { Io } from '../io.ts';
import { describeFailure } from '../migrate.ts';
import { checkRedisAddress, openRedis } from '../redis.ts';

/** Where the relay is. */
export interface RelayArguments {
  readonly 'database-url'?: string | undefined;
  /** True: the tables must exist. */
  readonly relay?: boolean | undefined;
  /** True: the database is not searched. */
  readonly 'no-relay'?: boolean | undefined;
  readonly schema?: string | undefined;
  readonly 'redis-url'?: string | undefined;
  readonly 'redis-prefix'?: string | undefined;
}

/** Throws `bad-option` if an argument about the relay is given: a relay can be purged by conversation only. */
export function refuseRelayArguments(given: RelayArguments): void {
  const names = ['relay', 'no-relay', 'schema', 'redis-url', 'redis-prefix'] as const;
  const wrong = names.find((name) => given[name] !== undefined);
  if (wrong === undefined) return;
  throw bad(
    `\`--${wrong}\` goes with \`--conversation ID\`: a relay forgets by itself what is old`,
  );
}

/**
 * Purges the conversation in each engine that is given, and prints the number of streams, or that there is no relay. Resolves to true when
 * nothing is left. Rejects with `bad-option` for a mistake in the arguments, before anything is purged.
 */
export async function purgeRelays(
  conversationId: string,
  given: RelayArguments,
  io: Io,
): Promise<boolean> {
  const engines = [...postgresEngine(given, io), ...redisEngine(given)];
  if (engines.length === 0) io.stdout.write('no relay was looked for: none is named\n');
  let isDone = true;
  for (const engine of engines) {
    const { name, isNeeded } = engine;
    try {
      const purged = await purgeOne(engine, conversationId);
      io.stdout.write(`${purged} purged from the relay in ${name}\n`);
    } catch (error) {
      if (isMissing(error) && !isNeeded) {
        io.stdout.write(`there is no relay in ${name}\n`);
        continue;
      }
      isDone = false;
      const why = oneLine(describeFailure(error));
      io.stderr.write(`lastchunk journal: the relay in ${name} is not purged: ${why}\n`);
    }
  }
  return isDone;
}

interface Engine {
  /** For messages, without its address. */
  readonly name: string;
  /** False: the engine may have no relay. */
  readonly isNeeded: boolean;
  /** The relay, or the error that says which package is missing. */
  readonly relay: Relay | LastchunkError;
}

function postgresEngine(given: RelayArguments, io: Io): readonly Engine[] {
  const { relay, schema, 'no-relay': isOff, 'database-url': url } = given;
  const isNeeded = relay === true || schema !== undefined;
  if (isOff === true) {
    if (isNeeded) throw bad('give `--no-relay` or `--relay` and `--schema`, not both');
    return [];
  }
  const database = isNeeded ? neededDatabase(url, io.env) : databaseIn(url, io.env);
  if (database === undefined) return [];
  const options = { ...database, schema, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  return [{ name: 'PostgreSQL', isNeeded, relay: opened(() => postgresRelay(options)) }];
}

function redisEngine(given: RelayArguments): readonly Engine[] {
  const { 'redis-url': url, 'redis-prefix': prefix } = given;
  if (url === undefined) {
    if (prefix !== undefined) throw bad('`--redis-prefix` goes with `--redis-url`');
    return [];
  }
  checkRedisAddress(url);
  const commandTimeoutMs = STATEMENT_TIMEOUT_MS;
  const relay = opened(() => redisRelay({ client: openRedis(url), prefix, commandTimeoutMs }));
  return [{ name: 'Redis', isNeeded: true, relay }];
}

/** Creates the relay; does not connect yet. Throws `bad-option`. */
function opened(open: () => Relay): Relay | LastchunkError {
  try {
    return open();
  } catch (error) {
    if (error instanceof LastchunkError && error.code === 'missing-peer') return error;
    throw error;
  }
}

async function purgeOne({ relay }: Engine, conversationId: string): Promise<number> {
  if (relay instanceof LastchunkError) throw relay;
  try {
    return await relay.purge(conversationId);
  } finally {
    await relay.close();
  }
}

function isMissing(failure: unknown): boolean {
  return failure instanceof LastchunkError && failure.code === 'not-migrated';
}

/** Long, because a purge waits for transactions that lock one of the rows, and this process serves no streams. */
const STATEMENT_TIMEOUT_MS = 60_000;
