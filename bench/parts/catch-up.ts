/**
 * What an outage leaves: messages that wait in the journal of a living process. What a turn of replay costs with few and
 * with many of them while the store is away, and what live messages notice while all of them are caught up.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Message } from '../../src/core/message.ts';
import { load } from '../built.ts';
import { figure, quantile } from '../figures.ts';
import { newMessage } from '../messages.ts';
import { ratios } from '../rounds.ts';
import { SAVE, viewOf } from '../savers.ts';
import type { Bench } from '../part.ts';

/** As after a minute without a database, and after a week. */
const FULL = { few: 1_000, many: 100_000, turns: 200, rounds: 3, liveMs: 5_000 };
const QUICK = { few: 20, many: 500, turns: 5, rounds: 1, liveMs: 200 };

/** Between two live messages; the next does not wait for the one before. */
const LIVE_EVERY_MS = 5;

/** Handed to the keeper at a time, so that they do not all wait in memory. */
const AT_ONCE = 500;

export async function benchCatchUp(bench: Bench): Promise<void> {
  const { found } = bench;
  const sizes = bench.quick ? QUICK : FULL;
  const rounds: Round[] = [];
  for (let round = 0; round < sizes.rounds; round++) rounds.push(await measure(bench, sizes));
  const all = (of: (round: Round) => number): number[] => rounds.map(of);
  found(
    figure(
      `a turn of replay, ${sizes.few} waiting`,
      'ms',
      all(({ few }) => few),
    ),
  );
  found(
    figure(
      `a turn of replay, ${sizes.many} waiting`,
      'ms',
      all(({ many }) => many),
    ),
  );
  const turns = ratios(
    all(({ many }) => many),
    all(({ few }) => few),
  );
  found(figure('a turn of replay, many waiting to few', '', turns));
  found(
    figure(
      'live message, p99, calm',
      'ms',
      all(({ calm }) => calm),
    ),
  );
  found(
    figure(
      'live message, p99, while caught up',
      'ms',
      all(({ busy }) => busy),
    ),
  );
  const live = ratios(
    all(({ busy }) => busy),
    all(({ calm }) => calm),
  );
  found(figure('live message, p99, while caught up to calm', '', live));
  found(
    figure(
      'caught up',
      's',
      all(({ seconds }) => seconds),
    ),
  );
}

/** Milliseconds, and seconds until nothing waited any more. */
interface Round {
  readonly few: number;
  readonly many: number;
  readonly calm: number;
  readonly busy: number;
  readonly seconds: number;
}

async function measure(bench: Bench, sizes: typeof FULL): Promise<Round> {
  const path = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
  const world = await createWorld(bench, path);
  try {
    const calm = await livePercentile(world, () => sleep(sizes.liveMs));
    world.setAway(true);
    await leaveWaiting(world, sizes.few);
    const few = await turnMs(world, sizes.turns);
    await leaveWaiting(world, sizes.many - sizes.few);
    const many = await turnMs(world, sizes.turns);
    world.setAway(false);
    const startMs = performance.now();
    const busy = await livePercentile(world, async () => {
      while (world.waiting() > 0) {
        await world.replay();
        await sleep(10);
      }
    });
    const seconds = (performance.now() - startMs) / 1_000;
    world.check(sizes.many);
    return { few, many, calm, busy, seconds };
  } finally {
    await world.close();
    rmSync(path, { recursive: true });
  }
}

interface World {
  setAway(isAway: boolean): void;
  /** Resolves when it has its result. */
  save(message: Message): Promise<void>;
  /** Sends what waits, until the store does not take it. */
  replay(): Promise<unknown>;
  waiting(): number;
  /** Throws unless at least so many messages were saved. */
  check(count: number): void;
  close(): Promise<void>;
}

async function createWorld({ built, databases, quick }: Bench, path: string): Promise<World> {
  const { MessageKeeper } = await load(built.directory, 'saver/index.js');
  const { combine } = await load(built.directory, 'core/observer.js');
  const { postgres } = await load(built.directory, 'postgres/index.js');
  const { openJournal, resolveJournalOptions } = await load(built.directory, 'journal/index.js');
  const settings = resolveJournalOptions(path);
  if (settings === undefined) throw new Error('a path is a journal');
  const database = postgres({ connectionString: await databases.open(quick ? 'off' : 'on') });
  await database.migrate();
  let isAway = false;
  let saved = 0;
  const journal = openJournal({
    settings,
    onError: fail,
    onWrite: ignore,
    onCorrupt: fail,
    onDegraded: ignore,
    log: ignore,
  });
  const keeper = new MessageKeeper({
    store: {
      async save(messages) {
        if (isAway) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' });
        await database.save(messages);
        saved += messages.length;
      },
      close: () => database.close(),
    },
    journal,
    read: (_stream, pieces) => ({
      text: pieces.join(''),
      events: null,
      empty: false,
      finished: true,
      unknownText: false,
      metadata: null,
    }),
    observer: combine([], fail),
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  return {
    setAway: (next) => void (isAway = next),
    async save(message) {
      const pieces = [message.text];
      const log = keeper.open(openedOf(message), { pieces });
      log?.append(message.text, 'tick');
      log?.flush();
      const { result } = keeper.save({ ...SAVE, log, message, stream: viewOf(message) });
      const outcome = (await result).result;
      if (outcome !== 'saved' && outcome !== 'journaled') throw new Error(outcome);
    },
    replay: () => keeper.replay(),
    waiting: () => journal.backlogSize(),
    check(count) {
      if (saved < count) throw new Error(`${saved} of ${count} were saved`);
    },
    close: async () => void (await keeper.close(10_000)),
  };
}

async function leaveWaiting(world: World, count: number): Promise<void> {
  const inAll = world.waiting() + count;
  for (let left = count; left > 0; left -= AT_ONCE) {
    const some = Array.from({ length: Math.min(left, AT_ONCE) }, newMessage);
    await Promise.all(some.map((message) => world.save(message)));
  }
  while (world.waiting() < inAll) await sleep(10);
}

/** Milliseconds of CPU of one turn of replay against a store that is away. */
async function turnMs(world: World, turns: number): Promise<number> {
  const before = process.cpuUsage();
  for (let turn = 0; turn < turns; turn++) await world.replay();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / turns;
}

/** The 99th percentile of live messages from due to safe, in milliseconds, until `during` is over. */
async function livePercentile(world: World, during: () => Promise<unknown>): Promise<number> {
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  let isOver = false;
  const over = during().finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const startMs = performance.now();
    pending.push(world.save(newMessage()).then(() => void took.push(performance.now() - startMs)));
    await sleep(LIVE_EVERY_MS);
  }
  await over;
  await Promise.all(pending);
  return quantile(took, 0.99);
}

function openedOf({ streamId, id, conversationId, role, metadata, startedAt }: Message) {
  return {
    id: streamId,
    messageId: id,
    conversationId,
    role,
    metadata,
    route: '/chat',
    format: 'auto',
    contentType: 'text/plain',
    contentEncoding: 'identity',
    events: false,
    startedAtMs: startedAt.getTime(),
    traceparent: null,
  };
}

function ignore(): void {
  // Nobody asks.
}

function fail(error: unknown): void {
  throw error instanceof Error ? error : new Error(String(error));
}
