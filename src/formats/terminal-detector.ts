/**
 * Looks at each chunk on its way out for the frame that ends the answer, because that frame must not leave
 * before the message is saved. It runs for every chunk of every stream, so the common chunk (whole frames,
 * nothing that may be terminal in them) costs two comparisons or one regular expression; only other chunks are parsed.
 */
import { asBuiltIn, BUILT_INS, fallbackOf, formatNamed, recognise } from './registry.ts';
import type { Format, Frame } from './format.ts';
import {
  boundaryEnd,
  framesApart,
  framesIn,
  framingFor,
  isFrame,
  sniff,
  unfinishedIn,
} from './frames.ts';
import type { BodyFraming, Found, Framed } from './frames.ts';
import { OVERLAP_CHARS, prefilterOf } from './prefilter.ts';
import { type FrameTemplate, TemplateLearner } from './frame-template.ts';

/** The first terminal fact in a chunk. */
export type TerminalSignal = 'finish' | 'error';

/** Characters of a frame without end that are kept. A longer frame is waited out, and not looked into. */
const MAX_FRAME_CHARS = 1_048_576;
/** Characters of one unfinished frame that are parsed, over all tries, before only its end is waited for. */
const MAX_REREAD_CHARS = 1_048_576;
/** After so many characters without a vendor's frame the format is taken for generic. */
const GUESS_CHARS = 8_192;
/** Frames tried for a template: the first ones carry a role, or a text that stands in them twice. */
const MAX_SAMPLES = 4;

/**
 * Looks for terminal frames in one stream. `choice` is a format, its name, or `auto`; `contentType` is without parameters,
 * in lower case, or ''. `onError` is told, once, when a custom format throws; its frame then ends nothing.
 */
export class TerminalDetector {
  /** A finish marker was seen. Under `auto`, that of any format. */
  finished = false;
  /** An error frame was seen. */
  errored = false;
  /** The piece seen last is one frame that fits the template. */
  fitted = false;
  readonly #given: Format | undefined;
  readonly #prefilter: RegExp | undefined;
  #onError: (error: unknown) => void;
  #framing: BodyFraming | undefined;
  #guess: Format | undefined;
  /** What is left to look through for a guess; 0 when there is one, or none is to be had. */
  #guessChars: number;
  /** No frame is open and nothing is left to find out: a chunk of whole frames can be waved through. */
  #idle: boolean;
  /** The frame that has begun and not ended: a rope, which must not be searched, because that copies it. */
  #tail = '';
  /** The end of it, flat. */
  #overlap = '';
  /** Something in the open frame may make it terminal. */
  #candidate = false;
  #overlong = false;
  /** The open frame has been told already; its end says nothing new. */
  #told = false;
  #rereadChars = MAX_REREAD_CHARS;
  readonly #learner = new TemplateLearner(MAX_SAMPLES);

  constructor(
    choice: Format | string,
    contentType: string,
    onError: (error: unknown) => void = () => {},
  ) {
    const given = typeof choice === 'string' ? formatNamed(choice) : choice;
    this.#given = given;
    this.#guess = given;
    this.#guessChars = given === undefined ? GUESS_CHARS : 0;
    this.#prefilter = prefilterOf(given);
    this.#framing = framingFor(given, contentType);
    this.#idle = this.#framing !== undefined && given !== undefined;
    this.#onError = onError;
  }

  /** The format as far as the first 8 Ki characters show it; the generic one of the framing until then. */
  get format(): string {
    return (this.#guess ?? fallbackOf(this.#framing ?? 'text')).name;
  }

  /** Whether that format needs its finish marker. */
  get needsFinish(): boolean {
    return this.#guess?.finishMarker === 'needed';
  }

  /** What most frames of this stream look like, once that is known; it does not change any more. */
  get template(): FrameTemplate | undefined {
    return this.#learner.template;
  }

  /** Takes the next chunk, cut anywhere; returns the first terminal signal in it, if any. Never throws. */
  inspect(piece: string): TerminalSignal | undefined {
    const framing = this.#framing;
    if (framing === 'text') return undefined;
    this.fitted = false;
    if (this.#idle && endsFrame(framing, piece)) {
      this.fitted = this.template?.fits(piece) === true;
      if (this.fitted) return undefined;
      if (this.#prefilter?.test(piece) === false) {
        if (this.#learner.open) this.#learn(piece);
        return undefined;
      }
    }
    const signal = framing === undefined ? this.#sniff(piece) : this.#cut(framing, piece);
    this.#guessChars = Math.max(0, this.#guessChars - piece.length);
    this.#idle = this.#framing !== undefined && this.#tail === '' && this.#guessChars === 0;
    return signal;
  }

  /** Without a content type nothing is looked at before the first line shows what it is; `#tail` holds the head. */
  #sniff(piece: string): TerminalSignal | undefined {
    const head = this.#tail + piece;
    this.#framing = sniff(head);
    this.#tail = this.#framing === undefined ? head : '';
    return this.#framing === undefined || this.#framing === 'text'
      ? undefined
      : this.#cut(this.#framing, head);
  }

  #cut(framing: Framed, piece: string): TerminalSignal | undefined {
    const window = this.#overlap + piece;
    const end = boundaryEnd(framing, window);
    if (end === 0) {
      this.#grow(piece, window);
      return this.#peek(framing);
    }
    const whole = this.#tail + piece;
    const cut = this.#tail.length - this.#overlap.length + end;
    const worthIt = this.#candidate || this.#isCandidate(window);
    // The first frame is the one that was open: what it had to say may have been told.
    const signal = worthIt
      ? this.#judgeEach(framing, whole.slice(0, cut), this.#told && !this.#overlong)
      : undefined;
    this.#open(whole.slice(cut));
    return signal ?? this.#peek(framing);
  }

