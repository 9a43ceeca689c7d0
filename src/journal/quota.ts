/**
 * The bound of everything that a journal may hold. Pieces of bodies may fill most of it; the rest is kept for endings
 * and settlements, so that a full journal can still say what became of the streams in it.
 */
import type { Condition } from './degraded.ts';

/** Pieces are taken up to this share, and again when there is a little room below it. */
const BODY_SHARE = 0.95;
const RESUME_SHARE = 0.9;

export interface Bound {
  /** Tells the condition when the share for pieces would be used up by so many bytes more, or has room again. */
  review(moreBytes: number): void;
  /** Not even an ending fits. */
  isReached(): boolean;
  /** So many bytes more fit into the share for pieces; into all of it, when they make room for others. */
  fits(bytes: number, share: 'pieces' | 'all'): boolean;
}

/** `usedBytes` is asked each time. */
export function createBound(
  maxBytes: number,
  usedBytes: () => number,
  condition: Condition,
): Bound {
  return {
    review(moreBytes) {
      const share = (usedBytes() + moreBytes) / maxBytes;
      if (condition.over ? share < RESUME_SHARE : share >= BODY_SHARE) {
        condition.setOver(!condition.over);
      }
    },
    isReached: () => usedBytes() >= maxBytes,
    fits: (bytes, share) => usedBytes() + bytes <= maxBytes * (share === 'pieces' ? BODY_SHARE : 1),
  };
}
