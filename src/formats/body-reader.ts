/**
 * Reads a body into what it says: when the stream is over or its end is held. Frames are parsed here and not while they pass,
 * so that a chunk costs nothing but its bytes.
 */
import { Accumulator } from './accumulator.ts';
import type { Format } from './format.ts';
import { FrameReader } from './frame-reader.ts';
import { type BodyFraming, declaredFraming, Sniffer, withoutMark } from './framing.ts';
import type { FrameTemplate } from './frame-template.ts';
import { type BodyReading, type Reading, toReading } from './reading.ts';
import { FALLBACK, formatNamed } from './registry.ts';

export type { BodyReading } from './reading.ts';

/**
 * Reads one body. `choice` is a format, its name, or `auto`; a name that is not known (a custom format of another
 * process) is read as `auto`. `contentType` is without parameters, in lower case, or ''. `onError` is told, once, when
 * a custom format throws; its payload then counts as unknown. `expected` is what most frames look like, where somebody
 * has found that out before.
 */
export class BodyReader {
  readonly #format: Format | undefined;
  readonly #report: (error: unknown) => void;
  readonly #expected: FrameTemplate | undefined;
  readonly #sniffer: Sniffer | undefined;
  /** Text and no type say little: a body of JSON in which nothing is recognised is text all the same. */
  readonly #isLoose: boolean;
  #reading: Reading | undefined;
  /** Nothing has come yet. */
  #isAtStart = true;
  /** Until the framing is known, and as long as it may prove wrong: a rope. */
  #head = '';

  constructor(
    choice: Format | string,
    contentType: string,
    onError: (error: unknown) => void = () => {},
    expected?: FrameTemplate,
  ) {
    this.#format = typeof choice === 'string' ? formatNamed(choice) : choice;
    this.#report = once(onError);
    this.#expected = expected;
    const { framing, certain } = declaredFraming(this.#format, contentType);
    this.#isLoose = framing === undefined;
    if (certain && framing !== undefined) this.#reading = this.#begin(framing);
    else this.#sniffer = new Sniffer(framing);
  }

  /** Takes the next part of the body, cut anywhere; `fits` when it is known to be a frame like the expected one. */
  feed(piece: string, fits = false): void {
    const text = this.#isAtStart ? withoutMark(piece) : piece;
    if (piece !== '') this.#isAtStart = false;
    if (this.#reading !== undefined) {
      if (this.#isLoose) this.#head += text;
      this.#reading.feed(text, fits);
      return;
    }
    this.#head += text;
    const framing = this.#sniffer?.feed(text);
    if (framing === undefined) return;
    this.#reading = this.#begin(framing);
    this.#reading.feed(this.#head, false);
    if (!this.#isLoose || framing === 'text') this.#head = '';
  }

  /** What was read so far, an unfinished last frame included. `feed` may be called again afterwards. */
  result(): BodyReading {
    // The body may go on, so a decision made because it ends here is not kept.
    const result = this.#reading?.result() ?? this.#resultOfHead();
    const isNoFrames = this.#isLoose && this.#head !== '' && isBarren(result);
    return isNoFrames ? readWhole(FALLBACK.text, this.#head, this.#report) : result;
  }

  /**
   * Parses up to `most` of the payloads that were recognised without parsing them, because the events of a result will be asked
   * for; true when none is left.
   */
  parsePayloads(most: number): boolean {
    return this.#reading?.parsePayloads(most) ?? true;
  }

  #resultOfHead(): BodyReading {
    const reading = this.#begin(this.#sniffer?.end() ?? 'text');
    reading.feed(this.#head, false);
    return reading.result();
  }

  #begin(framing: BodyFraming): Reading {
    if (framing !== 'text') {
      return new FrameReader(framing, this.#format, this.#report, this.#expected);
    }
    // A format that has frames was not found in this body.
    const format = this.#format?.framing === 'text' ? this.#format : FALLBACK.text;
    return new TextReader(format, this.#report);
  }
}

/** JSON in which no text and no vendor was found. */
function isBarren({ format, text, unknownText }: BodyReading): boolean {
  return format === FALLBACK.ndjson.name && text === '' && unknownText;
}

/** The whole body is one payload. */
class TextReader implements Reading {
  #text = '';
  readonly #format: Format;
  readonly #report: (error: unknown) => void;

  constructor(format: Format, report: (error: unknown) => void) {
    this.#format = format;
    this.#report = report;
  }

  feed(piece: string): void {
    this.#text += piece;
  }

  parsePayloads(): boolean {
    return true;
  }

  result(): BodyReading {
    return readWhole(this.#format, this.#text, this.#report);
  }
}

function readWhole(format: Format, text: string, report: (error: unknown) => void): BodyReading {
  const accumulator = new Accumulator();
  accumulator.add(format, { data: text, event: undefined, json: undefined }, report);
  const isKnown = !accumulator.unknownText;
  const result = toReading(accumulator, format, 'ndjson');
  // A text is what it is, however short.
  return isKnown ? { ...result, events: [], empty: text === '' } : result;
}

function once(onError: (error: unknown) => void): (error: unknown) => void {
  let told = false;
  return (error) => {
    if (told) return;
    told = true;
    onError(error);
  };
}
