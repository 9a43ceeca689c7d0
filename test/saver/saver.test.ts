import { expect, test } from 'vitest';
import { createBench, settled, sqlError, type StoreCall } from './fakes.ts';

const AWAY = sqlError('57P01');

test('a message is sent at once and its result is saved', async () => {
  const bench = createBench();
  const save = bench.save();
  await settled();
  expect(bench.store.rows.get(save.message.id)).toBe(save.message);
  expect([save.confirmed, save.result]).toEqual(['saved', 'saved']);
  expect(bench.account.saves).toMatchObject([{ result: 'saved', kind: 'first', attempts: 1 }]);
  expect(bench.clock.timers).toBe(0);
});

test('two batches are sent at once, and messages that arrive meanwhile in the next one', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  bench.save();
  await settled();
  bench.save();
  await settled();
  for (let count = 0; count < 5; count += 1) bench.save();
  await settled();
  expect(bench.store.calls.map(({ messages }) => messages.length)).toEqual([1, 1]);
  bench.store.calls[0]?.commit();
  await settled();
  expect(bench.store.calls.map(({ messages }) => messages.length)).toEqual([1, 1, 5]);
});

test('a batch holds at most 256 messages', async () => {
  const bench = createBench();
  for (let count = 0; count < 600; count += 1) bench.save();
  await settled();
  expect(bench.store.calls.map(({ messages }) => messages.length)).toEqual([256, 256, 88]);
});

test('a batch holds at most 4 MiB, and a larger message is sent alone', async () => {
  const bench = createBench();
  const text = 'x'.repeat(1_500_000);
  for (let count = 0; count < 4; count += 1) bench.save({ text });
  bench.save({ text: 'x'.repeat(5_000_000) });
  bench.save();
  await settled();
  expect(bench.store.calls.map(({ messages }) => messages.length)).toEqual([2, 2, 1, 1]);
});

test('a refused message is found by halving its batch, and the others are saved', async () => {
  const bench = createBench();
  const refuse = (call: StoreCall): void => {
    if (call.messages.some(({ text }) => text === 'bad')) call.reject(sqlError('22P05'));
    else call.commit();
  };
  bench.store.behave = refuse;
  const saves = Array.from({ length: 20 }, (_, index) =>
    bench.save({ text: index === 13 ? 'bad' : 'good' }),
  );
  await settled();
  expect(saves.map(({ result }) => result)).toEqual(
    saves.map((_, index) => (index === 13 ? 'lost' : 'saved')),
  );
  expect(bench.store.rows.size).toBe(19);
  // The whole batch, and at most two calls for each halving of twenty.
  expect(bench.store.calls.length).toBeLessThan(12);
  expect(bench.keeper.state().circuit).toBe('closed');
  expect(saves[13]?.confirmed).toBe('unconfirmed');
});

test('a refusal is logged with id and SQLSTATE and never with the text of a user', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(sqlError('22P05'));
  const save = bench.save();
  await settled();
  const log = bench.errors().join('\n');
  expect(log).toContain(save.message.id);
  expect(log).toContain('22P05');
  expect(log).not.toContain('what a user wrote');
});

test('the first failure of each kind is logged as an error, further ones are not', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(AWAY);
  bench.save({}, { holds: () => false });
  await bench.clock.advance(5_000);
  expect(bench.store.calls.length).toBeGreaterThan(3);
  expect(bench.errors().filter((line) => line.includes('57P01'))).toHaveLength(1);
});

test('an unreachable store is retried with growing waits, one message at a time', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(AWAY);
  for (let count = 0; count < 4; count += 1) bench.save();
  await bench.clock.advance(1_000);
  expect(bench.store.calls.map(({ messages }) => messages.length)).toEqual([4, 1, 1, 1]);
  expect(bench.keeper.state()).toMatchObject({
    circuit: 'open',
    pending: 4,
    lastFailure: { errorType: '57P01' },
  });
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(5_000);
  expect(bench.store.rows.size).toBe(4);
  expect(bench.keeper.state()).toMatchObject({ circuit: 'closed', pending: 0, oldestPendingMs: 0 });
});

test('a message for which the store always fails does not block the others', async () => {
  const bench = createBench();
  bench.store.behave = (call) =>
    call.messages.some(({ text }) => text === 'bad') ? call.reject(AWAY) : call.commit();
  const bad = bench.save({ text: 'bad' });
  const others = Array.from({ length: 10 }, () => bench.save());
  await bench.clock.advance(30_000);
  expect(others.every(({ result }) => result === 'saved')).toBe(true);
  expect(bad.result).toBeUndefined();
  await bench.clock.advance(30_000);
  expect(bad.result).toBe('lost');
});

