/** Lines that repeat: told once a minute, with how many were left out. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SeldomLines } from '../../src/telemetry/seldom-lines.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Counts what each kind wrote: how many lines were left out before. */
function createBench() {
  const seldom = new SeldomLines();
  const told: [kind: string, untold: number][] = [];
  const tell = (kind: string, burst?: number): void => {
    seldom.tell(kind, (untold) => void told.push([kind, untold]), burst);
  };
  return { seldom, told, tell };
}

it('the first line of each kind is written at once, and the next after a minute with the count', () => {
  const { told, tell } = createBench();
  for (let time = 0; time < 1_000; time += 1) tell('a');
  tell('b');
  vi.advanceTimersByTime(60_000);
  tell('a');
  expect(told).toEqual([
    ['a', 0],
    ['b', 0],
    ['a', 999],
  ]);
});

it('a burst of lines is written for a kind with a higher limit', () => {
  const { told, tell } = createBench();
  for (let time = 0; time < 6; time += 1) tell('a', 4);
  expect(told).toHaveLength(4);
});

it('writeDue() writes the last suppressed line and its count', () => {
  const { seldom, told, tell } = createBench();
  for (let time = 0; time < 5; time += 1) tell('a');
  tell('b');
  vi.advanceTimersByTime(59_999);
  seldom.writeDue();
  expect(told).toHaveLength(2);
  vi.advanceTimersByTime(1);
  seldom.writeDue();
  seldom.writeDue();
  expect(told.slice(2)).toEqual([['a', 3]]);
});

it('flush() writes everything that was suppressed', () => {
  const { seldom, told, tell } = createBench();
  for (const kind of ['a', 'a', 'a', 'b', 'b', 'c']) tell(kind);
  seldom.flush();
  seldom.flush();
  expect(told.slice(3)).toEqual([
    ['a', 1],
    ['b', 0],
  ]);
});

it('a bounded number of kinds is remembered, and kinds without recent lines are dropped', () => {
  const { told, tell } = createBench();
  for (let kind = 0; kind < 1_500; kind += 1) tell(`first ${kind}`);
  expect(told).toHaveLength(1_000);
  vi.advanceTimersByTime(60_000);
  tell('another');
  expect(told.at(-1)).toEqual(['another', 0]);
});
