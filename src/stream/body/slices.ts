/** Splits long readings into slices of a few milliseconds, so that they do not block the event loop. */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BodyReader } from '../../formats/index.ts';

/**
 * A piece is read in parts of so many characters, and the clock looked at behind each: at most 512 frames (`0` and a line
 * end), some 4 ms where each is parsed. Looking costs 0.1 us.
 */
export const PART_CHARS = 1_024;
/** A slice is over behind the part in which it has taken so long. */
const SLICE_MS = 4;

/** Work between two yields to the event loop. The clock is read after each part, not after each piece. */
export class Slice {
  #sinceMs = performance.now();
  #chars = 0;

  /** Whether it is over when so many characters more were read. */
  isOverAfter(chars: number): boolean {
    this.#chars += chars;
    if (this.#chars < PART_CHARS) return false;
    this.#chars = 0;
    return performance.now() - this.#sinceMs >= SLICE_MS;
  }

  /** Lets others run, and begins the next one. */
  async next(): Promise<void> {
    await nextTurn();
    this.#sinceMs = performance.now();
  }
}

/** Reads a text in parts, and lets others run between slices. */
export async function feedInSlices(reader: BodyReader, text: string, slice: Slice): Promise<void> {
  for (const part of partsOf(text)) {
    reader.feed(part);
    if (slice.isOverAfter(part.length)) await slice.next();
  }
}

/** A text in parts of so many characters as are read between two looks at the clock. */
export function* partsOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += PART_CHARS) yield text.slice(at, at + PART_CHARS);
}
