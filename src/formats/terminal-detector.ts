/**
 * Inspects each chunk, before it is sent, for the frame that ends the answer, because that frame must not be sent before
 * the message is saved. It runs for every chunk of every stream, so the common chunk (whole frames, none of which may be
 * terminal) costs two comparisons or one regular expression; only other chunks are parsed.
 */
import { asBuiltIn, FALLBACK, formatNamed } from './registry.ts';
import type { Format } from './format.ts';
import { boundaryEnd, framesApart, lastBoundaryEnd, unfinishedIn } from './frames.ts';
import {
  type BodyFraming,
  declaredFraming,
  type Framed,
  LineEnds,
  Sniffer,
  withoutMark,
} from './framing.ts';
import { FrameJudge, graver, MAX_FRAME_CHARS } from './frame-judge.ts';
import { isTooLarge, signalOfBeginning, type TerminalSignal } from './large-frame.ts';
import { endsFrame, OVERLAP_CHARS } from './prefilter.ts';
import { ElementScanner } from './elements.ts';
import { type FrameTemplate, TemplateLearner } from './frame-template.ts';

/** The part of a large frame that is kept, to recognise it by its beginning. */
const OVERLONG_BEGINNING_CHARS = 2_048;
/** Characters of one incomplete frame that are parsed over all tries; after that, only its end is awaited. */
const MAX_REREAD_CHARS = 262_144;
/** Frames tried for a template: the first ones carry a role, or contain their text twice. */
const MAX_SAMPLES = 4;
/** Of a write larger than twice this, only this much of its beginning and of its end is inspected, some 2 ms of work each. */
const MAX_LOOK_CHARS = 131_072;

/**
 * Looks for terminal frames in one stream. `choice` is a format, its name, or `auto`; `contentType` is without parameters,
 * in lower case, or ''. `onError` is called once, when a custom format throws; its frame then counts as no end.
 */
export class TerminalDetector {
  /** The piece seen last is one frame that fits the template. */
  fitted = false;
  readonly #given: Format | undefined;
  readonly #judge: FrameJudge;
  readonly #lineEnds = new LineEnds();
  readonly #learner = new TemplateLearner(MAX_SAMPLES);
  #framing: BodyFraming | undefined;
  #sniffer: Sniffer | undefined;
  #scanner: ElementScanner | undefined;
  /** Nothing has come yet. */
  #isAtStart = true;
  /** No frame is open, and framing and format are known: a chunk of whole frames need not be cut. */
  #idle: boolean;
  /** The open frame: it has begun and not ended. A rope, which must not be searched, because that copies it. */
  #tail = '';
  /** The end of the open frame, as a flat string. */
  #overlap = '';
  /** Something in the open frame may make it terminal. */
  #candidate = false;
  /** The signal of the open frame's beginning, once it is too long to be parsed. */
  #overlong: TerminalSignal | 'unknown' | undefined;
  /** The signal of the open frame was already returned; its end adds nothing. */
  #told = false;
  #rereadChars = MAX_REREAD_CHARS;

  constructor(
    choice: Format | string,
    contentType: string,
    onError: (error: unknown) => void = () => {},
  ) {
    const given = typeof choice === 'string' ? formatNamed(choice) : choice;
    const { framing, certain } = declaredFraming(given, contentType);
    this.#given = given;
    this.#judge = new FrameJudge(given, onError);
    if (certain) this.#framing = framing;
    else this.#sniffer = new Sniffer(framing, true);
    this.#idle = this.#framing !== undefined && given !== undefined;
  }

  /** A finish marker was seen, and no content after it. Under `auto`, that of any format. */
  get finished(): boolean {
    return this.#judge.finished;
  }

  /** An error frame was seen. */
  get errored(): boolean {
    return this.#judge.errored;
  }