  #open(rest: string): void {
    this.#tail = '';
    this.#candidate = false;
    this.#overlong = false;
    this.#told = false;
    this.#rereadChars = MAX_REREAD_CHARS;
    this.#grow(rest, rest);
  }

  #grow(piece: string, window: string): void {
    this.#overlap = window.slice(-OVERLAP_CHARS);
    this.#overlong ||= this.#tail.length + piece.length > MAX_FRAME_CHARS;
    this.#tail = this.#overlong ? this.#overlap : this.#tail + piece;
    this.#candidate =
      !this.#overlong && (this.#candidate || (piece !== '' && this.#isCandidate(window)));
  }

  /** While the format is still to be guessed, every frame is worth a look. */
  #isCandidate(window: string): boolean {
    return this.#guessChars > 0 || this.#prefilter?.test(window) !== false;
  }

  /**
   * Reads the open frame as if it ended here, because a client may too: one that splits lines acts on
   * `data: [DONE]` before the blank line. JSON that is not whole yet is tried again with the next chunk.
   */
  #peek(framing: Framed): TerminalSignal | undefined {
    const tries = this.#candidate && !this.#told && this.#rereadChars > 0 && this.#mayBeWhole();
    if (!tries) return undefined;
    this.#rereadChars -= this.#tail.length;
    const signal = this.#judge(unfinishedIn(framing, this.#tail), false);
    this.#told = signal !== undefined;
    return signal;
  }

  /**
   * Every end and every error of a built-in format closes with a bracket, which may stand in quotes. Only a custom one,
   * and text behind `event: error`, may look otherwise.
   */
  #mayBeWhole(): boolean {
    const custom = this.#given !== undefined && asBuiltIn(this.#given) === undefined;
    return custom || /[\]}]"?$/.test(this.#overlap.trimEnd()) || this.#overlap.includes('error');
  }

  /** Most frames differ in nothing but their text; to see that of one is cheaper than to look for what is suspect. */
  #learn(piece: string): void {
    const framing = this.#framing;
    if (framing === undefined || framing === 'text') return;
    const last = framesApart(framing, piece).at(-1) ?? '';
    const format = this.#guess ?? fallbackOf(framing);
    this.#learner.learn(framing, format, last, (frame) => !this.#signalIn(frame));
  }

  /** Of many frames that came at once only the candidate ones are parsed. */
  #judgeEach(framing: Framed, text: string, skipFirst: boolean): TerminalSignal | undefined {
    let first: TerminalSignal | undefined;
    let skips = skipFirst;
    for (const frame of framesApart(framing, text)) {
      const signal = this.#isCandidate(frame)
        ? this.#judge(framesIn(framing, frame), skips)
        : undefined;
      first ??= signal;
      skips = false;
    }
    return first;
  }

  #judge(found: readonly Found[], skipFirst: boolean): TerminalSignal | undefined {
    let first: TerminalSignal | undefined;
    const frames = found.filter(isFrame);
    for (const frame of skipFirst ? frames.slice(1) : frames) {
      this.#recognise(frame);
      const signal = this.#signalIn(frame);
      if (signal === 'finish') this.finished = true;
      if (signal === 'error') this.errored = true;
      first ??= signal;
    }
    return first;
  }

  #recognise(frame: Frame): void {
    if (this.#guessChars === 0) return;
    this.#guess = recognise(frame);
    if (this.#guess !== undefined) this.#guessChars = 0;
  }

  #signalIn(frame: Frame): TerminalSignal | undefined {
    const formats = this.#given === undefined ? BUILT_INS : [this.#given];
    try {
      if (formats.some((format) => format.carries(frame) === 'error')) return 'error';
      return formats.some((format) => format.terminal(frame)) ? 'finish' : undefined;
    } catch (error) {
      this.#onError(error);
      this.#onError = () => {};
      return undefined;
    }
  }
}

/** Whether the chunk ends where a frame ends. That it begins where one begins is known from `#idle`. */
function endsFrame(framing: Framed | undefined, piece: string): boolean {
  const last = piece.length - 1;
  if (piece.charCodeAt(last) !== LF) return false;
  if (framing === 'ndjson') return true;
  const before = piece.charCodeAt(last - 1);
  return before === LF || (before === CR && piece.charCodeAt(last - 2) === LF);
}

const LF = 10;
const CR = 13;
