/**
 * Looks at each chunk on its way out for the frame that ends the answer, because that frame must not leave
 * before the message is saved. It runs for every chunk of every stream, so the common chunk (whole frames,
 * nothing suspicious in them) costs two comparisons or one regular expression; only a suspicious one is parsed.
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
import { SEAM_CHARS, suspectsOf } from './prefilter.ts';
import { type Template, templateOf } from './frame-template.ts';

/** The first terminal fact in a chunk. */
export type Sighting = 'finish' | 'error';

/** Watches one stream. */
export interface FrameWatch {
  /** Takes the next chunk, cut anywhere; says what it brought to light, if anything. Never throws. */
  see(piece: string): Sighting | undefined;
  /** A finish marker was seen. Under `auto`, that of any format. */
  readonly finished: boolean;
  /** An error frame was seen. */
  readonly errored: boolean;
  /** The format as far as the first 8 Ki characters show it; the generic one of the framing until then. */
  readonly format: string;
  /** Whether that format needs its finish marker. */
  readonly needsFinish: boolean;
  /** What most frames of this stream look like, once that is known; it does not change any more. */
  readonly template: Template | undefined;
  /** The piece seen last is one frame that fits it. */
  readonly fitted: boolean;
}

/** Characters of a frame without end that are kept. A longer frame is waited out, and not looked into. */
const MAX_FRAME_CHARS = 1_048_576;
/** Characters of one unfinished frame that are parsed, over all tries, before only its end is waited for. */
const MAX_REREAD_CHARS = 1_048_576;
/** After so many characters without a vendor's frame the format is taken for generic. */
const GUESS_CHARS = 8_192;
/** So many frames are looked at for a template: the first ones carry a role, or a text that stands in them twice. */
const MAX_LESSONS = 4;

/**
 * Begins to watch a stream. `choice` is a format, its name, or `auto`; `contentType` is without parameters, in
 * lower case, or ''. `onError` is told, once, when a custom format throws; its frame then ends nothing.
 */
export function createFrameWatch(
  choice: Format | string,
  contentType: string,
  onError: (error: unknown) => void = () => {},
): FrameWatch {
  return new Watch(typeof choice === 'string' ? formatNamed(choice) : choice, contentType, onError);
}

/** A class, because its methods share a dozen hot fields, and there is one for each live stream. */
class Watch implements FrameWatch {
  finished = false;
  errored = false;
  fitted = false;
  template: Template | undefined;
  readonly #given: Format | undefined;
  readonly #suspects: RegExp | undefined;
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
  #seam = '';
  /** Something in the open frame may make it terminal. */
  #suspect = false;
  #overlong = false;
  /** The open frame has been told already; its end says nothing new. */
  #told = false;
  #rereadChars = MAX_REREAD_CHARS;
  #lessons = MAX_LESSONS;

  constructor(given: Format | undefined, contentType: string, onError: (error: unknown) => void) {
    this.#given = given;
    this.#guess = given;
    this.#guessChars = given === undefined ? GUESS_CHARS : 0;
    this.#suspects = suspectsOf(given);
    this.#framing = framingFor(given, contentType);
    this.#idle = this.#framing !== undefined && given !== undefined;
    this.#onError = onError;
  }

  get format(): string {
    return (this.#guess ?? fallbackOf(this.#framing ?? 'text')).name;
  }

  get needsFinish(): boolean {
    return this.#guess?.finishMarker === 'needed';
  }

  see(piece: string): Sighting | undefined {
    const framing = this.#framing;
    if (framing === 'text') return undefined;
    this.fitted = false;
    if (this.#idle && endsFrame(framing, piece)) {
      this.fitted = this.template?.fits(piece) === true;
      if (this.fitted) return undefined;
      if (this.#suspects?.test(piece) === false) {
        if (this.#lessons > 0) this.#learn(piece);
        return undefined;
      }
    }
    const sighting = framing === undefined ? this.#sniff(piece) : this.#cut(framing, piece);
    this.#guessChars = Math.max(0, this.#guessChars - piece.length);
    this.#idle = this.#framing !== undefined && this.#tail === '' && this.#guessChars === 0;
    return sighting;
  }

  /** Without a content type nothing is looked at before the first line shows what it is; `#tail` holds the head. */
  #sniff(piece: string): Sighting | undefined {
    const head = this.#tail + piece;
    this.#framing = sniff(head);
    this.#tail = this.#framing === undefined ? head : '';
    return this.#framing === undefined || this.#framing === 'text'
      ? undefined
      : this.#cut(this.#framing, head);
  }

  #cut(framing: Framed, piece: string): Sighting | undefined {
    const window = this.#seam + piece;
    const end = boundaryEnd(framing, window);
    if (end === 0) {
      this.#grow(piece, window);
      return this.#peek(framing);
    }
    const whole = this.#tail + piece;
    const cut = this.#tail.length - this.#seam.length + end;
    const worthIt = this.#suspect || this.#isSuspect(window);
    // The first frame is the one that was open: what it had to say may have been told.
    const sighting = worthIt
      ? this.#judgeEach(framing, whole.slice(0, cut), this.#told && !this.#overlong)
      : undefined;
    this.#open(whole.slice(cut));
    return sighting ?? this.#peek(framing);
  }

