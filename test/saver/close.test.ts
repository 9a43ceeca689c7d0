import { expect, test } from 'vitest';
import { createBench, createFakeJournal, createFaultStore, settled, sqlError } from './fakes.ts';

const AWAY = sqlError('57P01');

test('close() waits for pending saves, then closes store and journal', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  bench.save();
  await settled();
  const closed = bench.keeper.close(10_000);
  await settled();
  expect([bench.store.isClosed, journal.isClosed]).toEqual([false, false]);
  bench.store.calls[0]?.commit();
  expect(await closed).toEqual({ saved: 1, journaled: 0, lost: 0, refused: 0 });
  expect([bench.store.isClosed, journal.isClosed]).toEqual([true, true]);
  expect(bench.clock.timers).toBe(0);
});

test('at the deadline every pending save is journaled', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  for (let count = 0; count < 3; count += 1) bench.save({}, { confirmTimeoutMs: 30_000 });
  const closed = bench.keeper.close(5_000);
  await bench.clock.advance(5_000);
  expect(await closed).toEqual({ saved: 0, journaled: 3, lost: 0, refused: 0 });
  expect(journal.backlog(9)).toHaveLength(3);
});

test('without a journal a save that is pending at the deadline is lost', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(AWAY);
  bench.save();
  const closed = bench.keeper.close(3_000);
  await bench.clock.advance(3_000);
  expect(await closed).toEqual({ saved: 0, journaled: 0, lost: 1, refused: 0 });
  expect(bench.account.saves).toMatchObject([{ result: 'lost', kind: 'first' }]);
});

test('the store is tried once more right before the deadline', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(AWAY);
  bench.save();
  const closed = bench.keeper.close(10_000);
  await bench.clock.advance(8_990);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(1_010);
  expect((await closed).saved).toBe(1);
});

test('a store and a journal that never close do not delay close()', async () => {
  const journal = createFakeJournal();
  const store = createFaultStore();
  store.close = () => new Promise<void>(() => undefined);
  journal.close = () => new Promise<void>(() => undefined);
  const bench = createBench({ journal, store });
  const closed = bench.keeper.close(1_000);
  await bench.clock.advance(3_000);
  expect(await closed).toEqual({ saved: 0, journaled: 0, lost: 0, refused: 0 });
});

test.each([
  ['the store', false],
  ['the store and the disk', true],
])(
  'close() keeps its deadline while %s hangs for ever, with a replay in flight',
  async (_, disk) => {
    const journal = createFakeJournal();
    const store = createFaultStore();
    store.behave = (call) => call.reject(AWAY);
    store.close = () => new Promise<void>(() => undefined);
    if (disk) journal.close = () => new Promise<void>(() => undefined);
    const bench = createBench({ journal, store });
    bench.keeper.start();
    const replayed = bench.save();
    await settled();
    expect(replayed.result).toBe('journaled');
    store.behave = () => undefined;
    // The replay's probe is on its way, and then nothing is answered any more.
    await bench.clock.advance(200);
    expect(store.calls).toHaveLength(2);
    if (disk) journal.syncs = () => new Promise<boolean>(() => undefined);
    const last = bench.save({}, { confirmTimeoutMs: 60_000, missingAfterMs: 120_000 });
    let report: unknown;
    void bench.keeper.close(10_000).then((summary) => (report = summary));
    await bench.clock.advance(9_999);
    expect(journal.isClosed).toBe(!disk);
    await bench.clock.advance(1);
    expect(report).toEqual({ saved: 0, journaled: disk ? 0 : 1, lost: disk ? 1 : 0, refused: 0 });
    expect(last.result).toBe(disk ? 'lost' : 'journaled');
  },
);

test('a store whose close rejects is reported, and close() resolves', async () => {
  const store = createFaultStore();
  store.close = () => Promise.reject(new Error('pool'));
  const bench = createBench({ store });
  expect(await bench.keeper.close(1_000)).toEqual({ saved: 0, journaled: 0, lost: 0, refused: 0 });
  expect(bench.account.internalErrors).toEqual(['store']);
});

test('a second close() returns the promise of the first', () => {
  const bench = createBench();
  expect(bench.keeper.close(1_000)).toBe(bench.keeper.close(9_000));
});

test('a message during close() is saved, a message after it is lost at once', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  bench.save();
  const closed = bench.keeper.close(10_000);
  await settled();
  bench.store.behave = (call) => call.commit();
  const during = bench.save();
  bench.store.calls[0]?.commit();
  await settled();
  expect(during.result).toBe('saved');
  await closed;
  const after = bench.save();
  await settled();
  expect([after.result, after.confirmed]).toEqual(['lost', 'unconfirmed']);
});

test('close() ends the waits of replay and recovery', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  bench.keeper.start();
  bench.save();
  await bench.clock.advance(10_000);
  const closed = bench.keeper.close(10_000);
  await settled();
  await closed;
  const calls = bench.store.calls.length;
  await bench.clock.advance(120_000);
  expect(bench.store.calls.length).toBe(calls);
  expect(bench.clock.timers).toBe(0);
});

test('close() without any time left does one fsync', async () => {
  const journal = createFakeJournal();
  journal.syncs = () => new Promise<boolean>((resolve) => setImmediate(() => resolve(true)));
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const save = bench.save();
  const closed = bench.keeper.close(0);
  await bench.clock.advance(250);
  expect(await closed).toEqual({ saved: 0, journaled: 1, lost: 0, refused: 0 });
  expect(save.result).toBe('journaled');
});

test('a message after close() is journaled, as long as the journal accepts it', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const closed = bench.keeper.close(1_000);
  await bench.clock.advance(1_000);
  await closed;
  const late = bench.save();
  await settled();
  expect([late.result, late.confirmed]).toEqual(['journaled', 'journaled']);
  expect(journal.backlog(9)).toHaveLength(1);
  journal.syncs = () => false;
  const lost = bench.save();
  await settled();
  expect([lost.result, lost.confirmed]).toEqual(['lost', 'unconfirmed']);
  expect(bench.account.saves.map(({ result }) => result)).toEqual(['journaled', 'lost']);
});

test('a save in the last moment waits for its fsync beyond close(), up to a bound', async () => {
  const journal = createFakeJournal();
  let isOnDisk: (value: boolean) => void = () => undefined;
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  bench.save();
  const closed = bench.keeper.close(1_000);
  await bench.clock.advance(800);
  journal.syncs = () => new Promise<boolean>((resolve) => (isOnDisk = resolve));
  const late = bench.save();
  await bench.clock.advance(1_000);
  expect(await closed).toEqual({ saved: 0, journaled: 1, lost: 0, refused: 0 });
  expect(late.result).toBeUndefined();
  isOnDisk(true);
  await settled();
  expect(late.result).toBe('journaled');
});

test('a save after close() is lost if its fsync never ends', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const closed = bench.keeper.close(0);
  await bench.clock.advance(1_000);
  await closed;
  journal.syncs = () => new Promise<boolean>(() => undefined);
  const late = bench.save();
  await bench.clock.advance(1_999);
  expect(late.result).toBeUndefined();
  await bench.clock.advance(1);
  expect(late.result).toBe('lost');
});
