/**
 * The appointments of one save, kept with a single timer. Each deadline has a moment before it at which the
 * journal is asked, so that at the deadline itself the answer is there and nobody waits for a slow disk.
 */
import type { Clock } from './clock.ts';

/** What the journal gets before a deadline: a quarter of the time, but not more than this. */
const HEAD_START_MAX_MS = 500;

export interface Deadlines {
  readonly confirmTimeoutMs: number;
  readonly missingAfterMs: number;
  /** Shortly before each of the two. */
  readonly onNear: () => void;
  readonly onConfirmTimeout: () => void;
  readonly onMissing: () => void;
}

/** Starts the clock; the returned function stops it for good. */
export function startDeadlines(clock: Clock, deadlines: Deadlines): () => void {
  const { confirmTimeoutMs, missingAfterMs, onNear, onConfirmTimeout, onMissing } = deadlines;
  const stages = [
    { atMs: confirmTimeoutMs - headStartMs(confirmTimeoutMs), run: onNear },
    { atMs: confirmTimeoutMs, run: onConfirmTimeout },
    { atMs: missingAfterMs - headStartMs(missingAfterMs), run: onNear },
    { atMs: missingAfterMs, run: onMissing },
  ].sort((a, b) => a.atMs - b.atMs);
  const startMs = clock.monotonicMs();
  let cancel: (() => void) | undefined;
  let stopped = false;
  const next = (index: number): void => {
    const stage = stages[index];
    if (stage === undefined || stopped) return;
    cancel = clock.after(Math.max(0, startMs + stage.atMs - clock.monotonicMs()), () => {
      stage.run();
      next(index + 1);
    });
  };
  next(0);
  return () => {
    stopped = true;
    cancel?.();
  };
}

function headStartMs(ms: number): number {
  return Math.min(ms / 4, HEAD_START_MAX_MS);
}
