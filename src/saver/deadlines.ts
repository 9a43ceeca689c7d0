/**
 * The appointments of one save, kept with a single timer. Each deadline has a moment before it at which the
 * journal is asked, so that at the deadline itself the answer is there and nobody waits for a slow disk. A process that
 * was stopped, or busy, past a deadline asks first as well: the time in which it could do nothing does not count.
 */
import type { Clock } from '../core/clock.ts';

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
  const confirmHeadMs = headStartMs(confirmTimeoutMs);
  const missingHeadMs = headStartMs(missingAfterMs);
  const startMs = clock.monotonicMs();
  let askedMs = startMs;
  const ask = (): void => {
    askedMs = clock.monotonicMs();
    onNear();
  };
  const stages = [
    { atMs: confirmTimeoutMs - confirmHeadMs, headMs: 0, run: ask },
    { atMs: confirmTimeoutMs, headMs: confirmHeadMs, run: onConfirmTimeout },
    { atMs: missingAfterMs - missingHeadMs, headMs: 0, run: ask },
    { atMs: missingAfterMs, headMs: missingHeadMs, run: onMissing },
  ].sort((a, b) => a.atMs - b.atMs);
  let cancel: (() => void) | undefined;
  let stopped = false;
  const next = (index: number): void => {
    const stage = stages[index];
    if (stage === undefined || stopped) return;
    const dueMs = Math.max(startMs + stage.atMs, askedMs + stage.headMs);
    cancel = clock.after(Math.max(0, dueMs - clock.monotonicMs()), () => {
      if (clock.monotonicMs() - dueMs <= stage.headMs || stage.headMs === 0) {
        stage.run();
        return next(index + 1);
      }
      // The answer may be there and wait behind this timer, or never have been on its way.
      ask();
      next(index);
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
