/**
 * Reads a body into a message: once, when the stream is over or its end is held. Frames are parsed here and
 * not while they pass, so that a chunk costs nothing but its bytes.
 */
import { FALLBACK, fallbackOf, formatNamed, recognise, VENDORS } from './registry.ts';
import type { BuiltInFormat, FinishMarker, Format, Frame } from './format.ts';
import {
  boundaryEnd,
  framesApart,
  framesIn,
  framingFor,
  isFrame,
  sniff,
  unfinishedIn,
} from './frames.ts';
import type { Found, Framed } from './frames.ts';
import { Accumulator, eventsOf } from './accumulator.ts';
import { type FrameTemplate, TemplateLearner } from './frame-template.ts';

/** What a body says. */
export interface BodyReading {
  /** Name of the format it was read by. */
  readonly format: string;
  readonly finishMarker: FinishMarker;
  readonly text: string;
  /**
   * Every data payload in order, parsed; a string where it was not JSON. None for plain text. Made when it is asked
   * for: most messages are kept without.
   */
  readonly events: readonly unknown[];
  /** Every payload was recognised as carrying nothing. */
  readonly empty: boolean;
  /** The finish marker is there. */
  readonly finished: boolean;
  /** A frame by which the format says that the answer failed is there. */
  readonly errorFrame: boolean;
  /** A payload was not recognised; it is in `events` only. */
  readonly unknownText: boolean;
  readonly toolCalls: boolean;
  /** Recognised content that is not text (thinking, sources, files, the app's data parts); it is in `events` only. */
  readonly wordless: boolean;
  /** Why the model stopped, in the provider's word: the last one that was given. */
  readonly finishReason: string | undefined;
}

/** How a body of one framing is read. */
interface Reading {
  feed(text: string, fits?: boolean): void;
  result(): BodyReading;
}

/**
 * Reads one body. `choice` is a format, its name, or `auto`; a name that is not known (a custom format of another
 * process) is read as `auto`. `contentType` is without parameters, in lower case, or ''. `onError` is told, once, when
 * a custom format throws; its payload then counts as unknown. `expected` is what most frames look like, where somebody
 * has found that out before.
 */
export class BodyReader {
  readonly #reading: Reading;

  constructor(
    choice: Format | string,
    contentType: string,
    onError: (error: unknown) => void = () => {},
    expected?: FrameTemplate,
  ) {
    const format = typeof choice === 'string' ? formatNamed(choice) : choice;
    const framing = framingFor(format, contentType);
    const report = once(onError);
    if (framing === 'text') this.#reading = readText(format ?? FALLBACK.text, report);
    else if (framing === undefined) this.#reading = readSniffing(report, expected);
    else this.#reading = readFrames(framing, format, report, expected);
  }

  /** Takes the next part of the body, cut anywhere; `fits` when it is known to be a frame like the expected one. */
  feed(text: string, fits = false): void {
    this.#reading.feed(text, fits);
  }

  /** What was read so far, an unfinished last frame included. `feed` may be called again afterwards. */
  result(): BodyReading {
    return this.#reading.result();
  }
}

/** Waits for the first line to show the framing. */
function readSniffing(report: (error: unknown) => void, expected?: FrameTemplate): Reading {
  let head = '';
  let reading: Reading | undefined;
  const begin = (framing: 'sse' | 'ndjson' | 'text'): Reading => {
    const begun =
      framing === 'text'
        ? readText(FALLBACK.text, report)
        : readFrames(framing, undefined, report, expected);
    begun.feed(head);
    return begun;
  };
  return {
    feed: (text, fits) => {
      if (reading !== undefined) return reading.feed(text, fits);
      head += text;
      const framing = sniff(head);
      if (framing !== undefined) reading = begin(framing);
    },
    // The body may go on, so a decision made because it ends here is not kept.
    result: () => (reading ?? begin(sniff(`${head}\n`) ?? 'text')).result(),
  };
}

/** The whole body is one payload. */
function readText(format: Format, report: (error: unknown) => void): Reading {
  let text = '';
  return {
    feed: (piece) => {
      text += piece;
    },
    result: () => {
      const accumulator = new Accumulator();
      accumulator.add(format, { data: text, event: undefined, json: undefined }, report);
      if (!accumulator.unknownText) accumulator.events = [];
      return toReading(accumulator, format, 'ndjson');
    },
  };
}

