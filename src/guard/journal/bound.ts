/**
 * The bound of everything that a journal may hold. Pieces of bodies may fill most of it; the rest is kept for endings
 * and settlements, so that a full journal can still say what became of the streams in it.
 */
import type { Condition } from './condition.ts';

/** Pieces are taken up to this share, and again when there is a little room below it. */
const BODY_SHARE = 0.95;
const RESUME_SHARE = 0.9;

export interface Bound {
  /** Tells the condition when the share for pieces is used up, or free again. */
  review(): void;
  /** Not even an ending fits. */
  readonly reached: boolean;
  /** So many bytes still fit. */
  fits(bytes: number): boolean;
}

/** `usedBytes` is asked each time. */
export function createBound(
  maxBytes: number,
  usedBytes: () => number,
  condition: Condition,
): Bound {
  return {
    review() {
      const share = usedBytes() / maxBytes;
      if (condition.over ? share < RESUME_SHARE : share >= BODY_SHARE) {
        condition.setOver(!condition.over);
      }
    },
    get reached() {
      return usedBytes() >= maxBytes;
    },
    fits: (bytes) => usedBytes() + bytes <= maxBytes,
  };
}
