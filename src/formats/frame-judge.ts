/**
 * Inspects frames when they are written: which of them end the answer, which format they show, and whether content follows the
 * last end. Many frames may come at once, and each of them may look like an end.
 */
import { FALLBACK, recognise } from './registry.ts';
import type { Format, Frame } from './format.ts';
import { type Found, framesIn, isFrame } from './frames.ts';
import type { BodyFraming, Framed } from './framing.ts';
import { isTooLarge, signalOfBeginning, type TerminalSignal } from './large-frame.ts';
import { prefilterOf, SignalJudge } from './prefilter.ts';

/** After this many characters without a frame of a vendor, the format counts as generic. */
const GUESS_CHARS = 8_192;
/** A longer frame is not parsed when it is written. */
export const MAX_FRAME_CHARS = 262_144;
/** If many frames that may be ends come at once, only this many of the first and this many of the last are parsed. */
const MAX_AT_ONCE = 256;

/** The state of one stream's frames so far. */
export class FrameJudge {
  /** A finish marker was seen, and no content after it. Under `auto`, the marker of any format. */
  finished = false;
  /** An error frame was seen. */
  errored = false;
  readonly #prefilter: RegExp | undefined;
  readonly #signals: SignalJudge;
  #guess: Format | undefined;
  /** Characters that are still inspected to find the format; 0 when it is found or given up. */
  #guessChars: number;
  /** Characters of the present piece that were inspected for that. */
  #lookedChars = 0;

  /** `given` is the format, `undefined` under `auto`; `onError` is called once, when a custom format throws. */
  constructor(given: Format | undefined, onError: (error: unknown) => void) {
    this.#prefilter = prefilterOf(given);
    this.#signals = new SignalJudge(given, onError);
    this.#guess = given;
    this.#guessChars = given === undefined ? GUESS_CHARS : 0;
  }

  /** The format, as far as it is known. */
  get format(): Format | undefined {
    return this.#guess;
  }

  /** Whether the format may still be found out. */
  get isGuessing(): boolean {
    return this.#guessChars > this.#lookedChars;
  }

  /** Call this for a stream of the AI SDK's parts: only its format is used. */
  useParts(): void {
    this.#signals.useParts();
  }

  /** A piece of `chars` characters was inspected. */
  endPiece(chars: number): void {
    this.#guessChars = Math.max(0, this.#guessChars - chars);
    this.#lookedChars = 0;
  }

  /** Whether a text may contain an end: false if the prefilter, which matches in every end, does not match. */
  mayEnd(text: string): boolean {
    return this.#prefilter?.test(text) !== false;
  }

  /** Whether a frame has to be parsed: every frame, while the format is not found. */
  isCandidate(text: string): boolean {
    return this.isGuessing || this.mayEnd(text);
  }

  /** Whether a frame is an end. */
  isEnd(frame: Frame): boolean {
    return this.#signals.signalIn(frame) !== undefined;
  }

  /** Only the first error of a format is reported. */
  report(error: unknown): void {
    this.#signals.report(error);
  }

  /**
   * Inspects frames that came at once; those that cannot be an end are not parsed. Returns `error` if one is an error, else `finish`
   * if one is a finish marker. With `skipFirst` the first frame is not reported.
   */
  judgeEach(
    framing: Framed,
    frames: readonly string[],
    skipFirst: boolean,
  ): TerminalSignal | undefined {
    let found: TerminalSignal | undefined;
    let parsed = 0;
    for (let at = 0; at < frames.length; at += 1) {
      const frame = frames[at] ?? '';
      const mayMatter = this.finished || this.mayEnd(frame);
      if (!mayMatter && !this.isGuessing) continue;
      if (mayMatter && parsed === MAX_AT_ONCE && frames.length - at > MAX_AT_ONCE) {
        // The frames between are read when the message is due.
        at = frames.length - MAX_AT_ONCE;
        this.finished = false;
      }
      if (mayMatter) parsed += 1;
      found = graver(found, this.#judgeOne(framing, frames[at] ?? '', skipFirst && at === 0));
    }
    return found;
  }

  #judgeOne(framing: Framed, frame: string, skips: boolean): TerminalSignal | undefined {
    const isParsed = frame.length <= MAX_FRAME_CHARS && !isTooLarge(frame);
    const named = isParsed || skips ? undefined : this.note(signalOfBeginning(frame));
    const signal = isParsed ? this.judge(framing, framesIn(framing, frame), skips) : named;
    this.#lookedChars += frame.length;
    return signal;
  }

  /** The same for parsed frames. */
  judge(framing: Framed, found: readonly Found[], skipFirst: boolean): TerminalSignal | undefined {
    let signal: TerminalSignal | undefined;
    const frames = found.filter(isFrame);
    for (const frame of skipFirst ? frames.slice(1) : frames) {
      this.#recognise(frame);
      const one = this.note(this.#signals.signalIn(frame));
      if (one === undefined && this.finished && this.#isContent(framing, frame)) {
        this.finished = false;
      }
      signal = graver(signal, one);
    }
    return signal;
  }

  /** Records the signal of a frame; returns it. */
  note(signal: TerminalSignal | undefined): TerminalSignal | undefined {
    if (signal === 'finish') this.finished = true;
    if (signal === 'error') this.errored = true;
    return signal;
  }

  #recognise(frame: Frame): void {
    if (this.#guess !== undefined || !this.isGuessing) return;
    this.#guess = recognise(frame);
    if (this.#guess !== undefined) this.#guessChars = 0;
  }

  /** Whether a frame is content: content after a finish marker cancels it. */
  #isContent(framing: BodyFraming, frame: Frame): boolean {
    return (this.#guess ?? FALLBACK[framing]).text(frame) !== '';
  }
}

/** The more important of two signals: an error, if there is one. */
export function graver(
  a: TerminalSignal | undefined,
  b: TerminalSignal | undefined,
): TerminalSignal | undefined {
  return a === 'error' ? a : (b ?? a);
}
