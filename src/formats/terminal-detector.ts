/**
 * Looks at each chunk on its way out for the frame that ends the answer, because that frame must not leave
 * before the message is saved. It runs for every chunk of every stream, so the common chunk (whole frames,
 * nothing that may be terminal in them) costs two comparisons or one regular expression; only other chunks are parsed.
 */
import { asBuiltIn, FALLBACK, formatNamed, recognise } from './registry.ts';
import type { Format, Frame } from './format.ts';
import { boundaryEnd, framesApart, framesIn, isFrame, unfinishedIn, type Found } from './frames.ts';
import { type BodyFraming, declaredFraming, type Framed, LineEnds, Sniffer } from './framing.ts';
import {
  endsFrame,
  OVERLAP_CHARS,
  prefilterOf,
  SignalJudge,
  signalOfBeginning,
  type TerminalSignal,
} from './prefilter.ts';
import { ElementScanner } from './elements.ts';
import { type FrameTemplate, TemplateLearner } from './frame-template.ts';

/** A longer frame is not parsed: what it is, it says at its beginning. */
const MAX_FRAME_CHARS = 262_144;
/** So much of it is its beginning. */
const BEGINNING_CHARS = 1_024;
/** Characters of one unfinished frame that are parsed, over all tries, before only its end is waited for. */
const MAX_REREAD_CHARS = 262_144;
/** After so many characters without a vendor's frame the format is taken for generic. */
const GUESS_CHARS = 8_192;
/** Frames tried for a template: the first ones carry a role, or a text that stands in them twice. */
const MAX_SAMPLES = 4;

/**
 * Looks for terminal frames in one stream. `choice` is a format, its name, or `auto`; `contentType` is without parameters,
 * in lower case, or ''. `onError` is told, once, when a custom format throws; its frame then ends nothing.
 */
