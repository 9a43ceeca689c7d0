/** What a stream asks of those who made it, so that it need not know them. */
import type { FinishRefusal } from '../../core/observer.ts';

/** What others do about a stream. */
export interface StreamHooks {
  /** No data came for `idleTimeoutMs`. */
  idle(): void;
  /** The finish marker came after it was told to stop. */
  finished(): void;
  /** A full response made no progress for `stallTimeoutMs`. */
  stalled(): void;
  /** It may not outlive its client any longer. */
  budgetSpent(why: FinishRefusal): void;
  /** Ends or destroys the response without asking the stream. */
  close(how: 'end' | 'destroy'): void;
  /** Our listeners come off the socket, which serves other requests. */
  detach(): void;
  /** Our methods come off the response, for a guard that takes the place of `observe()`. */
  unwrap(): void;
}

/** Until it is attached. */
export const NO_HOOKS: StreamHooks = {
  idle() {},
  finished() {},
  stalled() {},
  budgetSpent() {},
  close() {},
  detach() {},
  unwrap() {},
};
