/**
 * The clock that all rooms use, so that a test can replace it. Durations are measured by the monotonic clock, because the wall clock may
 * jump.
 */
import { performance } from 'node:perf_hooks';

/** Two clocks and a timer. */
export interface Clock {
  /** Wall clock, epoch milliseconds: for times that an operator reads. */
  epochMs(): number;
  /** Never decreases: for durations. */
  monotonicMs(): number;
  /** Calls `run` once after `ms`, unless the returned function is called first. Does not keep the process alive. */
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

/** The difference between wall clock and monotonic clock, as of the last time that a setting of the wall clock was detected. */
const offsets = new WeakMap<Clock, number>();

/**
 * Converts a time of the monotonic clock to epoch milliseconds, by the wall clock as it is set now: the difference to the wall clock is
 * the true age, also after the wall clock was set. Until it is set, the result for a time stays the same.
 */
export function epochOf(clock: Clock, monotonicMs: number): number {
  const now = clock.epochMs() - clock.monotonicMs();
  const known = offsets.get(clock);
  const wasSet = known === undefined || Math.abs(now - known) >= CLOCK_WAS_SET_MS;
  if (wasSet) offsets.set(clock, now);
  return monotonicMs + (wasSet ? now : known);
}

/**
 * Keeps the process alive until a promise has settled: all timers of `Clock` are unref'd, so without this the process could end before the
 * promise settles. Returns the promise.
 */
export function holdProcess<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => undefined, HOLD_TICK_MS);
  return work.finally(() => clearInterval(timer));
}

/** The interval of a timer that does nothing: any value below Node's maximum of 2^31 - 1. */
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