export class TerminalDetector {
  /** A finish marker was seen, and no content behind it. Under `auto`, that of any format. */
  finished = false;
  /** An error frame was seen. */
  errored = false;
  /** The piece seen last is one frame that fits the template. */
  fitted = false;
  readonly #given: Format | undefined;
  readonly #prefilter: RegExp | undefined;
  readonly #lineEnds = new LineEnds();
  readonly #learner = new TemplateLearner(MAX_SAMPLES);
  readonly #judge: SignalJudge;
  #framing: BodyFraming | undefined;
  #sniffer: Sniffer | undefined;
  #scanner: ElementScanner | undefined;
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
  /** What the open frame says at its beginning, once it is too long to be parsed. */
  #overlong: TerminalSignal | 'unknown' | undefined;
  /** The open frame has been told already; its end says nothing new. */
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
    this.#guess = given;
    this.#guessChars = given === undefined ? GUESS_CHARS : 0;
    this.#prefilter = prefilterOf(given);
    this.#judge = new SignalJudge(given, onError);
    if (certain) this.#framing = framing;
    else this.#sniffer = new Sniffer(framing, true);
    this.#idle = this.#framing !== undefined && given !== undefined;
  }

  /** The format as far as the first 8 Ki characters show it; the generic one of the framing until then. */
  get format(): string {
    return (this.#guess ?? FALLBACK[this.#framing ?? this.#sniffer?.declared ?? 'text']).name;
  }

  /** Whether that format needs its finish marker. */
  get needsFinish(): boolean {
    return (this.#guess ?? FALLBACK[this.#framing ?? 'text']).finishMarker === 'needed';
  }

  /** What most frames of this stream look like, once that is known; it does not change any more. */
  get template(): FrameTemplate | undefined {
    return this.#learner.template;
  }

  /** Takes the next chunk, cut anywhere; returns the first terminal signal in it, if any. Never throws. */
  inspect(piece: string): TerminalSignal | undefined {
    if (this.#framing === 'text') return undefined;
    this.fitted = false;
    if (this.#idle && endsFrame(this.#framing, piece)) {
      this.fitted = this.template?.fits(piece) === true;
      if (this.fitted) {
        this.finished = false;
        return undefined;
      }
      if (!this.finished && this.#prefilter?.test(piece) === false) {
        if (this.#learner.open) this.#learn(piece);
        return undefined;
      }
    }
    try {
      return this.#inspect(piece);
    } catch (error) {
      this.#judge.report(error);
      return undefined;
    }
  }

  #inspect(piece: string): TerminalSignal | undefined {
    const signal =
      this.#framing === undefined ? this.#sniff(piece) : this.#look(this.#framing, piece);
    this.#guessChars = Math.max(0, this.#guessChars - piece.length);
    const isOpen = this.#tail !== '' || this.#scanner !== undefined;
    this.#idle = this.#framing !== undefined && !isOpen && this.#guessChars === 0;
    return signal;
  }

  /** Nothing is looked at before the first lines show what it is; `#tail` holds them. */
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
    return this.#judgeEach(framing, this.#scanner.feed(text), false);
  }

  #cut(framing: Framed, piece: string): TerminalSignal | undefined {
    const window = this.#overlap + piece;
    const end = boundaryEnd(framing, window);
    if (end === 0) {
      this.#grow(piece, window);
      return this.#peek(framing);
    }
    const told = this.#told;
    const named = this.#overlong;
    const whole = this.#tail + piece;
    const cut = this.#tail.length - this.#overlap.length + end;
    const worthIt = this.#candidate || this.#isCandidate(window);
    // The first frame is the one that was open: what it had to say may have been told.
    const skips = named !== undefined || told;
    const frames = worthIt || this.finished ? framesApart(framing, whole.slice(0, cut)) : [];
    let signal = this.#judgeEach(framing, frames, skips);
    if (named !== undefined && named !== 'unknown' && !told) {
      this.#note(named);
      signal ??= named;
    }
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
    this.#candidate ||= piece !== '' && this.#isCandidate(window);
    this.#tail += piece;
    if (this.#tail.length <= MAX_FRAME_CHARS) return;
    this.#overlong = signalOfBeginning(this.#tail.slice(0, BEGINNING_CHARS)) ?? 'unknown';
    this.#tail = this.#overlap;
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
    if (this.#told || !this.#mayBeWhole()) return undefined;
    if (this.#overlong !== undefined) return this.#peekOverlong(this.#overlong);
    if (!this.#candidate || this.#rereadChars <= 0) return undefined;
    this.#rereadChars -= this.#tail.length;
    const signal = this.#judgeFound(unfinishedIn(framing, this.#tail), false);
    this.#told = signal !== undefined;
    return signal;
  }

  #peekOverlong(named: TerminalSignal | 'unknown'): TerminalSignal | undefined {
    if (named === 'unknown') return undefined;
    this.#told = true;
    this.#note(named);
    return named;
  }

  /**
   * Every end and every error of a built-in format closes with a bracket, which may stand in quotes. Only a custom one,
   * and text behind `event: error`, may look otherwise.
   */
  #mayBeWhole(): boolean {
    const custom = this.#given !== undefined && asBuiltIn(this.#given) === undefined;
    return custom || /[\]}]"?$/.test(this.#overlap.trimEnd()) || this.#overlap.includes('error');
  }

  /** Most frames differ in nothing but their text; to see that of one is cheaper than to look for what may be terminal. */
  #learn(piece: string): void {
    const framing = this.#framing;
    if (framing === undefined || framing === 'text') return;
    const last = framesApart(framing, piece).at(-1) ?? '';
    const format = this.#guess ?? FALLBACK[framing];
    this.#learner.learn(framing, format, last, (frame) => !this.#judge.signalIn(frame));
  }

  /** Of many frames that came at once only those that may be terminal are parsed. */
  #judgeEach(
    framing: Framed,
    frames: readonly string[],
    skipFirst: boolean,
  ): TerminalSignal | undefined {
    let first: TerminalSignal | undefined;
    let skips = skipFirst;
    for (const frame of frames) {
      const signal = this.#judgeOne(framing, frame, skips);
      first ??= signal;
      skips = false;
    }
    return first;
  }

  #judgeOne(framing: Framed, frame: string, skips: boolean): TerminalSignal | undefined {
    if (!this.finished && !this.#isCandidate(frame)) return undefined;
    if (frame.length <= MAX_FRAME_CHARS) return this.#judgeFound(framesIn(framing, frame), skips);
    const named = skips ? undefined : signalOfBeginning(frame.slice(0, BEGINNING_CHARS));
    if (named !== undefined) this.#note(named);
    return named;
  }

  #judgeFound(found: readonly Found[], skipFirst: boolean): TerminalSignal | undefined {
    let first: TerminalSignal | undefined;
    const frames = found.filter(isFrame);
    for (const frame of skipFirst ? frames.slice(1) : frames) {
      this.#recognise(frame);
      const signal = this.#judge.signalIn(frame);
      if (signal !== undefined) this.#note(signal);
      else if (this.finished && this.#isContent(frame)) this.finished = false;
      first ??= signal;
    }
    return first;
  }

  #note(signal: TerminalSignal): void {
    if (signal === 'finish') this.finished = true;
    else this.errored = true;
  }

  #recognise(frame: Frame): void {
    if (this.#guessChars === 0) return;
    this.#guess = recognise(frame);
    if (this.#guess !== undefined) this.#guessChars = 0;
  }

  /** Content behind a finish marker takes it back. */
  #isContent(frame: Frame): boolean {
    const format = this.#guess ?? FALLBACK[this.#framing ?? 'text'];
    return format.text(frame) !== '';
  }
}
