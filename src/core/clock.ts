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
