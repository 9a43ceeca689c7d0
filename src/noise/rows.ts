/** What a row of the tables says: how an error looks, and what its stream must know besides. */
import type { NoiseReason } from '../core/names/labels.ts';

/**
 * What has to be true of the stream, besides the look of the error:
 * - `left`: its client left, or it was stopped or interrupted;
 * - `own`: that, and this very object is what its own request or connection failed with;
 * - `aborted`: that, and its own signal is aborted;
 * - `closed`: that, and its connection is closed;
 * - `our-reason`: that, and among the causes is what the stream's own signal was aborted with;
 * - `our-destroy`: that, and this process destroyed the request when the stream's own signal was aborted, not later.
 */
export type Need = 'left' | 'own' | 'aborted' | 'closed' | 'our-reason' | 'our-destroy';

/** What an error looks like; everything that is given must agree. */
export interface Look {
  readonly code?: string | number | RegExp;
  readonly name?: string;
  /** A class in its prototype chain: some libraries set no name and no code. */
  readonly className?: string;
  readonly message?: string | RegExp;
  /** What some libraries call their code. */
  readonly type?: string;
  /** The stack trace: it tells whose error it is where nothing else does. Without one the row does not fit. */
  readonly stack?: RegExp;
  /** Whether a system call failed. */
  readonly syscall?: boolean;
}

/** A look that can be noise. */
export interface Signature extends Look {
  /** The name of the row. */
  readonly id: string;
  readonly reason: NoiseReason;
  readonly needs: Need;
  /** Where the look comes from. */
  readonly source: string;
}
