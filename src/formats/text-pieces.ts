/**
 * A text that grows by small pieces, up to millions of them. Appending with `+=` is cheap, but the first read of the string then copies
 * all pieces at once, which for a million pieces takes tens of milliseconds; here they are joined in batches as they come.
 */

/** Pieces in a batch. */
const PIECES_AT_ONCE = 1_024;

export class TextPieces {
  /** Characters of all pieces so far. */
  length = 0;
  /** Batches of joined pieces. */
  readonly #joined: string[];
  #pieces: string[];

  constructor(joined: string[] = [], pieces: string[] = []) {
    this.#joined = joined;
    this.#pieces = pieces;
  }

  /** An independent copy. */
  copy(): TextPieces {
    const copy = new TextPieces([...this.#joined], [...this.#pieces]);
    copy.length = this.length;
    return copy;
  }

  add(piece: string): void {
    if (piece === '') return;
    this.length += piece.length;
    this.#pieces.push(piece);
    if (this.#pieces.length < PIECES_AT_ONCE) return;
    this.#joined.push(this.#pieces.join(''));
    this.#pieces = [];
  }

  /** Whether the whole text equals `text`. */
  equals(text: string): boolean {
    return text.length === this.length && this.endsWith(text);
  }

  /** Whether the whole text ends with `text`. Only that part is compared. */
  endsWith(text: string): boolean {
    if (text.length > this.length) return false;
    const left = behind(this.#pieces, text, text.length);
    return left !== undefined && behind(this.#joined, text, left) !== undefined;
  }

  toString(): string {
    return this.#joined.join('') + this.#pieces.join('');
  }
}

/**
 * Compares pieces, from the last one backwards, with the first `left` characters of a text. Returns how many characters remain, or
 * `undefined` where they differ.
 */
function behind(pieces: readonly string[], text: string, left: number): number | undefined {
  let end = left;
  for (let at = pieces.length - 1; at >= 0 && end > 0; at -= 1) {
    const piece = pieces[at] ?? '';
    const from = end - piece.length;
    const isThere = from >= 0 ? text.startsWith(piece, from) : piece.endsWith(text.slice(0, end));
    if (!isThere) return undefined;
    end = Math.max(0, from);
  }
  return end;
}
