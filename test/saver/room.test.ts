/** What waits in memory is bounded by bytes: the journal is asked in time, and without one the oldest is lost, loudly. */
import { expect, test } from 'vitest';
import { createBench, createFakeJournal, settled, sqlError } from './fakes.ts';

const MIB = 1024 * 1024;
const AWAY = sqlError('57P01');
const text = 'x'.repeat(MIB);

test('without a journal, the oldest messages are given up for the newest while the store is unreachable', async () => {
  const bench = createBench({ maxPendingBytes: 4 * MIB });
  bench.store.behave = (call) => call.reject(AWAY);
  const saves = [];
  for (let count = 0; count < 8; count += 1) {
    saves.push(bench.save({ text }));
    await settled();
  }
  expect(saves.map(({ result }) => result)).toEqual([
    ...Array(5).fill('lost'),
    ...Array(3).fill(undefined),
  ]);
  expect(saves[0]?.confirmed).toBe('unconfirmed');
  expect(bench.account.saves.every(({ errorType }) => errorType !== undefined)).toBe(true);
  expect(
    bench.errors().filter((line) => line.includes('the memory limit for waiting messages')),
  ).toHaveLength(1);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(5_000);
  expect([...bench.store.rows.keys()]).toEqual(saves.slice(5).map(({ message }) => message.id));
  expect(bench.keeper.state().pending).toBe(0);
});

test('a message in flight to the store is not given up', async () => {
  const bench = createBench({ maxPendingBytes: 2 * MIB });
  bench.store.behave = () => undefined;
  const first = bench.save({ text });
  await settled();
  const second = bench.save({ text });
  await settled();
  const third = bench.save({ text });
  const fourth = bench.save({ text });
  await settled();
  const results = () => [first, second, third, fourth].map(({ result }) => result);
  // The store has not been asked about the others.
  expect(results()).toEqual([undefined, undefined, undefined, undefined]);
  bench.store.behave = (call) => call.commit();
  for (const call of bench.store.calls) call.commit();
  await settled();
  expect(results()).toEqual(['saved', 'saved', 'saved', 'saved']);
});

test('messages that wait behind a store that does not answer are given up once it counts as unavailable', async () => {
  const bench = createBench({ maxPendingBytes: 2 * MIB });
  bench.store.behave = () => undefined;
  const saves = [bench.save({ text })];
  await settled();
  for (let count = 0; count < 4; count += 1) saves.push(bench.save({ text }));
  await bench.clock.advance(10_000);
  saves.push(bench.save({ text }));
  await settled();
  expect(saves.map(({ result }) => result).filter((result) => result === 'lost').length).toBe(5);
});

test('everything is journaled when half of the memory limit is used, and nothing is lost', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal, maxPendingBytes: 8 * MIB });
  bench.store.behave = () => undefined;
  const saves = [];
  for (let count = 0; count < 12; count += 1) {
    saves.push(bench.save({ text }, { confirmTimeoutMs: 60_000, missingAfterMs: 120_000 }));
    await settled();
  }
  expect(saves.filter(({ result }) => result === 'lost')).toEqual([]);
  expect(saves.filter(({ result }) => result === 'journaled').length).toBeGreaterThan(6);
});

test('no message with an fsync in flight is given up', async () => {
  const journal = createFakeJournal();
  const done: (() => void)[] = [];
  journal.syncs = () => new Promise<boolean>((resolve) => void done.push(() => resolve(true)));
  const bench = createBench({ journal, maxPendingBytes: MIB });
  bench.store.behave = (call) => call.reject(AWAY);
  const saves = Array.from({ length: 20 }, () => bench.save({ text: text + text }));
  await settled();
  expect(saves.filter(({ result }) => result !== undefined)).toEqual([]);
  for (const finish of done) finish();
  await settled();
  expect(saves.map(({ result }) => result)).toEqual(saves.map(() => 'journaled'));
  expect(bench.account.saves.filter(({ result }) => result === 'lost')).toEqual([]);
});

test('a journal that cannot store a message, or does not answer in time, is not waited for', async () => {
  const never = (): Promise<boolean> => new Promise<boolean>(() => undefined);
  for (const [syncs, waitMs] of [
    [() => false, 0],
    [never, 500],
  ] as const) {
    const journal = createFakeJournal();
    journal.syncs = syncs;
    const bench = createBench({ journal, maxPendingBytes: 4 * MIB });
    bench.store.behave = (call) => call.reject(AWAY);
    const saves = [];
    for (let count = 0; count < 8; count += 1) {
      saves.push(bench.save({ text }));
      await bench.clock.advance(waitMs);
    }
    expect(saves.filter(({ result }) => result === 'lost')).toHaveLength(waitMs === 0 ? 5 : 4);
    // What the disk has after all is the replay's.
    expect(journal.backlog(99)).toHaveLength(waitMs === 0 ? 5 : 4);
  }
});

test('an answer larger than the memory limit is still tried', async () => {
  const bench = createBench({ maxPendingBytes: MIB });
  const save = bench.save({ text: text + text });
  await settled();
  expect(save.result).toBe('saved');
});
