/** Which chunks have to be parsed when they are written, and which of their frames end an answer. */
import { asBuiltIn, BUILT_INS, FALLBACK } from './registry.ts';
import type { Format, Frame } from './format.ts';
import type { BodyFraming } from './framing.ts';
import type { TerminalSignal } from './large-frame.ts';

/**
 * Characters of an unfinished frame that are searched again with the next chunk: at least the longest needle,
 * or blank line, that a cut could hide.
 */
export const OVERLAP_CHARS = 64;

/** Matches every terminal or error frame of any format. */
const ANY = anyOf(BUILT_INS.flatMap((format) => format.prefilter));

/**
 * An expression that every terminal and error frame of the format matches; for `undefined` (`auto`), of any built-in format.
 * Returns `undefined` for a custom format without needles: every frame is parsed.
 */
export function prefilterOf(given: Format | undefined): RegExp | undefined {
  if (given === undefined) return ANY;
  const builtIn = asBuiltIn(given);
  if (builtIn !== undefined) return anyOf([...builtIn.prefilter, ...FALLBACK.parts.prefilter]);
  if (given.needles === undefined) return undefined;
  return anyOf(
    given.needles.map((needle) => needle.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)),
  );
}

/** One expression, so that a chunk is scanned once; without duplicate alternatives, because each costs time. */
function anyOf(sources: readonly string[]): RegExp {
  return new RegExp([...new Set(sources)].join('|'));
}

/** Determines by the formats whether a frame ends the answer. */
export class SignalJudge {
  #formats: readonly Judged[];
  #onError: (error: unknown) => void;

  /** `given` is the format, `undefined` for all built-in ones; `onError` is called once, when a custom format throws. */
  constructor(given: Format | undefined, onError: (error: unknown) => void) {
    this.#formats = given === undefined ? BY_CONTENT : [judged(given)];
    this.#onError = onError;
  }

  /** Call this for a stream of the AI SDK's parts: only its format is used. */
  useParts(): void {
    this.#formats = PARTS;
  }

  signalIn(frame: Frame): TerminalSignal | undefined {
    try {
      for (const { failed } of this.#formats) if (failed(frame)) return 'error';
      for (const { terminal } of this.#formats) if (terminal(frame)) return 'finish';
      return undefined;
    } catch (error) {
      this.report(error);
      return undefined;
    }
  }

  /** Only the first error is reported. */
  report(error: unknown): void {
    this.#onError(error);
    this.#onError = () => {};
  }
}

/** The functions of a format that are used here. */
interface Judged {
  readonly failed: (frame: Frame) => boolean;
  readonly terminal: (frame: Frame) => boolean;
}

function judged(format: Format): Judged {
  const terminal = (frame: Frame): boolean => format.terminal(frame);
  const builtIn = asBuiltIn(format);
  return builtIn === undefined
    ? { failed: (frame) => format.carries(frame) === 'error', terminal }
    : { failed: (frame) => builtIn.failed(frame), terminal };
}

/** The AI SDK's parts are recognised by their framing alone. */
const BY_CONTENT = BUILT_INS.filter((format) => format !== FALLBACK.parts).map(judged);
const PARTS = [judged(FALLBACK.parts)];

/** Whether a chunk ends where a frame ends. Only valid for a chunk that begins where a frame begins. */
export function endsFrame(framing: BodyFraming | undefined, piece: string): boolean {
  const last = piece.length - 1;
  if (piece.charCodeAt(last) !== LF) return false;
  if (framing === 'ndjson' || framing === 'parts') return true;
  const before = piece.charCodeAt(last - 1);
  return before === LF || (before === CR && piece.charCodeAt(last - 2) === LF);
}

const LF = 10;
const CR = 13;
