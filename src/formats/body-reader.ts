/**
 * Reads a body when the stream is over or its end is held. Frames are parsed here and not while they are written, so that
 * capturing a chunk costs no parsing.
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
 * Reads one body. `choice` is a format, its name, or `auto`; an unknown name (a custom format of another process) is read as
 * `auto`. `contentType` is without parameters, in lower case, or ''. `onError` is called once, when a custom format throws; its
 * payload then counts as unknown. `expected` is the template that most frames fit, where the terminal detector has found one.
 */
export class BodyReader {
  readonly #format: Format | undefined;
  readonly #report: (error: unknown) => void;
  readonly #expected: FrameTemplate | undefined;
  readonly #sniffer: Sniffer | undefined;
  /** Neither format nor type is declared: a body of JSON lines in which no text is found is then read as plain text. */
  readonly #isLoose: boolean;
  #reading: Reading | undefined;
  /** No text has come yet. */
  #isAtStart = true;
  /** The body so far, kept until the framing is certain: a rope. */
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

  /** Takes the next part of the body, cut anywhere; `fits` if it is known to be one frame that fits `expected`. */
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

  /** The reading so far, including an unfinished last frame. `feed` may be called again afterwards. */
  result(): BodyReading {
    // The body may go on: what is decided because it ends here is not stored.
    const result = this.#reading?.result() ?? this.#resultOfHead();
    const isNoFrames = this.#isLoose && this.#head !== '' && isBarren(result);
    return isNoFrames ? readWhole(FALLBACK.text, this.#head, this.#report) : result;
  }

  /**
   * Parses up to `most` of the payloads that were recognised without being parsed; called when the events will be kept. True when
   * none is left.
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
    // The body has no frames, so a format with frames cannot read it.
    const format = this.#format?.framing === 'text' ? this.#format : FALLBACK.text;
    return new TextReader(format, this.#report);
  }
}

/** JSON in which no text and no vendor was found. */
function isBarren({ format, text, unknownText }: BodyReading): boolean {
  return format === FALLBACK.ndjson.name && text === '' && unknownText;
}

/** A body without frames: the whole body is one payload. */
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
  // A text is the answer, however short it is.
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
