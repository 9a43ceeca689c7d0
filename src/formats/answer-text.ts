/**
 * The text of a stream of nobody's format. Its payloads may be deltas, or each the whole text so far; bare text of which some
 * happens to be JSON, or JSON strings: only all of them together show which.
 */

/** A payload that is a JSON string, number, boolean or null, or bare text between such. */
interface Primitive {
  /** As it stood on the wire. */
  readonly written: string;
  /** What it is as JSON; `undefined` for what is no string. */
  readonly decoded: string | undefined;
}

/** A text of at least so many characters that begins with all of the one before is no delta. */
const SNAPSHOT_CHARS = 16;

export class AnswerText {
  #joined = '';
  /** The text payload before this one. */
  #last = '';
  #payloads = 0;
  /** Each text so far began with the one before it. */
  #grows = true;
  /** A payload was longer than the one before it. */
  #grew = false;
  /** A payload that repeated all of the text: no more of it, unless another one follows. */
  #repeated: string | undefined;
  /** From the first primitive on: everything, piece by piece. */
  #pieces: (string | Primitive)[] | undefined;
  #hasBare = false;
  #hasObject = false;
  #hasOther = false;

  /** One that goes on from here by itself. */
  copy(): AnswerText {
    const copy = new AnswerText();
    copy.#joined = this.#joined;
    copy.#last = this.#last;
    copy.#payloads = this.#payloads;
    copy.#grows = this.#grows;
    copy.#grew = this.#grew;
    copy.#repeated = this.#repeated;
    copy.#pieces = this.#pieces?.slice();
    copy.#hasBare = this.#hasBare;
    copy.#hasObject = this.#hasObject;
    copy.#hasOther = this.#hasOther;
    return copy;
  }

  /** Adds the text of an object. `ends`: its frame is an end marker. */
  add(text: string, ends = false): void {
    this.#hasObject = true;
    this.#pieces?.push(text);
    this.#join(text, ends);
  }

  /** Adds a payload that is not JSON. */
  addBare(text: string): void {
    this.#hasBare = true;
    this.#pieces?.push(text);
    this.#join(text, false);
  }

  /** Adds a JSON value that is neither object nor array, with the text that it was written as. */
  addPrimitive(written: string, json: unknown): void {
    const decoded = typeof json === 'string' ? json : undefined;
    this.#pieces ??= [this.#joined + (this.#repeated ?? '')];
    this.#pieces.push({ written, decoded });
    if (decoded === undefined) this.#hasOther = true;
    else this.#join(decoded, false);
  }

  /** An object without a place for a text was among the payloads. */
  noteObject(): void {
    this.#hasObject = true;
  }

  /** A number, boolean or null stands among objects, and so is no text. */
  get hasStrangeValue(): boolean {
    return this.#hasOther && this.#hasObject && !this.#hasBare;
  }

  /** Whether a text is all of it so far once more. */
  isWhole(text: string): boolean {
    return text.length === this.#joined.length && text === this.#joined;
  }

  /** It cannot be told whether its payloads are deltas. */
  get isAmbiguous(): boolean {
    return this.#grows && this.#grew && !this.#isSnapshots;
  }

  get text(): string {
    const pieces = this.#pieces;
    const asWritten = this.#hasBare || (this.#hasOther && !this.#hasObject);
    if (pieces !== undefined && asWritten) {
      return pieces
        .map((piece) => {
          if (typeof piece === 'string') return piece;
          return this.#hasBare ? piece.written : (piece.decoded ?? piece.written);
        })
        .join('');
    }
    return this.#isSnapshots ? this.#last : this.#joined;
  }

  get #isSnapshots(): boolean {
    if (!this.#grows || !this.#grew) return false;
    return this.#payloads > 2 || this.#last.length >= 2 * SNAPSHOT_CHARS;
  }

  #join(text: string, ends: boolean): void {
    if (text === '') return;
    this.#payloads += 1;
    if (this.#grows && this.#payloads > 1) {
      this.#grows = text.length >= this.#last.length && text.startsWith(this.#last);
      this.#grew ||= this.#grows && text.length > this.#last.length;
    }
    if (this.#grows) this.#last = text;
    if (this.#repeated !== undefined) this.#joined += this.#repeated;
    this.#repeated = undefined;
    const isWhole = text.length === this.#joined.length && text === this.#joined;
    // Of two payloads alone nobody can tell whether a word was said twice.
    if (isWhole && (this.#payloads > 2 || ends)) this.#repeated = text;
    else this.#joined += text;
  }
}
