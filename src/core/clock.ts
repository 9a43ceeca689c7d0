/**
 * Time, as the guard uses it: one place to take it from, so that a test can move it. Durations come from
 * the monotonic clock, because the wall clock jumps.
 */
import { performance } from 'node:perf_hooks';

/** Two clocks and a timer. */
export interface Clock {
  /** Wall clock, epoch milliseconds: for what an operator reads. */
  epochMs(): number;
  /** Never goes back: for durations. */
  monotonicMs(): number;
  /** Calls `run` once after `ms`, unless the returned function is called first. Keeps no process alive. */
  after(ms: number, run: () => void): () => void;
}

/** Node's own clocks. */
export const systemClock: Clock = {
  epochMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** The two clocks drift apart by less than this unless the wall clock is set; `Date.now()` alone is off by up to 1 ms. */
const CLOCK_WAS_SET_MS = 100;

/** What the wall clock was ahead of the monotonic one when it was last seen set. */
const offsets = new WeakMap<Clock, number>();

/**
 * Epoch milliseconds of a moment of the monotonic clock, by the wall clock as it is set now: whoever subtracts it from
 * the wall clock has the true age, also after the wall clock was set. Until it is set, the answer stays the same.
 */
export function epochOf(clock: Clock, monotonicMs: number): number {
  const now = clock.epochMs() - clock.monotonicMs();
  const known = offsets.get(clock);
  const wasSet = known === undefined || Math.abs(now - known) >= CLOCK_WAS_SET_MS;
  if (wasSet) offsets.set(clock, now);
  return monotonicMs + (wasSet ? now : known);
}

/**
 * Keeps the process alive until a promise that was given to somebody has settled: all timers of `Clock` are unref'd, so
 * without this the event loop could end first, and the promise never would. Returns the promise.
 */
export function holdProcess<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, HOLD_TICK_MS);
  return work.finally(() => clearInterval(timer));
}

/** The timer does nothing; any time below the largest that Node takes will do. */
const HOLD_TICK_MS = 2 ** 30;

/**
 * Waits for a promise that never rejects, but not for longer than `ms`. `undefined` when the time is over
 * first; the timer is cleared either way.
 */
export function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    void work.then((value) => {
      cancel();
      resolve(value);
    });
  });
}
