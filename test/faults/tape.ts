/**
 * Records the bytes that one client received, and when: for streams that are resumed at another instance, or whose newest text may be lost.
 */
export class Tape {
  /** The response had a regular end, and its client did not leave before. */
  isWhole = false;
  /** Number of bytes so far. */
  length = 0;
  readonly #pieces: Buffer[] = [];
  readonly #heard: { readonly atMs: number; readonly length: number }[] = [];

  /** Adds bytes of the body, as its handler wrote them. */
  add(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.length += bytes.length;
  }

  /** Records that the text now has `length` characters. */
  heard(length: number): void {
    this.#heard.push({ atMs: performance.now(), length });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  /** Number of characters of the text at a time of `performance.now()`. */
  lengthAt(atMs: number): number {
    return this.#heard.findLast((one) => one.atMs <= atMs)?.length ?? 0;
  }

  /** When the text first had more than `length` characters; `undefined`: never. */
  grewBeyond(length: number): number | undefined {
    return this.#heard.find((one) => one.length > length)?.atMs;
  }
}
