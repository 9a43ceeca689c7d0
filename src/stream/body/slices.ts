/** Splits long readings into slices of a few milliseconds, so that they do not block the event loop. */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BodyReader } from '../../formats/index.ts';

/**
 * A piece is read in parts of this many characters, and the clock is read after each: a part has at most 512 frames (`0` and a
 * line end), some 4 ms where each is parsed. Reading the clock takes 0.1 us.
 */
export const PART_CHARS = 1_024;
/** A slice ends after the part in which it has taken this long. */
const SLICE_MS = 4;

/** Work between two yields to the event loop. The clock is read after each part, not after each piece. */
export class Slice {
  #sinceMs = performance.now();
  #chars = 0;

  /** Counts `chars` more characters as read; true when the slice has used its time. */
  isOverAfter(chars: number): boolean {
    this.#chars += chars;
    if (this.#chars < PART_CHARS) return false;
    this.#chars = 0;
    return performance.now() - this.#sinceMs >= SLICE_MS;
  }

  /** Yields to the event loop, then begins the next slice. */
  async next(): Promise<void> {
    await nextTurn();
    this.#sinceMs = performance.now();
  }
}

/** Reads a text in parts, and yields to the event loop between slices. */
export async function feedInSlices(reader: BodyReader, text: string, slice: Slice): Promise<void> {
  for (const part of partsOf(text)) {
    reader.feed(part);
    if (slice.isOverAfter(part.length)) await slice.next();
  }
}

/** A text in parts of `PART_CHARS` characters. */
export function* partsOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += PART_CHARS) yield text.slice(at, at + PART_CHARS);
}
