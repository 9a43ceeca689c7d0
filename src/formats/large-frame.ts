/**
 * Frames that are too large to be parsed. `JSON.parse`, and the account of its result, cannot be split into slices; so a frame that
 * would take longer than a slice is kept as it was on the wire, and counts as not understood. Its beginning shows whether it is
 * an end.
 */

/**
 * Nanoseconds per character of a text, and per value or line. Measured on Node 22: `JSON.parse` takes 1.2 ns per character;
 * parsing and accounting together take 300 to 650 ns per value.
 */
const CHAR_NS = 1;
const VALUE_NS = 400;
/** A frame that takes longer is not parsed: more than 8 MiB of one text (an image in base64), or 20,000 values. */
const MAX_PARSE_NS = 8_388_608;
/** A shorter frame is always parsed: even if each character were a value, it would take no longer. */
export const SMALL_FRAME_CHARS = 16_384;

const LF = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;

/** Adds up the cost of a frame that comes in pieces. Strings are skipped by searching for their end. */
export class FrameSize {
  #ns = 0;
  #inString = false;
  /** The last character was a backslash that is not escaped itself. */
  #isEscaped = false;

  /** Whether parsing the frame would take too long. */
  get isTooLarge(): boolean {
    return this.#ns > MAX_PARSE_NS;
  }

  /** Takes the next piece of the frame, cut anywhere. */
  feed(piece: string): void {
    this.#ns += piece.length * CHAR_NS;
    let lineEnd = piece.indexOf('\n');
    for (let at = 0; at < piece.length && !this.isTooLarge; at += 1) {
      if (this.#inString) {
        if (lineEnd >= 0 && lineEnd < at) lineEnd = piece.indexOf('\n', at);
        at = this.#endOfString(piece, at, lineEnd < 0 ? piece.length : lineEnd);
      }
      const code = piece.charCodeAt(at);
      if (code === QUOTE) this.#inString = !this.#inString;
      else if (isBeforeValue(code)) this.#ns += VALUE_NS;
    }
  }

  /** The index of the quote that ends the string, or of the line end, which no JSON string can contain. */
  #endOfString(piece: string, from: number, lineEnd: number): number {
    let start = from;
    for (;;) {
      const quote = piece.indexOf('"', start);
      const end = quote < 0 ? lineEnd : Math.min(quote, lineEnd);
      let before = end;
      while (before > start && piece.charCodeAt(before - 1) === BACKSLASH) before -= 1;
      const isOdd = (end - before) % 2 === 1;
      this.#isEscaped = before === start ? this.#isEscaped !== isOdd : isOdd;
      if (end === lineEnd) {
        if (end === piece.length) return end;
        this.#inString = false;
        this.#isEscaped = false;
        return end;
      }
      if (!this.#isEscaped) return end;
      this.#isEscaped = false;
      start = end + 1;
    }
  }
}

/** Whether a whole frame is too large to be parsed. */
export function isTooLarge(frame: string): boolean {
  if (frame.length <= SMALL_FRAME_CHARS) return false;
  const size = new FrameSize();
  size.feed(frame);
  return size.isTooLarge;
}

/** Whether a value, or after a line end another line, may follow this character. */
function isBeforeValue(code: number): boolean {
  return (
    code === COMMA || code === COLON || code === OPEN_OBJECT || code === OPEN_ARRAY || code === LF
  );
}

/** A frame that is too large to be parsed. */
export class LargeFrame {
  /** As on the wire; a rope, because searching or cutting it would copy it. */
  readonly text: string;
  /** The signal that its beginning shows. */
  readonly signal: TerminalSignal | undefined;

  /** `beginning` is at least its first 1,024 characters, or all of them. */
  constructor(text: string, beginning: string) {
    this.text = text;
    this.signal = signalOfBeginning(beginning);
  }
}

/** The first terminal fact in a chunk. */
export type TerminalSignal = 'finish' | 'error';

/** The part of a large frame that is looked at. */
const BEGINNING_CHARS = 1_024;
/** Names of terminal frames, in an `event:` line or a type. */
const FINISH_NAMES =
  /(?:event: ?|"type"\s*:\s*")(?:response\.completed|response\.incomplete|message_stop|finish|message-end|RUN_FINISHED|end|done|complete)["\n]/;
const ERROR_NAMES = /(?:event: ?|"type"\s*:\s*")(?:response\.failed|error|RUN_ERROR)["\n]/;

/** The signal that the beginning of a frame shows; `undefined` where it is not an end. */
export function signalOfBeginning(frame: string): TerminalSignal | undefined {
  const beginning = frame.slice(0, BEGINNING_CHARS);
  if (ERROR_NAMES.test(beginning)) return 'error';
  return FINISH_NAMES.test(beginning) ? 'finish' : undefined;
}
