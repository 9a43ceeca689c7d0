import { expect, test } from 'vitest';
import {
  BACKOFF_MAX_MS,
  BACKOFF_MIN_MS,
  backoffMs,
  CircuitBreaker,
  type Permit,
} from '../../src/saver/circuit-breaker.ts';
import { createTestClock, settled } from './fakes.ts';

function bench() {
  const clock = createTestClock();
  const told: string[] = [];
  const circuit = new CircuitBreaker({
    clock,
    random: () => 1,
    onAway: (errorType, wasOpen) => void told.push(`${wasOpen ? 'still ' : ''}away ${errorType}`),
    onBack: () => void told.push('back'),
  });
  const abort = new AbortController();
  const permits: (Permit | undefined)[] = [];
  const enter = async (): Promise<void> => {
    void circuit.acquire(abort.signal).then((permit) => permits.push(permit));
    await settled();
  };
  return { clock, told, circuit, abort, permits, enter };
}

test('waits grow from 100 ms to 5 s, with jitter', () => {
  expect([1, 2, 3, 4, 5, 6, 60].map((failures) => backoffMs(failures, () => 1))).toEqual([
    200, 400, 800, 1_600, 3_200, 5_000, 5_000,
  ]);
  expect(backoffMs(60, () => 0)).toBe(BACKOFF_MIN_MS);
  expect(backoffMs(60, () => 0.999)).toBeLessThan(BACKOFF_MAX_MS);
});

test('the closed circuit admits every batch', async () => {
  const { permits, enter } = bench();
  await enter();
  await enter();
  expect(permits.map((permit) => permit?.isProbe)).toEqual([false, false]);
});

test('after a failure one probe at a time is admitted, after a wait', async () => {
  const { clock, told, permits, enter } = bench();
  await enter();
  permits[0]?.report('57P01');
  await enter();
  await enter();
  expect(permits).toHaveLength(1);
  await clock.advance(200);
  expect(permits).toHaveLength(2);
  permits[1]?.report('57P01');
  await clock.advance(399);
  expect(permits).toHaveLength(2);
  await clock.advance(1);
  expect(permits).toHaveLength(3);
  expect(told).toEqual(['away 57P01', 'still away 57P01']);
});

test('after a success every waiting batch is admitted', async () => {
  const { clock, told, permits, enter } = bench();
  await enter();
  permits[0]?.report('08006');
  for (let count = 0; count < 3; count += 1) await enter();
  await clock.advance(200);
  permits[1]?.report(undefined);
  await settled();
  expect(permits).toHaveLength(4);
  expect(told).toEqual(['away 08006', 'back']);
});

test('a probe without a message to send passes its permit to the next one', async () => {
  const { clock, permits, enter } = bench();
  await enter();
  permits[0]?.report('08006');
  await enter();
  await enter();
  await clock.advance(200);
  permits[1]?.release();
  await settled();
  expect(permits).toHaveLength(3);
});

test('the failure of a batch that was sent before the circuit opened is not reported', async () => {
  const { clock, told, permits, enter } = bench();
  await enter();
  await enter();
  permits[0]?.report('57P01');
  permits[1]?.report('57P01');
  expect(told).toEqual(['away 57P01']);
  expect(clock.timers).toBe(1);
});

test('`probeNow` ends the wait for the next probe', async () => {
  const { clock, circuit, permits, enter } = bench();
  await enter();
  permits[0]?.report('57P01');
  await enter();
  circuit.probeNow();
  await settled();
  expect(permits).toHaveLength(2);
  expect(clock.timers).toBe(0);
});

test('a wait ends when its signal aborts, and leaves no timer', async () => {
  const { abort, permits, enter, circuit } = bench();
  await enter();
  permits[0]?.report('57P01');
  await enter();
  abort.abort();
  await settled();
  expect(permits).toEqual([permits[0], undefined]);
  expect(await circuit.acquire(abort.signal)).toBeUndefined();
});

test('the batch size is one after a failure and doubles with each success', async () => {
  const { clock, circuit, permits, enter } = bench();
  expect(circuit.limit).toBe(256);
  await enter();
  permits[0]?.report('57014');
  expect(circuit.limit).toBe(1);
  await enter();
  await clock.advance(200);
  permits[1]?.report(undefined);
  expect(circuit.limit).toBe(2);
});