  /** The format as far as the first 8 Ki characters show it; the generic one of the framing until then. */
  get format(): string {
    const known = this.#judge.format;
    return (known ?? FALLBACK[this.#framing ?? this.#sniffer?.declared ?? 'text']).name;
  }

  /** Whether that format needs its finish marker. */
  get needsFinish(): boolean {
    const known = this.#judge.format;
    return (known ?? FALLBACK[this.#framing ?? 'text']).finishMarker === 'needed';
  }

  /** The template that most frames of this stream fit, once one is found. */
  get template(): FrameTemplate | undefined {
    return this.#learner.template;
  }

  /** Takes the next chunk, cut anywhere; returns an error in it, or else a finish marker, if there is any. Never throws. */
  inspect(chunk: string): TerminalSignal | undefined {
    if (this.#framing === 'text') return undefined;
    const piece = this.#isAtStart ? withoutMark(chunk) : chunk;
    if (chunk !== '') this.#isAtStart = false;
    this.fitted = false;
    const isLarge = piece.length > 2 * MAX_LOOK_CHARS;
    if (this.#idle && !isLarge && endsFrame(this.#framing, piece)) {
      this.fitted = this.template?.fits(piece) === true;
      if (this.fitted) {
        this.#judge.finished = false;
        return undefined;
      }
      if (!this.finished && !this.#judge.mayEnd(piece)) {
        if (this.#learner.open) this.#learn(piece);
        return undefined;
      }
    }
    try {
      return isLarge ? this.#inspectLarge(piece) : this.#inspect(piece);
    } catch (error) {
      this.#judge.report(error);
      return undefined;
    }
  }

  /** Inspects the beginning and the end of a large chunk; the rest is read when the message is due. */
  #inspectLarge(piece: string): TerminalSignal | undefined {
    const first = this.#inspect(piece.slice(0, MAX_LOOK_CHARS));
    this.#skip(piece.slice(MAX_LOOK_CHARS, -MAX_LOOK_CHARS));
    const last = this.#framing === 'text' ? undefined : this.#inspect(piece.slice(-MAX_LOOK_CHARS));
    return graver(first, last);
  }

  /** Skips a text; only the beginning of its last frame is searched. */
  #skip(text: string): void {
    const framing = this.#framing;
    if (framing === undefined || framing === 'text') return;
    // The text is assumed to have content.
    this.#judge.finished = false;
    // The number of open brackets after it is unknown, so the rest is not inspected.
    if (framing === 'elements') return this.#stopLooking();
    const end = lastBoundaryEnd(framing, text);
    const rest = text.slice(end);
    this.#lineEnds.skip(text.slice(0, end));
    if (end > 0 && rest.length <= MAX_FRAME_CHARS) {
      return this.#open(this.#lineEnds.normalise(rest));
    }
    const beginning = this.#lineEnds.normalise(rest.slice(0, OVERLONG_BEGINNING_CHARS));
    if (end > 0) this.#open(beginning);
    else this.#grow(beginning, this.#overlap + beginning);
    this.#lineEnds.skip(rest);
    this.#overlap = rest.slice(-OVERLAP_CHARS);
    this.#makeOverlong();
  }

  #stopLooking(): void {
    this.#framing = 'text';
    this.#scanner = undefined;
  }

  #inspect(piece: string): TerminalSignal | undefined {
    const signal =
      this.#framing === undefined ? this.#sniff(piece) : this.#look(this.#framing, piece);
    this.#judge.endPiece(piece.length);
    const isOpen = this.#tail !== '' || this.#scanner !== undefined;
    this.#idle = this.#framing !== undefined && !isOpen && !this.#judge.isGuessing;
    return signal;
  }

  /** Nothing is inspected before the first lines show the framing; until then `#tail` holds them. */
  #sniff(piece: string): TerminalSignal | undefined {
    this.#tail += piece;
    const framing = this.#sniffer?.feed(piece);
    if (framing === undefined) return undefined;
    const head = this.#tail;
    this.#tail = '';
    this.#framing = framing;
    this.#sniffer = undefined;
    if (framing === 'elements') this.#scanner = new ElementScanner();
    if (framing === 'parts') this.#judge.useParts();
    return this.#look(framing, head);
  }

  #look(framing: BodyFraming, piece: string): TerminalSignal | undefined {
    if (framing === 'text') return undefined;
    const text = this.#lineEnds.normalise(piece);
    if (this.#scanner === undefined) return this.#cut(framing, text);
    return this.#judge.judgeEach(framing, this.#scanner.feed(text), false);
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
    const worthIt = this.#candidate || this.#judge.isCandidate(window);
    // The first frame is the one that was open: its signal may have been returned already.
    const skips = this.#overlong !== undefined || this.#told;
    const frames = worthIt || this.finished ? framesApart(framing, whole.slice(0, cut)) : [];
    const named = this.#told ? undefined : this.#nameOfOverlong();
    const signal = graver(named, this.#judge.judgeEach(framing, frames, skips));
    this.#open(whole.slice(cut));
    return signal ?? this.#peek(framing);
  }

  #open(rest: string): void {
    this.#tail = '';
    this.#candidate = false;
    this.#overlong = undefined;
    this.#told = false;
    this.#rereadChars = MAX_REREAD_CHARS;
    this.#grow(rest, rest);
  }

  #grow(piece: string, window: string): void {
    this.#overlap = window.slice(-OVERLAP_CHARS);
    if (this.#overlong !== undefined) {
      this.#tail = this.#overlap;
      return;
    }
    this.#candidate ||= piece !== '' && this.#judge.isCandidate(window);
    this.#tail += piece;
    if (this.#tail.length > MAX_FRAME_CHARS) this.#makeOverlong();
  }

  /** The open frame is too long: only its signal is kept, and its end is awaited. */
  #makeOverlong(): void {
    this.#overlong ??= signalOfBeginning(this.#tail) ?? 'unknown';
    if (this.#overlong === 'unknown') this.#judge.finished = false;
    this.#tail = this.#overlap;
  }

  #nameOfOverlong(): TerminalSignal | undefined {
    return this.#judge.note(this.#overlong === 'unknown' ? undefined : this.#overlong);
  }

