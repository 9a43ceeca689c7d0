/**
 * Cuts a sequence of JSON values: objects with or without line ends, indented objects, the elements of an array. Each character is
 * looked at once, however the body is cut. Text between the values that is not JSON is cut line by line.
 */

const LF = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;

/** Takes a body and returns its values as they are on the wire. */
export class ElementScanner {
  /** The part of the open value that came with earlier pieces: a rope. */
  #open = '';
  #depth = 0;
  /** The values are elements of an array, one level down. */
  #inArray = false;
  #inString = false;
  #escaped = false;
  /** A value or a line has begun. */
  #isOpen = false;
  /** The open value is not an object, array or string: it ends at the line end, in an array at a comma. */
  #isBare = false;

  /** The open value, as far as it has come. */
  get tail(): string {
    return this.#open;
  }

  /** Takes the next piece, cut anywhere; returns the values that end in it. */
  feed(piece: string): readonly string[] {
    const found: string[] = [];
    let from = 0;
    const close = (end: number): void => {
      found.push(this.#open + piece.slice(from, end));
      this.#open = '';
      this.#isOpen = false;
      this.#isBare = false;
      this.#inString = false;
      this.#escaped = false;
      this.#depth = this.#inArray ? 1 : 0;
      from = end;
    };
    for (let at = 0; at < piece.length; at += 1) {
      const code = piece.charCodeAt(at);
      if (this.#inString) {
        // JSON strings have no line end: the open value is broken, and the next line may be whole.
        if (code === LF) close(at);
        else if (this.#endsString(code) && this.#isAtBase) close(at + 1);
      } else if (this.#isBare) {
        const ends = code === LF || (this.#inArray && (code === COMMA || code === CLOSE_ARRAY));
        if (ends) close(at);
        if (ends && code === CLOSE_ARRAY) this.#leaveArray();
      } else if (this.#isOpen) {
        if (this.#nests(code) && this.#isAtBase) close(at + 1);
      } else if (this.#begins(code)) from = at;
      else from = at + 1;
    }
    if (this.#isOpen) this.#open += piece.slice(from);
    return found;
  }

  get #isAtBase(): boolean {
    return this.#depth === (this.#inArray ? 1 : 0);
  }

  #leaveArray(): void {
    this.#inArray = false;
    this.#depth = 0;
  }

  /** Reads a character between values; true if a value begins with it. */
  #begins(code: number): boolean {
    if (code <= 0x20 || code === COMMA) return false;
    if (this.#inArray && code === CLOSE_ARRAY) {
      this.#leaveArray();
      return false;
    }
    if (!this.#inArray && code === OPEN_ARRAY) {
      this.#inArray = true;
      this.#depth = 1;
      return false;
    }
    this.#isOpen = true;
    if (code === OPEN_OBJECT || code === OPEN_ARRAY) this.#depth += 1;
    else if (code === QUOTE && this.#inArray) this.#inString = true;
    else this.#isBare = true;
    return true;
  }

  /** Reads a character of an object or array; true if it closes a bracket. */
  #nests(code: number): boolean {
    if (code === QUOTE) this.#inString = true;
    else if (code === OPEN_OBJECT || code === OPEN_ARRAY) this.#depth += 1;
    else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      this.#depth -= 1;
      return true;
    }
    return false;
  }

  /** Reads a character of a string; true if it is the quote at its end. */
  #endsString(code: number): boolean {
    if (this.#escaped) this.#escaped = false;
    else if (code === BACKSLASH) this.#escaped = true;
    else if (code === QUOTE) {
      this.#inString = false;
      return true;
    }
    return false;
  }
}

/** The values of a text; the last one may be incomplete. */
export function elementsIn(text: string): readonly string[] {
  const scanner = new ElementScanner();
  const found = scanner.feed(text);
  return scanner.tail.trim() === '' ? found : [...found, scanner.tail];
}
