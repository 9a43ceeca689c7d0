/** Reads a body of frames: chooses the format under `auto`, and does not parse a frame that fits the template of earlier ones. */
import { Accumulator } from './accumulator.ts';
import type { Format } from './format.ts';
import { type Cut, Cutter, framesIn, isFrame, unfinishedIn, type Found } from './frames.ts';
import { type Framed, LineEnds } from './framing.ts';
import { type FrameTemplate, TemplateLearner } from './frame-template.ts';
import { SMALL_FRAME_CHARS } from './large-frame.ts';
import { type BodyReading, type Reading, toReading } from './reading.ts';
import { FALLBACK, recognise } from './registry.ts';

/** Under `auto`, up to this many frames and characters are kept, to be read again if a vendor's format is recognised later. */
const MAX_WAITING = 64;
const MAX_WAITING_CHARS = 65_536;

/**
 * At most this many frames are tried for a template, which bounds the cost of a stream whose frames are all different. Two or three
 * are enough where there is a template: the first frames carry a role, or contain their text twice.
 */
const MAX_SAMPLES = 32;

/** A body of frames. */
export class FrameReader implements Reading {
  readonly #framing: Framed;
  readonly #cutter: Cutter;
  readonly #lineEnds = new LineEnds();
  readonly #report: (error: unknown) => void;
  readonly #expected: FrameTemplate | undefined;
  readonly #learner = new TemplateLearner(MAX_SAMPLES);
  /** The format; until one is recognised, the generic one of the framing. */
  #format: Format;
  #isChosen: boolean;
  #accumulator = new Accumulator();
  #waiting: Found[] = [];
  #waitingChars = 0;
  #template: FrameTemplate | undefined;
  /** The leaves, besides the text, of the frame that the template was made from. */
  #leaves: readonly object[] | undefined;

  constructor(
    framing: Framed,
    given: Format | undefined,
    report: (error: unknown) => void,
    expected: FrameTemplate | undefined,
  ) {
    this.#framing = framing;
    this.#cutter = new Cutter(framing);
    this.#report = report;
    this.#expected = expected;
    // The AI SDK's parts are recognised by their framing.
    this.#isChosen = given !== undefined || framing === 'parts';
    this.#format = framing === 'parts' || given === undefined ? FALLBACK[framing] : given;
    if (this.#isChosen) this.#expect();
  }

  feed(piece: string, fits: boolean): void {
    const text = this.#lineEnds.normalise(piece);
    if (this.#cutter.isBetween && this.#leaves !== undefined && this.#template !== undefined) {
      const known = fits && this.#template === this.#expected && text.length === piece.length;
      const inside = known ? this.#template.textOf(text) : this.#template.textIn(text);
      if (inside) return this.#accumulator.addText(this.#format, inside, text, this.#leaves);
    }
    for (const cut of this.#cutter.feed(text)) {
      if (typeof cut === 'string') this.#read(cut);
      else this.#accumulator.addLarge(cut);
    }
  }

  parsePayloads(most: number): boolean {
    return this.#accumulator.payloads.parse(this.#framing, most);
  }

  result(): BodyReading {
    const open = openIn(this.#framing, this.#cutter.tail);
    if (open.length === 0) return toReading(this.#accumulator, this.#format, this.#framing);
    const format = this.#isChosen ? this.#format : (vendorIn(open) ?? this.#format);
    const sum = format === this.#format ? this.#accumulator.copy() : this.#readAgain(format);
    const isCut = this.#framing === 'elements' && !sum.finished && !open.every(isFrame);
    for (const found of open) {
      // After a finish marker an incomplete line is the beginning of the next frame, not lost content.
      if (sum.finished && !isFrame(found)) sum.payloads.add(found.stray);
      else sum.add(format, found, this.#report);
    }
    return toReading(sum, format, this.#framing, isCut);
  }

  #read(piece: string): void {
    const template = this.#template;
    const leaves = this.#leaves;
    if (template !== undefined && leaves !== undefined && piece.length <= SMALL_FRAME_CHARS) {
      const text = template.textIn(piece);
      if (text !== undefined) {
        this.#accumulator.addText(this.#format, text, piece, leaves);
        return;
      }
    }
    const found = framesIn(this.#framing, piece);
    for (const one of found) this.#take(one);
    if (found.length === 1 && piece.length <= SMALL_FRAME_CHARS) this.#learn(piece);
  }

  #take(found: Found): void {
    if (!this.#isChosen && isFrame(found)) this.#choose(recognise(found));
    this.#accumulator.add(this.#format, found, this.#report);
    if (this.#isChosen || this.#waitingChars > MAX_WAITING_CHARS) return;
    this.#waiting.push(found);
    this.#waitingChars += isFrame(found) ? found.data.length : found.stray.length;
    if (this.#waiting.length > MAX_WAITING) this.#waitingChars = Infinity;
    if (this.#waitingChars > MAX_WAITING_CHARS) this.#waiting = [];
  }

  /** Chooses a vendor's format; frames that came before are read again by it, unless they were too many. */
  #choose(format: Format | undefined): void {
    if (format === undefined) return;
    if (this.#waitingChars <= MAX_WAITING_CHARS) this.#accumulator = this.#readAgain(format);
    this.#format = format;
    this.#isChosen = true;
    this.#waiting = [];
    this.#template = undefined;
    this.#leaves = undefined;
    this.#expect();
  }

  #readAgain(format: Format): Accumulator {
    if (this.#waitingChars > MAX_WAITING_CHARS) return this.#accumulator.copy();
    const accumulator = new Accumulator();
    for (const found of this.#waiting) accumulator.add(format, found, this.#report);
    return accumulator;
  }

  #expect(): void {
    if (this.#expected?.format === this.#format) this.#template = this.#expected;
  }

  /** Learns the template, and the leaves of its frames, from a piece of one frame. */
  #learn(piece: string): void {
    // Frames that may have to be read again are read one by one, without a template.
    if (!this.#isChosen && this.#waitingChars <= MAX_WAITING_CHARS) return;
    if (this.#template?.fits(piece) !== true) {
      const before = this.#learner.template;
      this.#learner.learn(this.#framing, this.#format, piece);
      if (this.#learner.template === before) return;
      this.#template = this.#learner.template;
    }
    this.#leaves = this.#accumulator.lastLeaves;
  }
}

/** The frames in text without a boundary at its end; an incomplete large frame counts as a stray line. */
function openIn(framing: Framed, tail: Cut): readonly Found[] {
  return typeof tail === 'string' ? unfinishedIn(framing, tail) : [{ stray: tail.text }];
}

function vendorIn(open: readonly Found[]): Format | undefined {
  const [first] = open;
  return first !== undefined && isFrame(first) ? recognise(first) : undefined;
}
