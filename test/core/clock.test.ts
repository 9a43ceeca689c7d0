import { describe, expect, it } from 'vitest';
import { type Clock, epochOf } from '../../src/core/clock.ts';

/** A clock that is moved by hand; its wall clock counts whole milliseconds, as Node's does. */
function createClock() {
  let nowMs = 1_000;
  let setToMs = 1_700_000_000_000.4;
  const clock: Clock = {
    epochMs: () => Math.floor(setToMs + nowMs),
    monotonicMs: () => nowMs,
    after: () => () => undefined,
  };
  return {
    clock,
    pass: (ms: number) => (nowMs += ms),
    setBy: (ms: number) => (setToMs += ms),
  };
}

describe('the time of day of a monotonic timestamp', () => {
  it('stays the same while time passes', () => {
    const { clock, pass } = createClock();
    const first = epochOf(clock, 990);
    for (const ms of [0.3, 0.5, 7.7, 3_600_000.1]) {
      pass(ms);
      expect(epochOf(clock, 990)).toBe(first);
    }
  });

  it('moves with a wall clock that is set, so that its age stays true', () => {
    const { clock, pass, setBy } = createClock();
    epochOf(clock, 990);
    setBy(-3_600_000);
    pass(20);
    expect(clock.epochMs() - epochOf(clock, 990)).toBeCloseTo(30, -1);
  });
});
