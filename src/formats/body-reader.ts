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
import { add, addText, eventsOf, newTally } from './accumulator.ts';
import type { Tally } from './accumulator.ts';
import { type Template, templateOf } from './frame-template.ts';

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

/** A body being read. */
export interface Reading {
  /** Takes the next part of the body, cut anywhere; `fits` when it is known to be a frame like the expected one. */
  feed(text: string, fits?: boolean): void;
  /** What was read so far, an unfinished last frame included. `feed` may be called again afterwards. */
  result(): BodyReading;
}

/**
 * Begins to read a body. `choice` is a format, its name, or `auto`; a name that is not known (a custom format of
 * another process) is read as `auto`. `contentType` is without parameters, in lower case, or ''. `onError` is
 * told, once, when a custom format throws; its payload then counts as unknown. `expected` is what most frames look
 * like, where somebody has found that out before.
 */
export function createReading(
  choice: Format | string,
  contentType: string,
  onError: (error: unknown) => void = () => {},
  expected?: Template,
): Reading {
  const format = typeof choice === 'string' ? formatNamed(choice) : choice;
  const framing = framingFor(format, contentType);
  const report = once(onError);
  if (framing === 'text') return readText(format ?? FALLBACK.text, report);
  return framing === undefined
    ? readSniffing(report, expected)
    : readFrames(framing, format, report, expected);
}

/** Waits for the first line to show the framing. */
function readSniffing(report: (error: unknown) => void, expected?: Template): Reading {
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
      const tally = newTally();
      add(tally, format, { data: text, event: undefined, json: undefined }, report);
      return toReading(tally.unknownText ? tally : { ...tally, events: [] }, format, 'ndjson');
    },
  };
}

function readFrames(
  framing: Framed,
  given: Format | undefined,
  report: (error: unknown) => void,
  expected: Template | undefined,
): Reading {
  let format = given;
  const cutter = new Cutter(framing);
  const tally = newTally();
  // Under `auto`: what came before a vendor's format was recognised.
  let waiting: Found[] = [];
  const expectedOf = (): Template | undefined =>
    expected?.format === format ? expected : undefined;
  let template = expectedOf();
  let lessons = MAX_LESSONS;

  const take = (found: Found): void => {
    if (format === undefined && isFrame(found)) {
      format = recognise(found);
      if (format !== undefined) {
        for (const earlier of waiting) add(tally, format, earlier, report);
        waiting = [];
        template = expectedOf();
      }
    }
    if (format === undefined) waiting.push(found);
    else add(tally, format, found, report);
  };

  /** What was taken from a piece of whole frames shows what the next may look like. */
  const learn = (piece: string, found: readonly Found[]): void => {
    const [first, ...others] = found;
    const isOne = first !== undefined && others.length === 0 && isFrame(first);
    if (!isOne || format === undefined || lessons === 0) return;
    lessons -= 1;
    template = templateOf(framing, format, { piece, frame: first }) ?? template;
  };

  const read = (piece: string): void => {
    const text = template?.textIn(piece);
    if (text !== undefined) return addText(tally, text, piece);
    const found = framesIn(framing, piece);
    for (const one of found) take(one);
    // The first frame shows which format it is, and only then what is expected can be asked.
    if (template?.fits(piece) !== true) learn(piece, found);
  };

  return {
    feed: (piece, fits = false) => {
      if (cutter.tail === '' && template !== undefined) {
        const known = fits && template === expected;
        const text = known ? template.textOf(piece) : template.textIn(piece);
        if (text) return addText(tally, text, piece);
      }
      for (const frame of framesApart(framing, cutter.feed(piece))) read(frame);
    },
    result: () => {
      const open = [...waiting, ...lastIn(framing, cutter.tail)];
      const chosen = format ?? lateChoice(framing, open);
      if (open.length === 0) return toReading(tally, chosen, framing);
      const sum = { ...tally, events: [...tally.events] };
      for (const found of open) add(sum, chosen, found, report);
      return toReading(sum, chosen, framing);
    },
  };
}

/** Cuts a body behind its last boundary so far: what stands before it can be read for good. */
class Cutter {
  /** What waits for its boundary: a rope. */
  tail = '';
  /** The end of it, flat, because looking into a rope copies it. */
  #seam = '';
  readonly #framing: Framed;

  constructor(framing: Framed) {
    this.#framing = framing;
  }

  /** Takes the next piece; returns everything up to its last boundary, or ''. */
  feed(piece: string): string {
    // Only the seam and the new piece can hold a new boundary; looking at all of `tail` would be quadratic.
    const window = this.#seam + piece;
    const end = boundaryEnd(this.#framing, window);
    const whole = this.tail + piece;
    const cut = end === 0 ? 0 : this.tail.length - this.#seam.length + end;
    this.tail = cut === 0 ? whole : whole.slice(cut);
    this.#seam = (cut === 0 ? window : this.tail).slice(-SEAM_CHARS);
    return whole.slice(0, cut);
  }
}

/**
 * So many frames are looked at for a template, so that a stream whose frames are all different pays for no more. Two or
 * three are enough where there is one: the first frames carry a role, or a text that stands in them twice.
 */
const MAX_LESSONS = 32;

/**
 * What ends a frame has at most four characters, and the last of them is new: in an event stream a line end behind a line
 * end, in an array a line with a closing brace.
 */
const SEAM_CHARS = 3;

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

function toReading(tally: Tally, format: Format, framing: Framed): BodyReading {
  const { events: payloads, ...rest } = tally;
  const count = payloads.length;
  return {
    ...rest,
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
