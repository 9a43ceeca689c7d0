/**
 * The deadlines of one save, on a single timer. Shortly before each deadline the journal is asked for an fsync, so that its
 * answer is there when the deadline comes. A process that was stopped or busy past a deadline asks the journal first as well:
 * time in which it could not run does not count.
 */
import type { Clock } from '../core/clock.ts';

/** How long before a deadline the journal is asked: a quarter of the deadline, but at most this, in milliseconds. */
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
      // The answer may already wait in the event queue behind this timer, or it was never asked for.
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
