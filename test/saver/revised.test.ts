/** A stream that went on after its terminal frame: several saves, one log, one row. */
import { expect, test } from 'vitest';
import { createBench, createFakeJournal, settled, sqlError } from './fakes.ts';

const AWAY = sqlError('57P01');
const kinds = (bench: ReturnType<typeof createBench>): string[] =>
  bench.account.saves.map(({ result, kind }) => `${result} ${kind}`);

test('a later save of a stream is reported as revised', async () => {
  const bench = createBench();
  const first = bench.save();
  await settled();
  bench.save({ revision: 1, text: 'hello and more' }, { of: first });
  await settled();
  expect(kinds(bench)).toEqual(['saved first', 'saved revised']);
  expect(bench.store.rows.get(first.message.id)?.revision).toBe(1);
});

test('a revision that overtakes its pending first save: each has its own result', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  const first = bench.save();
  await settled();
  const second = bench.save({ revision: 1 }, { of: first });
  await settled();
  bench.store.behave = (call) => call.commit();
  bench.store.calls[1]?.commit();
  await settled();
  expect([first.result, second.result]).toEqual([undefined, 'saved']);
  bench.store.calls[0]?.reject(AWAY);
  await bench.clock.advance(5_000);
  expect(bench.store.rows.get(first.message.id)).toBe(second.message);
  expect([first.result, second.result]).toEqual(['saved', 'saved']);
  expect(kinds(bench).sort()).toEqual(['saved first', 'saved revised']);
});

test('the first save does not settle the log while a revision is pending', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const first = bench.save();
  await settled();
  bench.save({ revision: 1 }, { of: first });
  bench.store.calls[0]?.commit();
  await settled();
  expect(first.result).toBe('saved');
  expect(journal.records.size).toBe(1);
  bench.store.calls[1]?.commit();
  await settled();
  expect(journal.records.size).toBe(0);
});

test('replay skips a stream while a revision of it is in memory', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  const first = bench.save();
  await settled();
  expect(first.result).toBe('journaled');
  journal.syncs = () => false;
  bench.save({ revision: 1, text: 'more' }, { of: first });
  bench.store.behave = (call) => call.commit();
  bench.keeper.start();
  await bench.clock.advance(5_000);
  expect(bench.store.rows.get(first.message.id)?.text).toBe('more');
  expect(kinds(bench)).toEqual(['journaled first', 'saved revised']);
  expect(journal.records.size).toBe(0);
});

test('a refused first save with a pending revision is not set aside: the revision needs the log', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = () => undefined;
  const first = bench.save();
  await settled();
  bench.save({ revision: 1 }, { of: first });
  bench.store.behave = (call) => call.commit();
  bench.store.calls[0]?.reject(sqlError('22001'));
  await settled();
  expect(journal.refused).toEqual([]);
  expect(kinds(bench).sort()).toEqual(['journaled first', 'saved revised']);
});

test('a lost revision is reported as revised and never changes the first result', async () => {
  const bench = createBench();
  const first = bench.save();
  await settled();
  bench.store.behave = (call) => call.reject(sqlError('22001'));
  bench.save({ revision: 1 }, { of: first });
  await settled();
  expect(kinds(bench)).toEqual(['saved first', 'lost revised']);
});

test('a replay in flight when the stream goes on does not settle what the revision needs', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  const first = bench.save();
  await settled();
  bench.store.behave = () => undefined;
  const replayed = bench.keeper.replay();
  await settled();
  bench.save({ revision: 1, text: 'more' }, { of: first });
  await settled();
  bench.store.behave = (call) => call.commit();
  bench.store.calls[1]?.commit();
  expect(await replayed).toEqual({ saved: 2, refused: 0, left: 0 });
  expect(bench.store.rows.get(first.message.id)?.revision).toBe(1);
  expect(kinds(bench)).toEqual(['journaled first', 'journaled revised']);
});
