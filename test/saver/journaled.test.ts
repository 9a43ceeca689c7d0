import { expect, test } from 'vitest';
import { createBench, createFakeJournal, settled, sqlError } from './fakes.ts';

const AWAY = sqlError('57P01');

test('a commit settles the stream log', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.save();
  await settled();
  expect(journal.records.size).toBe(0);
});

test('a slow store delays a frame at most by confirmTimeoutMs: the message is journaled', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(2_000);
  expect([save.confirmed, save.result]).toEqual(['journaled', 'journaled']);
  expect(bench.account.saves).toMatchObject([{ result: 'journaled', kind: 'first' }]);
});

test('a save that holds no frame is journaled at the same deadline', async () => {
  const bench = createBench({ journal: createFakeJournal() });
  bench.store.behave = () => undefined;
  const save = bench.save({}, { holds: () => false });
  await bench.clock.advance(2_000);
  expect(save.result).toBe('journaled');
});

test('a disk that hangs does not hold a frame beyond the deadline', async () => {
  const journal = createFakeJournal();
  let isDone: (isOnDisk: boolean) => void = () => undefined;
  journal.syncs = () => new Promise<boolean>((resolve) => (isDone = resolve));
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(2_000);
  expect([save.confirmed, save.result]).toEqual(['unconfirmed', undefined]);
  isDone(true);
  await settled();
  expect(save.result).toBe('journaled');
});

test('every pending save is journaled at once when the store becomes unreachable', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const first = bench.save();
  await settled();
  const second = bench.save();
  bench.store.calls[0]?.reject(AWAY);
  await settled();
  expect([first.confirmed, second.confirmed]).toEqual(['journaled', 'journaled']);
  expect(bench.keeper.state().pending).toBe(0);
});

test('no save waits for the store while it is unreachable', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  bench.save();
  await settled();
  const later = bench.save();
  await settled();
  expect(later.confirmed).toBe('journaled');
  expect(journal.backlog(9)).toHaveLength(2);
});

test('a message that the journal cannot store stays in memory, and is tried again', async () => {
  const journal = createFakeJournal();
  journal.syncs = () => false;
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  const save = bench.save();
  await bench.clock.advance(5_000);
  expect([save.confirmed, save.result]).toEqual(['unconfirmed', undefined]);
  journal.syncs = () => true;
  await bench.clock.advance(10_000);
  expect(save.result).toBe('journaled');
});

test('without store and journal a message is lost, and its records on disk are kept', async () => {
  const journal = createFakeJournal();
  journal.syncs = () => false;
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  const save = bench.save();
  await bench.clock.advance(60_000);
  expect(save.result).toBe('lost');
  expect(journal.backlog(9)).toHaveLength(1);
});

test('a commit after the message was journaled counts as replayed, once', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.keeper.start();
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(3_000);
  bench.store.calls[0]?.commit();
  await settled();
  expect(save.result).toBe('journaled');
  expect(bench.account.replayed).toEqual([`saved ${save.message.id}`]);
  expect(journal.records.size).toBe(0);
  expect(bench.store.calls).toHaveLength(1);
});

test('a failure after the message was journaled leaves it to replay', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.keeper.start();
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(3_000);
  bench.store.behave = (call) => call.commit();
  bench.store.calls[0]?.reject(AWAY);
  await bench.clock.advance(5_000);
  expect(bench.account.replayed).toEqual([`saved ${save.message.id}`]);
  expect(bench.account.saves).toHaveLength(1);
});

test('a refused message is set aside: journaled, replayed as refused, and logged as an error', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(sqlError('23502'));
  const save = bench.save();
  await settled();
  expect([save.confirmed, save.result]).toEqual(['journaled', 'journaled']);
  expect(journal.refused).toEqual([save.message.id]);
  expect(bench.account.replayed).toEqual([`refused ${save.message.id}`]);
  expect(bench.errors().some((line) => line.includes('refuses'))).toBe(true);
});

test('a refused message that cannot be set aside is lost, and replayed from disk', async () => {
  const journal = createFakeJournal();
  journal.refuses = () => false;
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(sqlError('23502'));
  const save = bench.save();
  await settled();
  expect(save.result).toBe('lost');
  expect(journal.backlog(9)).toHaveLength(1);
});