  #open(rest: string): void {
    this.#tail = '';
    this.#suspect = false;
    this.#overlong = false;
    this.#told = false;
    this.#rereadChars = MAX_REREAD_CHARS;
    this.#grow(rest, rest);
  }

  #grow(piece: string, window: string): void {
    this.#seam = window.slice(-SEAM_CHARS);
    this.#overlong ||= this.#tail.length + piece.length > MAX_FRAME_CHARS;
    this.#tail = this.#overlong ? this.#seam : this.#tail + piece;
    this.#suspect = !this.#overlong && (this.#suspect || (piece !== '' && this.#isSuspect(window)));
  }

  /** While the format is still to be guessed, every frame is worth a look. */
  #isSuspect(window: string): boolean {
    return this.#guessChars > 0 || this.#suspects?.test(window) !== false;
  }

  /**
   * Reads the open frame as if it ended here, because a client may too: one that splits lines acts on
   * `data: [DONE]` before the blank line. JSON that is not whole yet is tried again with the next chunk.
   */
  #peek(framing: Framed): Sighting | undefined {
    const tries = this.#suspect && !this.#told && this.#rereadChars > 0 && this.#mayBeWhole();
    if (!tries) return undefined;
    this.#rereadChars -= this.#tail.length;
    const sighting = this.#judge(unfinishedIn(framing, this.#tail), false);
    this.#told = sighting !== undefined;
    return sighting;
  }

  /**
   * Every end and every error of a built-in format closes with a bracket, which may stand in quotes. Only a custom one,
   * and text behind `event: error`, may look otherwise.
   */
  #mayBeWhole(): boolean {
    const custom = this.#given !== undefined && asBuiltIn(this.#given) === undefined;
    return custom || /[\]}]"?$/.test(this.#seam.trimEnd()) || this.#seam.includes('error');
  }

  /** Most frames differ in nothing but their text; to see that of one is cheaper than to look for what is suspect. */
  #learn(piece: string): void {
    const framing = this.#framing;
    if (framing === undefined || framing === 'text') return;
    this.#lessons -= 1;
    const last = framesApart(framing, piece).at(-1) ?? '';
    const [frame, ...others] = framesIn(framing, last);
    if (frame === undefined || others.length > 0 || !isFrame(frame)) return;
    const format = this.#guess ?? fallbackOf(framing);
    const lesson = { piece: last, frame };
    const template = templateOf(framing, format, lesson, (one) => !this.#sightingIn(one));
    if (template === undefined) return;
    this.template = template;
    this.#lessons = 0;
  }

  /** Of many frames that came at once only the suspicious ones are parsed. */
  #judgeEach(framing: Framed, text: string, skipFirst: boolean): Sighting | undefined {
    let first: Sighting | undefined;
    let skips = skipFirst;
    for (const frame of framesApart(framing, text)) {
      const sighting = this.#isSuspect(frame)
        ? this.#judge(framesIn(framing, frame), skips)
        : undefined;
      first ??= sighting;
      skips = false;
    }
    return first;
  }

  #judge(found: readonly Found[], skipFirst: boolean): Sighting | undefined {
    let first: Sighting | undefined;
    const frames = found.filter(isFrame);
    for (const frame of skipFirst ? frames.slice(1) : frames) {
      this.#recognise(frame);
      const sighting = this.#sightingIn(frame);
      if (sighting === 'finish') this.finished = true;
      if (sighting === 'error') this.errored = true;
      first ??= sighting;
    }
    return first;
  }

  #recognise(frame: Frame): void {
    if (this.#guessChars === 0) return;
    this.#guess = recognise(frame);
    if (this.#guess !== undefined) this.#guessChars = 0;
  }

  #sightingIn(frame: Frame): Sighting | undefined {
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
