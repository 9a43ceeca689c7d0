import { expect, test } from 'vitest';
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS, backoffMs } from '../../src/saver/backoff.ts';
import { createCircuit, type Pass } from '../../src/saver/circuit-breaker.ts';
import { createTestClock, settled } from './fakes.ts';

function bench() {
  const clock = createTestClock();
  const told: string[] = [];
  const circuit = createCircuit({
    clock,
    random: () => 1,
    onAway: (errorType, wasOpen) => void told.push(`${wasOpen ? 'still ' : ''}away ${errorType}`),
    onBack: () => void told.push('back'),
  });
  const abort = new AbortController();
  const passes: (Pass | undefined)[] = [];
  const enter = async (): Promise<void> => {
    void circuit.enter(abort.signal).then((pass) => passes.push(pass));
    await settled();
  };
  return { clock, told, circuit, abort, passes, enter };
}

test('waits grow from 100 ms to 5 s and are spread by chance', () => {
  expect([1, 2, 3, 4, 5, 6, 60].map((failures) => backoffMs(failures, () => 1))).toEqual([
    200, 400, 800, 1_600, 3_200, 5_000, 5_000,
  ]);
  expect(backoffMs(60, () => 0)).toBe(BACKOFF_MIN_MS);
  expect(backoffMs(60, () => 0.999)).toBeLessThan(BACKOFF_MAX_MS);
});

test('everybody may enter while the store answers', async () => {
  const { passes, enter } = bench();
  await enter();
  await enter();
  expect(passes.map((pass) => pass?.isProbe)).toEqual([false, false]);
});

test('after a failure one probe at a time may enter, after a wait', async () => {
  const { clock, told, passes, enter } = bench();
  await enter();
  passes[0]?.done('57P01');
  await enter();
  await enter();
  expect(passes).toHaveLength(1);
  await clock.advance(200);
  expect(passes).toHaveLength(2);
  passes[1]?.done('57P01');
  await clock.advance(399);
  expect(passes).toHaveLength(2);
  await clock.advance(1);
  expect(passes).toHaveLength(3);
  expect(told).toEqual(['away 57P01', 'still away 57P01']);
});

test('an answer lets everybody in who waits', async () => {
  const { clock, told, passes, enter } = bench();
  await enter();
  passes[0]?.done('08006');
  for (let count = 0; count < 3; count += 1) await enter();
  await clock.advance(200);
  passes[1]?.done(undefined);
  await settled();
  expect(passes).toHaveLength(4);
  expect(told).toEqual(['away 08006', 'back']);
});

test('a probe that finds nothing to send gives its place to the next', async () => {
  const { clock, passes, enter } = bench();
  await enter();
  passes[0]?.done('08006');
  await enter();
  await enter();
  await clock.advance(200);
  passes[1]?.unused();
  await settled();
  expect(passes).toHaveLength(3);
});

test('a failure of a batch that was sent before the circuit opened is not told again', async () => {
  const { clock, told, passes, enter } = bench();
  await enter();
  await enter();
  passes[0]?.done('57P01');
  passes[1]?.done('57P01');
  expect(told).toEqual(['away 57P01']);
  expect(clock.timers).toBe(1);
});

test('a nudge ends the wait for the next probe', async () => {
  const { clock, circuit, passes, enter } = bench();
  await enter();
  passes[0]?.done('57P01');
  await enter();
  circuit.nudge();
  await settled();
  expect(passes).toHaveLength(2);
  expect(clock.timers).toBe(0);
});

test('a wait ends when its signal aborts, and leaves no listener', async () => {
  const { abort, passes, enter, circuit } = bench();
  await enter();
  passes[0]?.done('57P01');
  await enter();
  abort.abort();
  await settled();
  expect(passes).toEqual([passes[0], undefined]);
  expect(await circuit.enter(abort.signal)).toBeUndefined();
});

test('batches begin again with one message after a failure and double with each answer', async () => {
  const { clock, circuit, passes, enter } = bench();
  expect(circuit.facts.limit).toBe(256);
  await enter();
  passes[0]?.done('57014');
  expect(circuit.facts.limit).toBe(1);
  await enter();
  await clock.advance(200);
  passes[1]?.done(undefined);
  expect(circuit.facts.limit).toBe(2);
});
