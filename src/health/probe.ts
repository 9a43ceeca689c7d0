/** Asking a store for a sign of life, so rarely and so far in the background that nobody waits for it. */
import { errorTypeOf } from '../core/errors.ts';

const PROBE_EVERY_MS = 5_000;

/** What the last probe found. */
export interface Probed {
  readonly ok: boolean;
  readonly atMs: number;
  /** '' when it went well. */
  readonly errorType: string;
}

export interface Probe {
  /** Starts one in the background, if the last is long enough ago. */
  ask(): void;
  last(): Probed | undefined;
}

/** Without `run` there is never a finding. */
export function createProbe(run: (() => Promise<unknown>) | undefined): Probe {
  let last: Probed | undefined;
  let running = false;
  let askedMs = Number.NEGATIVE_INFINITY;
  const probe = async (work: () => Promise<unknown>): Promise<void> => {
    running = true;
    try {
      await work();
      last = { ok: true, atMs: Date.now(), errorType: '' };
    } catch (error) {
      last = { ok: false, atMs: Date.now(), errorType: errorTypeOf(error) };
    } finally {
      running = false;
    }
  };
  return {
    last: () => last,
    ask() {
      const now = performance.now();
      if (run === undefined || running || now - askedMs < PROBE_EVERY_MS) return;
      askedMs = now;
      void probe(run);
    },
  };
}