function readFrames(
  framing: Framed,
  given: Format | undefined,
  report: (error: unknown) => void,
  expected: FrameTemplate | undefined,
): Reading {
  let format = given;
  const cutter = new Cutter(framing);
  const accumulator = new Accumulator();
  // Under `auto`: what came before a vendor's format was recognised.
  let waiting: Found[] = [];
  const expectedOf = (): FrameTemplate | undefined =>
    expected?.format === format ? expected : undefined;
  let template = expectedOf();
  const learner = new TemplateLearner(MAX_SAMPLES);

  const take = (found: Found): void => {
    if (format === undefined && isFrame(found)) {
      format = recognise(found);
      if (format !== undefined) {
        for (const earlier of waiting) accumulator.add(format, earlier, report);
        waiting = [];
        template = expectedOf();
      }
    }
    if (format === undefined) waiting.push(found);
    else accumulator.add(format, found, report);
  };

  const read = (piece: string): void => {
    const text = template?.textIn(piece);
    if (text !== undefined) return accumulator.addText(text, piece);
    const found = framesIn(framing, piece);
    for (const one of found) take(one);
    // The first frame shows which format it is, and only then what is expected can be asked.
    if (template?.fits(piece) === true || format === undefined || !learner.open) return;
    learner.learn(framing, format, piece);
    template = learner.template ?? template;
  };

  return {
    feed: (piece, fits = false) => {
      if (cutter.tail === '' && template !== undefined) {
        const known = fits && template === expected;
        const text = known ? template.textOf(piece) : template.textIn(piece);
        if (text) return accumulator.addText(text, piece);
      }
      for (const frame of framesApart(framing, cutter.feed(piece))) read(frame);
    },
    result: () => {
      const open = [...waiting, ...lastIn(framing, cutter.tail)];
      const chosen = format ?? lateChoice(framing, open);
      if (open.length === 0) return toReading(accumulator, chosen, framing);
      const sum = accumulator.copy();
      for (const found of open) sum.add(chosen, found, report);
      return toReading(sum, chosen, framing);
    },
  };
}

/** Cuts a body behind its last boundary so far: what stands before it can be read for good. */
class Cutter {
  /** What waits for its boundary: a rope. */
  tail = '';
  /** The end of it, flat, because looking into a rope copies it. */
  #overlap = '';
  readonly #framing: Framed;

  constructor(framing: Framed) {
    this.#framing = framing;
  }

  /** Takes the next piece; returns everything up to its last boundary, or ''. */
  feed(piece: string): string {
    // Only the overlap and the new piece can hold a new boundary; looking at all of `tail` would be quadratic.
    const window = this.#overlap + piece;
    const end = boundaryEnd(this.#framing, window);
    const whole = this.tail + piece;
    const cut = end === 0 ? 0 : this.tail.length - this.#overlap.length + end;
    this.tail = cut === 0 ? whole : whole.slice(cut);
    this.#overlap = (cut === 0 ? window : this.tail).slice(-OVERLAP_CHARS);
    return whole.slice(0, cut);
  }
}

/**
 * So many frames are looked at for a template, so that a stream whose frames are all different pays for no more. Two or
 * three are enough where there is one: the first frames carry a role, or a text that stands in them twice.
 */
const MAX_SAMPLES = 32;

/**
 * What ends a frame has at most four characters, and the last of them is new: in an event stream a line end behind a line
 * end, in an array a line with a closing brace.
 */
const OVERLAP_CHARS = 3;

/** Payloads that each could be anybody's (`{"type":"start"}`), but that one vendor knows them all. */
function lateChoice(framing: Framed, open: readonly Found[]): BuiltInFormat {
  const frames = open.filter(isFrame);
  const knowing = VENDORS.find((format) =>
    frames.every((frame) => format.carries(frame) !== 'unknown'),
  );
  const isJson = frames.some((frame) => frame.json !== undefined);
  return isJson && knowing !== undefined ? knowing : fallbackOf(framing);
}

/** What the body ends with, if it ends here. */
function lastIn(framing: Framed, tail: string): readonly Found[] {
  return unfinishedIn(framing, tail).map((found) =>
    isBroken(found) ? { stray: found.data } : found,
  );
}

/** A cut payload that was to be JSON, or `[DONE]`: no text, whatever the format makes of text that is not JSON. */
function isBroken(found: Found): found is Frame {
  return (
    isFrame(found) &&
    found.json === undefined &&
    /^\s*[[{"]/.test(found.data) &&
    found.data.trim() !== '[DONE]'
  );
}

function toReading(accumulator: Accumulator, format: Format, framing: Framed): BodyReading {
  const { events: payloads } = accumulator;
  const count = payloads.length;
  const { text, empty, finished, errorFrame, unknownText, toolCalls, wordless, finishReason } =
    accumulator;
  return {
    text,
    empty,
    finished,
    errorFrame,
    unknownText,
    toolCalls,
    wordless,
    finishReason,
    get events() {
      return eventsOf(framing, payloads.slice(0, count));
    },
    format: format.name,
    finishMarker: format.finishMarker,
  };
}

function once(onError: (error: unknown) => void): (error: unknown) => void {
  let told = false;
  return (error) => {
    if (told) return;
    told = true;
    onError(error);
  };
}
