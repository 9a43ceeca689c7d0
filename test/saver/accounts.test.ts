/**
 * The accounts always add up: whatever the store, the journal and the clock do, each message that was due has exactly one
 * first result or is pending, nothing is called saved that is not in the store, nothing is called journaled
 * that is neither in the store nor on disk. Thousands of steps by a seeded generator; a failure names its seed.
 */
import { expect, test } from 'vitest';
import {
  createBench,
  createFakeJournal,
  settled,
  sqlError,
  type StoreCall,
  type Tracked,
} from './fakes.ts';

/** mulberry32, a small generator that a seed determines. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const FAULTS = ['57P01', '08006', '40P01', '53300', '22P05', '23502', 'ECONNRESET'];

/** The worst that a run can meet, so that some runs are harmless and some are hell. */
function temper(random: () => number) {
  return { faults: random() * 0.6, hangs: random() * 0.3, badDisk: random() * 0.5 };
}

async function run(seed: number, withJournal: boolean) {
  const random = generator(seed);
  const mood = temper(random);
  const journal = withJournal ? createFakeJournal() : undefined;
  const bench = createBench({ journal, random });
  const saves: Tracked[] = [];
  const hanging: StoreCall[] = [];
  const pick = <T>(items: readonly T[]): T | undefined =>
    items[Math.floor(random() * items.length)];
  bench.store.behave = (call) => {
    const poisoned = call.messages.some(({ text }) => text.includes('poison'));
    if (random() < mood.hangs) hanging.push(call);
    else if (poisoned) call.reject(sqlError('22021'));
    else if (random() < mood.faults) call.reject(sqlError(pick(FAULTS) ?? ''));
    else call.commit();
  };
  if (journal !== undefined) {
    journal.syncs = () => random() >= mood.badDisk;
    bench.keeper.start();
  }

  const addsUp = (): void => {
    const firsts = bench.account.firsts();
    const due = saves.filter(({ message }) => message.revision === 0);
    const pending = due.filter(({ result }) => result === undefined);
    expect(due.length - firsts.size - pending.length).toBe(0);
    expect([...firsts.values()].filter((results) => results.length > 1)).toEqual([]);
  };
  for (let step = 0; step < 150; step += 1) {
    const dice = random();
    if (dice < 0.5) {
      const text = random() < 0.05 ? 'poison' : 'hello';
      const holds = random() < 0.7;
      saves.push(bench.save({ text }, { holds: () => holds }));
    } else if (dice < 0.6) {
      const of = pick(saves);
      const revision = 1 + saves.filter(({ opened }) => opened === of?.opened).length;
      if (of !== undefined) saves.push(bench.save({ revision, text: 'hello again' }, { of }));
    } else if (dice < 0.8) {
      await bench.clock.advance(random() * 3_000);
    } else if (dice < 0.85) {
      await bench.clock.advance(20_000);
    } else {
      const call = hanging.splice(Math.floor(random() * hanging.length), 1)[0];
      if (random() < 0.5) call?.commit();
      else call?.reject(sqlError(pick(FAULTS) ?? ''));
    }
    await settled();
    addsUp();
  }
  return { bench, journal, saves, addsUp, random };
}

const SEEDS = Array.from({ length: 16 }, (_, index) => 1_000 + index * 7_919);

test.each(SEEDS)('every due message has one result, with a journal, seed %i', async (seed) => {
  const { bench, journal, saves, addsUp } = await run(seed, true);
  bench.store.behave = (call) =>
    call.messages.some(({ text }) => text.includes('poison'))
      ? call.reject(sqlError('22021'))
      : call.commit();
  if (journal !== undefined) journal.syncs = () => true;
  await bench.clock.advance(700_000);
  addsUp();
  expect(bench.keeper.state().pending).toBe(0);
  for (const { result, confirmed } of saves) expect([result, confirmed]).not.toContain(undefined);
  const unstored = saves.filter(({ message }) => !bench.store.rows.has(message.id));
  expect(unstored.filter(({ result }) => result === 'saved')).toEqual([]);
  // With a store and a disk that work in the end, nothing is left out but what was refused and set aside.
  const vanished = unstored.filter(({ message }) => !journal?.refused.includes(message.id));
  expect(vanished).toEqual([]);
  expect(journal?.backlog(99)).toEqual([]);
});

test.each(SEEDS)('every due message has one result, without a journal, seed %i', async (seed) => {
  const { bench, saves, addsUp } = await run(seed, false);
  await bench.clock.advance(200_000);
  addsUp();
  expect(bench.keeper.state().pending).toBe(0);
  const untrue = saves.filter(
    ({ message, result }) => result === 'saved' && !bench.store.rows.has(message.id),
  );
  expect(untrue).toEqual([]);
  expect(saves.filter(({ result }) => result === undefined || result === 'journaled')).toEqual([]);
});

test.each(SEEDS.slice(0, 8))(
  'close() in the middle of saves gives each of them a result, seed %i',
  async (seed) => {
    const { bench, saves, addsUp } = await run(seed, true);
    const pending = bench.keeper.state().pending;
    const closed = bench.keeper.close(5_000);
    await bench.clock.advance(10_000);
    const { saved, journaled, lost } = await closed;
    addsUp();
    expect(saved + journaled + lost).toBe(pending);
    for (const { result, confirmed } of saves) expect([result, confirmed]).not.toContain(undefined);
  },
);
