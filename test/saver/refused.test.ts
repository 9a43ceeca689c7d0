/** Messages that were set aside are offered to the store again when somebody asks for it, and to nobody else. */
import { expect, test } from 'vitest';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import {
  createBench,
  createFakeJournal,
  settled,
  sqlError,
  type Bench,
  type FakeJournal,
  type StoreCall,
} from './fakes.ts';

const REFUSED = sqlError('23514');

/** A bench of whose messages so many were refused, named `answer 0` and so on. */
async function withRefused(count: number): Promise<{ bench: Bench; journal: FakeJournal }> {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(REFUSED);
  for (let index = 0; index < count; index += 1) {
    bench.save({ text: `answer ${index}` });
    await settled();
  }
  expect(journal.aside).toHaveLength(count);
  return { bench, journal };
}

/** A store that rejects these messages with these errors, and takes the others. */
function rejecting(errors: Readonly<Record<string, Error>>): (call: StoreCall) => void {
  return (call) => {
    const error = call.messages.map(({ text }) => errors[text]).find((one) => one !== undefined);
    if (error === undefined) call.commit();
    else call.reject(error);
  };
}

test('a message that the store now accepts is removed from disk, and one that it refuses again stays', async () => {
  const { bench, journal } = await withRefused(3);
  bench.store.behave = rejecting({ 'answer 1': REFUSED });
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 2, refused: 1, left: 0 });
  expect(journal.aside.map((one) => one.read()?.text)).toEqual(['answer 1']);
  expect([...bench.store.rows.values()].map(({ text }) => text)).toEqual(['answer 0', 'answer 2']);
  bench.store.behave = (call) => call.commit();
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 1, refused: 0, left: 0 });
  expect(journal.aside).toEqual([]);
});

test('each message is sent alone, and its refusal is not counted again', async () => {
  const { bench } = await withRefused(3);
  const before = bench.store.calls.length;
  const counted = [...bench.account.replayed];
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 0, refused: 3, left: 0 });
  expect(bench.store.calls.slice(before).map(({ messages }) => messages.length)).toEqual([1, 1, 1]);
  expect([bench.account.replayed, bench.account.recovered]).toEqual([counted, []]);
});

test('an unavailable store ends the replay, and every message stays', async () => {
  const { bench, journal } = await withRefused(5);
  bench.store.behave = rejecting({ 'answer 1': sqlError('57P01') });
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 1, refused: 0, left: 4 });
  expect(journal.aside).toHaveLength(4);
});

test('a store that fails for eight messages in a row, with any error, counts as unavailable', async () => {
  const { bench } = await withRefused(12);
  const before = bench.store.calls.length;
  bench.store.behave = (call) => call.reject(new TypeError('of an own write()'));
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 0, refused: 0, left: 12 });
  expect(bench.store.calls.length - before).toBe(8);
});

test('an error for one message blocks neither the others nor live saves', async () => {
  const { bench, journal } = await withRefused(4);
  bench.store.behave = rejecting({ 'answer 0': new TypeError('of an own write()') });
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 3, refused: 0, left: 1 });
  expect(journal.aside).toHaveLength(1);
  expect(bench.keeper.state().circuit).toBe('closed');
});

test('a message that was set aside because it failed alone, and fails again, stays refused', async () => {
  const { bench, journal } = await withRefused(1);
  journal.aside.splice(0, 1, {
    sqlstate: 'TypeError',
    store: undefined,
    read: () => bench.store.calls[0]?.messages[0],
    remove: () => undefined,
  });
  bench.store.behave = (call) => call.reject(new TypeError('again'));
  expect(await bench.keeper.replayRefused()).toEqual({ saved: 0, refused: 1, left: 0 });
});

test('a second call during the replay gets the same result, and nothing is sent twice', async () => {
  const { bench } = await withRefused(2);
  const before = bench.store.calls.length;
  bench.store.behave = (call) => call.commit();
  const both = await Promise.all([bench.keeper.replayRefused(), bench.keeper.replayRefused()]);
  expect(both).toEqual(Array(2).fill({ saved: 2, refused: 0, left: 0 }));
  expect(bench.store.calls.length - before).toBe(2);
});

test('a message that an operator drops meanwhile is not sent', async () => {
  const { bench, journal } = await withRefused(3);
  bench.store.behave = (call) => {
    journal.aside.splice(0, 2);
    call.commit();
  };
  expect(await bench.keeper.replayRefused()).toMatchObject({ left: 0, refused: 0 });
  expect(bench.store.rows.size).toBeLessThan(3);
});

test('close() ends the replay after the message in flight', async () => {
  const { bench, journal } = await withRefused(3);
  const calls: StoreCall[] = [];
  bench.store.behave = (call) => void calls.push(call);
  const replayed = bench.keeper.replayRefused();
  await settled();
  const closed = bench.keeper.close(1_000);
  await settled();
  calls[0]?.commit();
  expect(await replayed).toEqual({ saved: 1, refused: 0, left: 2 });
  await bench.clock.advance(1_000);
  await closed;
  expect([calls.length, journal.aside.length, bench.store.isClosed]).toEqual([1, 2, true]);
});

test('a directory that cannot be read makes the call reject', async () => {
  const { bench, journal } = await withRefused(1);
  journal.refusedMessages = () => {
    throw new Error('EACCES');
  };
  await expect(bench.keeper.replayRefused()).rejects.toThrow('EACCES');
});

test('an unknown option, or one that is not a boolean, makes the call reject', async () => {
  const { keep } = createInMemoryInstance();
  await expect(keep.replay({ refuse: true } as object)).rejects.toThrow('did you mean `refused`?');
  await expect(keep.replay({ refused: 'yes' } as object)).rejects.toThrow('true or false');
  expect(await keep.replay({ refused: true })).toEqual({ saved: 0, refused: 0, left: 0 });
});

test('without a journal there are no refused messages', async () => {
  expect(await createBench().keeper.replayRefused()).toEqual({ saved: 0, refused: 0, left: 0 });
});