test('a single unique violation is not a refusal: the next try sees the row of the other writer', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) =>
    bench.store.calls.length === 1 ? call.reject(sqlError('23505')) : call.commit();
  const save = bench.save();
  await settled();
  expect(save.result).toBe('saved');
  expect(journal.refused).toEqual([]);
  expect(bench.store.calls).toHaveLength(2);
});

test('a repeated unique violation is a refusal, and blocks no other message', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) =>
    call.messages.some(({ text }) => text === 'taken')
      ? call.reject(sqlError('23505'))
      : call.commit();
  const save = bench.save({ text: 'taken' });
  const others = [bench.save(), bench.save(), bench.save({ text: 'taken' }), bench.save()];
  await settled();
  expect(save.result).toBe('journaled');
  expect(journal.refused).toEqual([save.message.id, others[2]?.message.id]);
  expect(others.map(({ result }) => result)).toEqual(['saved', 'saved', 'journaled', 'saved']);
  expect(bench.keeper.state().circuit).toBe('closed');
});

test('an answer after replay has saved the message is not counted again', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.keeper.start();
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(3_000);
  bench.store.behave = (call) => call.commit();
  // The call has said nothing for long enough: replay takes over.
  await bench.clock.advance(10_000);
  expect(bench.account.replayed).toEqual([`saved ${save.message.id}`]);
  bench.store.calls[0]?.commit();
  await settled();
  expect(bench.account.replayed).toHaveLength(1);
  expect(bench.account.saves).toHaveLength(1);
});

test('a message that is being set aside is not left to replay when its fsync ends meanwhile', async () => {
  const journal = createFakeJournal();
  let isSynced: (isOnDisk: boolean) => void = () => undefined;
  let isAside: (isOnDisk: boolean) => void = () => undefined;
  journal.syncs = () => new Promise<boolean>((resolve) => (isSynced = resolve));
  journal.refuses = () => new Promise<boolean>((resolve) => (isAside = resolve));
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(1_800);
  bench.store.calls[0]?.reject(sqlError('23502'));
  await settled();
  isSynced(true);
  await settled();
  expect([save.result, journal.backlog(9)]).toEqual([undefined, []]);
  isAside(true);
  await settled();
  expect(save.result).toBe('journaled');
  expect(bench.account.replayed).toEqual([`refused ${save.message.id}`]);
});

test('a message that is set aside after it was lost is not in the backlog', async () => {
  const journal = createFakeJournal();
  let isAside: (isOnDisk: boolean) => void = () => undefined;
  journal.refuses = () => new Promise<boolean>((resolve) => (isAside = resolve));
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(sqlError('23502'));
  const save = bench.save();
  await bench.clock.advance(60_000);
  expect([save.result, journal.backlog(9)]).toEqual(['lost', []]);
  isAside(true);
  await settled();
  expect(journal.refused).toEqual([save.message.id]);
});

test('a message that repeatedly fails alone while others are saved is set aside', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.keeper.start();
  const poison = new TypeError('write() read a field that is not there');
  bench.store.behave = (call) =>
    call.messages.some(({ metadata }) => metadata !== null) ? call.reject(poison) : call.commit();
  const { message } = bench.save({ metadata: { poison: true } });
  for (let round = 0; round < 40; round += 1) {
    bench.save();
    await bench.clock.advance(6_000);
  }
  expect(journal.backlog(9)).toEqual([]);
  expect(journal.refused).toEqual([message.id]);
  expect(bench.account.replayed).toContain(`refused ${message.id}`);
});

test.each([
  ['while nothing else is saved either', new TypeError('x'), true],
  ['for a reason that is not its own', sqlError('55P03'), false],
])('a message that fails alone %s is retried without end', async (_name, error, isOutage) => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.keeper.start();
  bench.store.behave = (call) =>
    isOutage || call.messages.some(({ metadata }) => metadata !== null)
      ? call.reject(error)
      : call.commit();
  bench.save({ metadata: { unlucky: true } });
  for (let round = 0; round < 40; round += 1) {
    bench.save();
    await bench.clock.advance(6_000);
  }
  expect(journal.refused).toEqual([]);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(60_000);
  expect(journal.backlog(9)).toEqual([]);
});
