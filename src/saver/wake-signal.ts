/**
 * A sleeper and a bell. A ring is never lost: one that comes while nobody sleeps ends the next sleep at once.
 */
import type { Clock } from '../core/clock.ts';

export interface Bell {
  ring(): void;
  /** Until the bell rings, `ms` are over (if given), or the signal aborts. One sleeper at a time. */
  sleep(ms?: number): Promise<void>;
}

export function createBell(clock: Clock, signal: AbortSignal): Bell {
  let hasRung = false;
  let awake: (() => void) | undefined;
  const ring = (): void => {
    if (awake === undefined) hasRung = true;
    else awake();
  };
  return {
    ring,
    sleep(ms) {
      const isOver = hasRung || signal.aborted;
      hasRung = false;
      if (isOver) return Promise.resolve();
      return new Promise((resolve) => {
        const cancel = ms === undefined ? undefined : clock.after(ms, ring);
        awake = () => {
          awake = undefined;
          cancel?.();
          signal.removeEventListener('abort', ring);
          resolve();
        };
        signal.addEventListener('abort', ring, { once: true });
      });
    },
  };
}
