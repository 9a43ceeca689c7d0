/**
 * The text of a stream in a generic format. Its payloads may be deltas, or each may be the whole text so far (snapshots). They may be
 * plain text that happens to be valid JSON in places, or JSON strings. Only all payloads together show which.
 */

import { TextPieces } from './text-pieces.ts';

/** A text of at least twice this many characters that begins with the whole text before it is a snapshot. */
const SNAPSHOT_CHARS = 16;

export class AnswerText {
  #joined = new TextPieces();
  /** The text payload before this one. */
  #last = '';
  #payloads = 0;
  /** Each text so far began with the one before it. */
  #grows = true;
  /** A payload was longer than the one before it. */
  #grew = false;
  /** A payload that repeated the whole text: it is left out if it is the last one, and added if another one follows. */
  #repeated: string | undefined;
  /** Set at the first primitive: the whole text, with primitives as on the wire; below, with JSON strings decoded. */
  #written: TextPieces | undefined;
  #decoded: TextPieces | undefined;
  #hasBare = false;
  #hasObject = false;
  #hasOther = false;

  /** An independent copy. */
  copy(): AnswerText {
    const copy = new AnswerText();
    copy.#joined = this.#joined.copy();
    copy.#last = this.#last;
    copy.#payloads = this.#payloads;
    copy.#grows = this.#grows;
    copy.#grew = this.#grew;
    copy.#repeated = this.#repeated;
    copy.#written = this.#written?.copy();
    copy.#decoded = this.#decoded?.copy();
    copy.#hasBare = this.#hasBare;
    copy.#hasObject = this.#hasObject;
    copy.#hasOther = this.#hasOther;
    return copy;
  }

  /** Adds the text of an object. `ends`: its frame is an end marker. */
  add(text: string, ends = false): void {
    this.#hasObject = true;
    this.#note(text, text);
    this.#join(text, ends);
  }

  /** Adds a payload that is not JSON. */
  addBare(text: string): void {
    this.#hasBare = true;
    this.#note(text, text);
    this.#join(text, false);
  }

  /** Adds a JSON value that is neither object nor array, with its text on the wire. */
  addPrimitive(written: string, json: unknown): void {
    const decoded = typeof json === 'string' ? json : undefined;
    if (this.#written === undefined) {
      this.#written = this.#joined.copy();
      this.#written.add(this.#repeated ?? '');
      this.#decoded = this.#written.copy();
    }
    this.#note(written, decoded ?? written);
    if (decoded === undefined) this.#hasOther = true;
    else this.#join(decoded, false);
  }

  /** Notes that an object without a text was among the payloads. */
  noteObject(): void {
    this.#hasObject = true;
  }

  /** There are numbers, booleans or nulls among objects; they are not text. */
  get hasStrangeValue(): boolean {
    return this.#hasOther && this.#hasObject && !this.#hasBare;
  }

  /** Whether a text equals the whole text so far. */
  isWhole(text: string): boolean {
    return this.#joined.equals(text);
  }

  /** It is unclear whether the payloads are deltas or snapshots. */
  get isAmbiguous(): boolean {
    return this.#grows && this.#grew && !this.#isSnapshots;
  }

  get text(): string {
    const asWritten = this.#hasBare || (this.#hasOther && !this.#hasObject);
    const primitives = this.#hasBare ? this.#written : this.#decoded;
    if (primitives !== undefined && asWritten) return primitives.toString();
    return this.#isSnapshots ? this.#last : this.#joined.toString();
  }

  get #isSnapshots(): boolean {
    if (!this.#grows || !this.#grew) return false;
    return this.#payloads > 2 || this.#last.length >= 2 * SNAPSHOT_CHARS;
  }

  #note(written: string, decoded: string): void {
    this.#written?.add(written);
    this.#decoded?.add(decoded);
  }

  #join(text: string, ends: boolean): void {
    if (text === '') return;
    this.#payloads += 1;
    if (this.#grows && this.#payloads > 1) {
      this.#grows = text.length >= this.#last.length && text.startsWith(this.#last);
      this.#grew ||= this.#grows && text.length > this.#last.length;
    }
    if (this.#grows) this.#last = text;
    if (this.#repeated !== undefined) this.#joined.add(this.#repeated);
    this.#repeated = undefined;
    // With only two payloads this is ambiguous: the second may repeat the first, or be the same word again.
    if (this.isWhole(text) && (this.#payloads > 2 || ends)) this.#repeated = text;
    else this.#joined.add(text);
  }
}
