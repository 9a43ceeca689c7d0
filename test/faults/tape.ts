/** What one client got, byte by byte, and when: for streams that are read on elsewhere, or whose newest text may be lost. */
export class Tape {
  /** The response had a regular end, and its client did not leave before. */
  isWhole = false;
  /** Bytes so far. */
  length = 0;
  readonly #pieces: Buffer[] = [];
  readonly #heard: { readonly atMs: number; readonly length: number }[] = [];

  /** Bytes of the body, as its handler wrote them. */
  add(bytes: Buffer): void {
    this.#pieces.push(bytes);
    this.length += bytes.length;
  }

  /** The text has now so many characters. */
  heard(length: number): void {
    this.#heard.push({ atMs: performance.now(), length });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  /** Characters of the text at a time of `performance.now()`. */
  lengthAt(atMs: number): number {
    return this.#heard.findLast((one) => one.atMs <= atMs)?.length ?? 0;
  }

  /** When the text had more characters than that for the first time; `undefined`: never. */
  grewBeyond(length: number): number | undefined {
    return this.#heard.find((one) => one.length > length)?.atMs;
  }
}