test('without a journal a frame is released unconfirmed at the deadline and the save stays pending', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(AWAY);
  const save = bench.save();
  await bench.clock.advance(1_999);
  expect(save.confirmed).toBeUndefined();
  await bench.clock.advance(1);
  expect(save.confirmed).toBe('unconfirmed');
  expect(save.result).toBeUndefined();
  expect(bench.errors().some((line) => line.includes('before its message was safe'))).toBe(true);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(10_000);
  expect(save.result).toBe('saved');
});

test('without a journal a message is lost after failures for missingAfterMs', async () => {
  const bench = createBench();
  bench.store.behave = (call) => call.reject(AWAY);
  const save = bench.save();
  await bench.clock.advance(59_999);
  expect(save.result).toBeUndefined();
  await bench.clock.advance(1);
  expect(save.result).toBe('lost');
  expect(bench.account.saves).toMatchObject([
    { result: 'lost', kind: 'first', errorType: '57P01' },
  ]);
  const calls = bench.store.calls.length;
  await bench.clock.advance(60_000);
  expect(bench.store.calls.length).toBe(calls);
});

test('a message is missing if the store has not answered at all, and its late commit is counted separately', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  const save = bench.save();
  await bench.clock.advance(60_000);
  expect(save.result).toBe('missing');
  bench.store.calls[0]?.commit();
  await settled();
  bench.store.calls[1]?.commit();
  await settled();
  expect(bench.account.saves.map(({ result, kind }) => `${result} ${kind}`)).toEqual([
    'missing first',
    'saved late',
  ]);
});

test('a missing message whose every call finally fails is counted as late and lost', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  bench.save();
  await bench.clock.advance(60_000);
  for (const call of bench.store.calls) call.reject(AWAY);
  await settled();
  expect(bench.account.saves.map(({ result, kind }) => `${result} ${kind}`)).toEqual([
    'missing first',
    'lost late',
  ]);
});

test('a store call that hangs does not stop other messages, and its message is sent again', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  const first = bench.save();
  await settled();
  bench.store.behave = (call) => call.commit();
  const second = bench.save();
  await bench.clock.advance(11_000);
  expect([first.result, second.result]).toEqual(['saved', 'saved']);
  expect(bench.account.attempts).toContain('timeout');
  bench.store.calls[0]?.commit();
  await settled();
  expect(bench.account.saves).toHaveLength(2);
});

test('a store that throws instead of rejecting counts as unreachable', async () => {
  const bench = createBench();
  bench.store.behave = () => {
    throw new TypeError('not a function');
  };
  bench.save();
  await settled();
  expect(bench.account.attempts).toEqual(['TypeError']);
  expect(bench.keeper.state().circuit).toBe('open');
});

test('flush() waits for pending saves', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  bench.save();
  let isFlushed = false;
  void bench.keeper.flush().then(() => (isFlushed = true));
  await settled();
  expect(isFlushed).toBe(false);
  bench.store.calls[0]?.commit();
  await settled();
  expect(isFlushed).toBe(true);
});

test('the oldest pending message is reported with the time at which it was due', async () => {
  const bench = createBench();
  bench.store.behave = () => undefined;
  const dueAtMs = bench.clock.epochMs();
  bench.save();
  await bench.clock.advance(500);
  bench.save();
  expect(bench.keeper.state()).toMatchObject({ pending: 2, oldestPendingMs: dueAtMs });
});

test('the store is called in the context of the first save of the batch', async () => {
  const contexts: string[] = [];
  const bench = createBench({
    around(save, work) {
      contexts.push(save.message.id);
      return work();
    },
  });
  const first = bench.save();
  bench.save();
  await settled();
  expect(contexts).toEqual([first.message.id]);
});

test.each([3_600_000, -3_600_000])(
  'ages are correct after the wall clock was set by %i ms',
  async (byMs) => {
    const bench = createBench();
    bench.store.behave = (call) => call.reject(AWAY);
    bench.save();
    await bench.clock.advance(20);
    bench.clock.setWallClock(byMs);
    const { oldestPendingMs, lastFailure } = bench.keeper.state();
    expect(bench.clock.epochMs() - oldestPendingMs).toBe(20);
    expect(bench.clock.epochMs() - (lastFailure?.atMs ?? 0)).toBe(20);
  },
);
