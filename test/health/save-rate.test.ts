import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SaveRates } from '../../src/health/save-rate.ts';
import type { SaveResult } from '../../src/core/message.ts';
import { aSave, aStream } from '../telemetry/facts.ts';

beforeEach(() => void vi.useFakeTimers({ now: 1_700_000_010_000 }));
afterEach(() => void vi.useRealTimers());

function createBench() {
  const rates = new SaveRates();
  const save = (result: SaveResult, kind: 'first' | 'revised' | 'late' = 'first'): void =>
    rates.onSave?.(aSave(aStream(), { result, kind }));
  return { rates, save };
}

it('is unknown if nothing was due', () => {
  expect(createBench().rates.now()).toEqual({ fiveMinutes: undefined, oneHour: undefined });
});

it('counts a journaled message as safe, and a lost or missing one as not safe', () => {
  const { rates, save } = createBench();
  save('saved');
  save('journaled');
  save('lost');
  save('missing');
  expect(rates.now()).toEqual({ fiveMinutes: 0.5, oneHour: 0.5 });
});

it('counts further errors of the durability objective, and no late result', () => {
  const { rates, save } = createBench();
  for (let n = 0; n < 10; n += 1) save('saved');
  save('lost', 'revised');
  rates.onReplayed('refused');
  rates.onRecovered('refused');
  rates.onReplayed('saved');
  save('lost', 'late');
  save('saved', 'revised');
  expect(rates.now().fiveMinutes).toBeCloseTo(0.7);
});

it('forgets results after five minutes, and after an hour', () => {
  const { rates, save } = createBench();
  save('lost');
  vi.advanceTimersByTime(4 * 60_000);
  save('saved');
  expect(rates.now()).toEqual({ fiveMinutes: 0.5, oneHour: 0.5 });
  vi.advanceTimersByTime(2 * 60_000);
  expect(rates.now()).toEqual({ fiveMinutes: 1, oneHour: 0.5 });
  vi.advanceTimersByTime(60 * 60_000);
  expect(rates.now()).toEqual({ fiveMinutes: undefined, oneHour: undefined });
});

it('is never below 0, even if old messages are refused', () => {
  const { rates } = createBench();
  rates.onRecovered('refused');
  expect(rates.now().fiveMinutes).toBe(0);
});

it('starts a new ring after a long pause', () => {
  const { rates, save } = createBench();
  save('lost');
  vi.advanceTimersByTime(60 * 60_000);
  save('saved');
  expect(rates.now()).toEqual({ fiveMinutes: 1, oneHour: 1 });
});

it('has a history of the half minutes of the last hour with counts, by result', () => {
  const { rates, save } = createBench();
  const begin = Date.now();
  save('saved');
  save('journaled');
  vi.advanceTimersByTime(10 * 60_000);
  save('missing');
  rates.onReplayed('saved');
  rates.onRecovered('refused');
  save('lost', 'revised');
  const nothing = { saved: 0, journaled: 0, lost: 0, missing: 0 };
  const history = rates.history();
  expect(history).toMatchObject([
    { results: { ...nothing, saved: 1, journaled: 1 }, errors: 0, refused: 0, replayed: 0 },
    { results: { ...nothing, missing: 1 }, errors: 3, refused: 1, replayed: 1 },
  ]);
  const [first, second] = history.map(({ startMs }) => startMs);
  expect((second ?? 0) - (first ?? 0)).toBe(10 * 60_000);
  expect(Math.abs((first ?? 0) - begin)).toBeLessThanOrEqual(30_000);
  vi.advanceTimersByTime(50 * 60_000);
  expect(rates.history()).toHaveLength(1);
  vi.advanceTimersByTime(60 * 60_000);
  expect(rates.history()).toEqual([]);
});