  /**
   * Reads the open frame as if it ended here, because a client may too: one that splits lines acts on
   * `data: [DONE]` before the blank line. JSON that is not whole yet is tried again with the next chunk.
   */
  #peek(framing: Framed): TerminalSignal | undefined {
    if (this.#told || !this.#mayBeWhole()) return undefined;
    if (this.#overlong === undefined && (!this.#candidate || this.#rereadChars <= 0)) {
      return undefined;
    }
    const signal = this.#overlong === undefined ? this.#reread(framing) : this.#nameOfOverlong();
    this.#told = signal !== undefined;
    return signal;
  }

  #reread(framing: Framed): TerminalSignal | undefined {
    this.#rereadChars -= this.#tail.length;
    if (isTooLarge(this.#tail)) return undefined;
    return this.#judge.judge(framing, unfinishedIn(framing, this.#tail), false);
  }

  /**
   * Whether the open frame may be complete. Every end and every error of a built-in format closes with a bracket, possibly in quotes;
   * only custom formats, and text after `event: error`, may end otherwise.
   */
  #mayBeWhole(): boolean {
    const custom = this.#given !== undefined && asBuiltIn(this.#given) === undefined;
    return custom || /[\]}]"?$/.test(this.#overlap.trimEnd()) || this.#overlap.includes('error');
  }

  /** Tries a frame as the template. Most frames differ only in their text; comparing with a template is cheaper than the prefilter. */
  #learn(piece: string): void {
    const framing = this.#framing;
    if (framing === undefined || framing === 'text') return;
    const last = framesApart(framing, piece).at(-1) ?? '';
    const format = this.#judge.format ?? FALLBACK[framing];
    this.#learner.learn(framing, format, last, (frame) => !this.#judge.isEnd(frame));
  }
}
