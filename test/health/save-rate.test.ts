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

it('is unknown where nothing was due', () => {
  expect(createBench().rates.now()).toEqual({ fiveMinutes: undefined, oneHour: undefined });
});

it('takes a journaled message for safe, a lost or missing one not', () => {
  const { rates, save } = createBench();
  save('saved');
  save('journaled');
  save('lost');
  save('missing');
  expect(rates.now()).toEqual({ fiveMinutes: 0.5, oneHour: 0.5 });
});

it('counts what the durability objective counts besides, and nothing that is late', () => {
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

it('forgets after five minutes, and after an hour', () => {
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

it('is never below 0, when old messages are refused', () => {
  const { rates } = createBench();
  rates.onRecovered('refused');
  expect(rates.now().fiveMinutes).toBe(0);
});

it('begins its ring anew after a long silence', () => {
  const { rates, save } = createBench();
  save('lost');
  vi.advanceTimersByTime(60 * 60_000);
  save('saved');
  expect(rates.now()).toEqual({ fiveMinutes: 1, oneHour: 1 });
});
