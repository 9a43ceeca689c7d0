import { expect, test } from 'vitest';
import { Backlog, type BacklogItem } from '../../src/saver/backlog.ts';
import { createFakeJournal, createTestClock, messageOf, openedStream } from './fakes.ts';

/** A backlog with so many of our own messages, and what it gives by message id. */
function bench(count: number) {
  const journal = createFakeJournal();
  const clock = createTestClock();
  const inMemory = new Set<string>();
  const backlog = new Backlog({ journal, clock, isInMemory: (id) => inMemory.has(id) });
  const streams = Array.from({ length: count }, () => openedStream());
  for (const opened of streams) {
    const log = journal.open(opened, { pieces: ['x'] });
    const { text: _text, events: _events, ...ending } = messageOf(opened);
    journal.end(log, ending);
    journal.keep(log);
  }
  const index = ({ entry }: BacklogItem): number =>
    streams.findIndex(({ id }) => id === entry.opened.id);
  const chosen = (limit: number): number[] => backlog.choose(limit).map(index);
  const take = (): BacklogItem => {
    const [first] = backlog.choose(1);
    if (first === undefined) throw new Error('nobody’s turn');
    return first;
  };
  return { backlog, clock, journal, inMemory, streams, chosen, take };
}

test('the oldest messages are chosen first, up to the requested number', () => {
  expect(bench(5).chosen(3)).toEqual([0, 1, 2]);
});

test('a message that failed is chosen after the others, and alone', () => {
  const { backlog, chosen } = bench(4);
  for (const waiting of backlog.choose(2)) backlog.putBack(waiting, true);
  expect(chosen(4)).toEqual([2, 3]);
  for (const waiting of backlog.choose(4)) backlog.putBack(waiting, false);
  expect(chosen(4)).toEqual([0]);
});

test('a message that fails while the store accepts others is paused, longer each time', async () => {
  const { backlog, clock, chosen, take } = bench(1);
  backlog.putBack(take(), true);
  expect(chosen(1)).toEqual([0]);
  backlog.putBack(take(), true);
  expect(chosen(1)).toEqual([]);
  await clock.advance(1_000);
  expect(chosen(1)).toEqual([0]);
  backlog.putBack(take(), true);
  await clock.advance(1_999);
  expect(chosen(1)).toEqual([]);
  expect(backlog.nextTurnMs).toBe(clock.monotonicMs() + 1);
  await clock.advance(1);
  expect(chosen(1)).toEqual([0]);
});

test('a message that fails when all others fail is not paused', () => {
  const { backlog, chosen, take } = bench(1);
  for (let count = 0; count < 5; count += 1) backlog.putBack(take(), false);
  expect(chosen(1)).toEqual([0]);
});

test('messages of dead processes are chosen before those of the own process', () => {
  const { backlog, chosen } = bench(2);
  const opened = openedStream();
  const nothing = (): Promise<void> => Promise.resolve();
  const body = (): Promise<string[]> => Promise.resolve([]);
  backlog.add({ opened, ending: undefined, body, settle: nothing, refuse: nothing });
  expect(chosen(3)).toEqual([-1, 0, 1]);
  expect([backlog.adopted, backlog.size]).toEqual([1, 3]);
});

test('a stream whose save is in memory, or that is abandoned, is not chosen', () => {
  const { backlog, inMemory, streams, chosen, take } = bench(3);
  inMemory.add(streams[0]?.id ?? '');
  expect(chosen(1)).toEqual([1]);
  backlog.abandon(take());
  expect(chosen(3)).toEqual([2]);
});

test('a choice reads the same number of entries after an hour of outage as after a second', () => {
  const { backlog, journal, take } = bench(400);
  const readsOf = (work: () => void): number => {
    const before = journal.entriesGiven;
    work();
    return journal.entriesGiven - before;
  };
  const turn = (): void => backlog.putBack(take(), false);
  const first = readsOf(turn);
  for (let probes = 0; probes < 300; probes += 1) turn();
  expect(readsOf(turn)).toBe(first);
  expect(readsOf(() => backlog.choose(64))).toBeLessThanOrEqual(64);
  expect(readsOf(() => expect(backlog.size).toBe(400))).toBe(0);
});

test('a paused message is not read again until its turn', () => {
  const { backlog, journal, take } = bench(1);
  for (const storeWorks of [true, true]) backlog.putBack(take(), storeWorks);
  const before = journal.entriesGiven;
  expect(backlog.choose(1)).toEqual([]);
  expect(journal.entriesGiven).toBe(before);
});
