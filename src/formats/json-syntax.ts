/**
 * Checks whether a short text is JSON (RFC 8259) without an exception: an exception of `JSON.parse` costs 10 to 50 us, and a body may
 * have a hundred thousand short frames that begin and end like JSON. Each character is looked at once.
 */

/** A longer text is given to `JSON.parse` as it is: 50 us for each such text are at most 100 ms/MiB. */
export const MAX_CHECKED_CHARS = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** RFC 8259, section 7: what may follow a backslash. */
const ESCAPE = /["\\/bfnrt]|u[\da-fA-F]{4}/y;
/** RFC 8259, section 6, and the three literal names. */
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
/** RFC 8259, section 2. */
const SPACE = /[ \t\n\r]*/y;

/** True where `JSON.parse` accepts the text, false where it throws. Linear, but slower than `JSON.parse`: use it for short texts. */
export function isJson(text: string): boolean {
  return new SyntaxCheck(text).isWhole();
}

class SyntaxCheck {
  readonly #text: string;
  #at = 0;
  /** The closing brackets of the open containers, outermost first. */
  readonly #open: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  isWhole(): boolean {
    // Each iteration reads one value and the brackets that close after it.
    while (this.#takesValue()) {
      if (!this.#closes()) return false;
      if (this.#open.length === 0) return this.#at === this.#text.length;
    }
    return false;
  }

  /** Reads a scalar, an empty container, or the beginning of a container up to its first scalar. */
  #takesValue(): boolean {
    for (;;) {
      this.#skip(SPACE);
      const first = this.#text.charAt(this.#at);
      if (first === '"') return this.#takesString();
      if (first !== '{' && first !== '[') return this.#skip(SCALAR);
      this.#at += 1;
      this.#skip(SPACE);
      const close = first === '{' ? '}' : ']';
      if (this.#takes(close)) return true;
      this.#open.push(close);
      if (close === '}' && !this.#takesKey()) return false;
    }
  }

  /** Reads the brackets that close after a value; true when all are closed, or after the comma before the next value. */
  #closes(): boolean {
    for (;;) {
      this.#skip(SPACE);
      const close = this.#open.at(-1);
      if (close === undefined) return true;
      if (this.#takes(',')) return close === ']' || this.#takesKey();
      if (!this.#takes(close)) return false;
      this.#open.pop();
    }
  }

  #takesKey(): boolean {
    this.#skip(SPACE);
    if (!this.#takesString()) return false;
    this.#skip(SPACE);
    return this.#takes(':');
  }

  #takesString(): boolean {
    if (!this.#takes('"')) return false;
    for (; this.#at < this.#text.length; this.#at += 1) {
      const code = this.#text.charCodeAt(this.#at);
      if (code < 0x20) return false;
      if (code === QUOTE) {
        this.#at += 1;
        return true;
      }
      if (code !== BACKSLASH) continue;
      this.#at += 1;
      if (!this.#skip(ESCAPE)) return false;
      this.#at -= 1;
    }
    return false;
  }

  #takes(char: string): boolean {
    if (this.#text.charAt(this.#at) !== char) return false;
    this.#at += 1;
    return true;
  }

  #skip(what: RegExp): boolean {
    what.lastIndex = this.#at;
    const isThere = what.test(this.#text);
    if (isThere) this.#at = what.lastIndex;
    return isThere;
  }
}
