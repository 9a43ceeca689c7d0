/**
 * A text that grows by small pieces, up to millions of them. Appending with `+=` is cheap, but the first read of the string then copies
 * all pieces at once, which for a million pieces takes tens of milliseconds; here they are joined in batches as they come.
 */

/** Pieces in a batch. */
const PIECES_AT_ONCE = 1_024;

export class TextPieces {
  /** Characters of all pieces so far. */
  length = 0;
  /** Each is made of many pieces. */
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

  /** Whether it is this text. */
  equals(text: string): boolean {
    return text.length === this.length && this.endsWith(text);
  }

  /** Whether it ends with this text. No more of it is looked at than that. */
  endsWith(text: string): boolean {
    if (text.length > this.length) return false;
    const left = behind(this.#pieces, text, text.length);
    return left !== undefined && behind(this.#joined, text, left) !== undefined;
  }

  toString(): string {
    return this.#joined.join('') + this.#pieces.join('');
  }
}

/** Compares pieces, from the last one on, with the first `left` characters of a text; how many are left then, or `undefined`. */
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
