/**
 * How long to leave a store alone that did not work. Jitter spreads the replicas of an app over the
 * interval, so that a database which has just come back is not met by all of them at once.
 */

/** The shortest wait. */
export const BACKOFF_MIN_MS = 100;
/** The longest wait: what a recovery may take to be noticed. */
export const BACKOFF_MAX_MS = 5_000;

/**
 * Milliseconds to wait after the given number of failures in a row (1 is the first): a random point between the
 * minimum and twice as much as after the failure before. `random` gives a number from 0 up to 1.
 */
export function backoffMs(failures: number, random: () => number): number {
  const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 10));
  return BACKOFF_MIN_MS + random() * (ceilingMs - BACKOFF_MIN_MS);
}
