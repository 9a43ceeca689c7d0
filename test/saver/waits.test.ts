import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { WakeSignal } from '../../src/saver/replay.ts';
import { systemClock, within } from '../../src/core/clock.ts';
import { startDeadlines } from '../../src/saver/deadlines.ts';
import { WaitQueue } from '../../src/saver/circuit-breaker.ts';
import { createTestClock, settled } from './fakes.ts';

test('a notification before the wait ends it', async () => {
  const signal = new WakeSignal(createTestClock(), new AbortController().signal);
  signal.notify();
  await signal.wait();
  let isAwake = false;
  void signal.wait().then(() => (isAwake = true));
  await settled();
  expect(isAwake).toBe(false);
  signal.notify();
  await settled();
  expect(isAwake).toBe(true);
});

test('a wait ends by its timer or its signal and leaves neither timer nor listener', async () => {
  const clock = createTestClock();
  const abort = new AbortController();
  const signal = new WakeSignal(clock, abort.signal);
  const wait = signal.wait(1_000);
  await clock.advance(1_000);
  await wait;
  expect([clock.timers, getEventListeners(abort.signal, 'abort').length]).toEqual([0, 0]);
  const second = signal.wait(1_000);
  abort.abort();
  await second;
  expect(clock.timers).toBe(0);
  await signal.wait();
});

test('a queue admits in order and skips an aborted wait', async () => {
  const queue = new WaitQueue<string>();
  const abort = new AbortController();
  const forever = new AbortController();
  const first = queue.wait(abort.signal);
  const second = queue.wait(forever.signal);
  abort.abort();
  expect(await first).toBeUndefined();
  queue.admit(() => 'in');
  expect(await second).toBe('in');
  expect(queue.length).toBe(0);
  expect(getEventListeners(forever.signal, 'abort')).toHaveLength(0);
});

test('an empty queue does not call what it would admit', () => {
  let given = 0;
  new WaitQueue<number>().admit(() => (given += 1));
  expect(given).toBe(0);
});

test('within() returns the value or, after the time, undefined, and clears its timer', async () => {
  const clock = createTestClock();
  expect(await within(clock, 100, Promise.resolve(7))).toBe(7);
  expect(clock.timers).toBe(0);
  const late = within(clock, 100, new Promise<number>(() => undefined));
  await clock.advance(100);
  expect(await late).toBeUndefined();
});

test('the deadlines of a save fire in order, each once, preceded by an event for the journal', async () => {
  const clock = createTestClock();
  const startMs = clock.monotonicMs();
  const told: string[] = [];
  const note = (name: string) => () => void told.push(`${name} ${clock.monotonicMs() - startMs}`);
  startDeadlines(clock, {
    confirmTimeoutMs: 2_000,
    missingAfterMs: 60_000,
    onNear: note('near'),
    onConfirmTimeout: note('confirm'),
    onMissing: note('missing'),
  });
  await clock.advance(100_000);
  expect(told).toEqual(['near 1500', 'confirm 2000', 'near 59500', 'missing 60000']);
});

test('a process that was stopped past a deadline gets the event for the journal first', async () => {
  const clock = createTestClock();
  const startMs = clock.monotonicMs();
  const told: string[] = [];
  const note = (name: string) => () => void told.push(`${name} ${clock.monotonicMs() - startMs}`);
  startDeadlines(clock, {
    confirmTimeoutMs: 2_000,
    missingAfterMs: 60_000,
    onNear: note('near'),
    onConfirmTimeout: note('confirm'),
    onMissing: note('missing'),
  });
  clock.stop(5_000);
  await clock.advance(1_000);
  expect(told.splice(0)).toEqual(['near 5000', 'confirm 5500']);
  await clock.advance(53_600);
  clock.stop(100_000);
  await clock.advance(1_000);
  expect(told).toEqual(['near 59500', 'near 159600', 'missing 160100']);
});

test('deadlines that are cancelled do not fire', async () => {
  const clock = createTestClock();
  const told: string[] = [];
  const cancel = startDeadlines(clock, {
    confirmTimeoutMs: 100,
    missingAfterMs: 1_000,
    onNear: () => undefined,
    onConfirmTimeout: () => cancel(),
    onMissing: () => void told.push('missing'),
  });
  await clock.advance(10_000);
  expect([told, clock.timers]).toEqual([[], 0]);
});

test('timers of the system clock do not keep the process alive', () => {
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const cancel = systemClock.after(60_000, () => undefined);
  const during = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  cancel();
  expect(during).toBe(before);
});
