/**
 * The message of one stream: read from the capture when the stream has a terminal fact, and read further if the stream goes on
 * after that; handed over to be saved each time it says something new.
 */
import { performance } from 'node:perf_hooks';
import type { Keeper, OpenedStream, SaveProgress, StreamLog } from '../../core/save-port.ts';
import type { Message, Outcome, SaveResult, Side, SkipReason } from '../../core/message.ts';
import type { FullObserver, StreamView } from '../../core/observer.ts';
import type { Capture } from './capture.ts';
import { CapturedBody } from './captured-body.ts';
import { contentOf, keepsEvents } from './content.ts';
import type { BodyReading, TerminalDetector } from '../../formats/index.ts';
import type { StreamSettings } from '../settings.ts';
import type { Identity } from './identity.ts';

/** How a stream ended. */
export interface TerminalFact {
  readonly outcome: Outcome;
  readonly side: Side;
  /** `error.type` of the telemetry, for the outcomes that are errors. */
  readonly errorType?: string | undefined;
  /** It rests on what was seen while the body was written: reading the whole body may change it. */
  readonly isProvisional?: boolean | undefined;
}

/** The stream carried an error frame of its format, which the upstream sent. */
export const ERROR_FRAME: TerminalFact = {
  outcome: 'failed',
  side: 'upstream',
  errorType: '_OTHER',
};

/** The terminal fact of a normal end, from the reading of the body. */
export function endFactOf({
  errorFrame,
  finished,
  finishMarker,
}: Pick<BodyReading, 'errorFrame' | 'finished' | 'finishMarker'>): TerminalFact {
  if (errorFrame) return ERROR_FRAME;
  return finished || finishMarker !== 'needed'
    ? { outcome: 'completed', side: 'server' }
    : { outcome: 'truncated', side: 'upstream', errorType: 'truncated' };
}

export interface MessageBuilderParts {
  readonly view: StreamView & {
    readonly holdsFrame: boolean;
    readonly identity: Identity;
    readonly timings: { readonly elapsedMs: number };
  };
  readonly opened: OpenedStream;
  readonly settings: StreamSettings;
  readonly capture: Capture;
  /** The detector that inspected the pieces as they were written; undefined where the body is encoded. */
  readonly watch: TerminalDetector | undefined;
  readonly keeper: Keeper;
  readonly log: StreamLog | undefined;
  readonly observer: FullObserver;
  readonly traceId: string | null;
  readonly onFormatError: (error: unknown) => void;
}

/** How the handler of a stream ended. */
export interface Ending {
  /** The outcome is that of a whole answer, or may be. */
  readonly mayBeWhole: boolean;
  /** It called `end()`, or wrote all bytes of its Content-Length. */
  readonly endedNormally: boolean;
}

/** How often a stream may go on after a finish marker; see `concludesAtEnd`. */
const MAX_REOPENED = 1;

/** Makes the messages of one stream and hands them over. */
export class MessageBuilder {
  /** Saves without a result yet. */
  pending = 0;
  attempts = 0;
  /** The result of the last save; the reason where none was due; undefined while neither is known. */
  result: SaveResult | SkipReason | undefined;
  /** The last failure of the last save. */
  errorType: string | undefined;
  /** Called when a save has its result. */
  onResult: () => void = () => {};
  /** Called when reading a large body shows another outcome than the provisional one. */
  onOutcome: (terminal: TerminalFact) => void = () => {};
  readonly #parts: MessageBuilderParts;
  /** Made by the first reading: most of its life a stream is not read. */
  #reader: CapturedBody | undefined;
  #settled: BodyReading | undefined;
  /** Number of pieces when the message was last settled. */
  #settledPieces: number | undefined;
  #saves = 0;
  #told = false;

  constructor(parts: MessageBuilderParts) {
    this.#parts = parts;
  }

  get #body(): CapturedBody {
    const { capture, settings, opened, watch, onFormatError } = this.#parts;
    return (this.#reader ??= new CapturedBody(capture, {
      format: settings.format,
      contentType: opened.contentType,
      contentEncoding: opened.contentEncoding,
      maxBytes: settings.maxBytes,
      template: () => watch?.template,
      onFormatError,
      keepsEvents: (reading) => keepsEvents(reading, opened),
    }));
  }

  /** The reading of the captured body; `undefined` where that has to be read in slices. */
  readAtOnce(): BodyReading | undefined {
    return this.#body.readAtOnce();
  }

  /** Whether a message was ever due. */
  get due(): boolean {
    return this.#saves > 0;
  }

  /** The newest reading where a message was due: usage may come after the finish marker by which it was settled. */
  get reading(): BodyReading | undefined {
    return this.due ? (this.readAtOnce() ?? this.#settled) : this.#settled;
  }

  /** Finish markers no longer count, because too many were followed by content: the stream is concluded at its end. */
  get concludesAtEnd(): boolean {
    return this.#saves > MAX_REOPENED;
  }

  /** Whether the body says more than when the message was last settled. */
  grew(): boolean {
    if (this.#parts.capture.pieces.length === this.#settledPieces) return false;
    const settled = this.#settled;
    const reading = this.readAtOnce();
    if (settled === undefined || reading === undefined) return true;
    return (
      reading.text !== settled.text ||
      reading.errorFrame !== settled.errorFrame ||
      reading.unknownText !== settled.unknownText
    );
  }

  /**
   * Hands the message over; undefined where there is none to keep. A large body is read in slices first; its message is due
   * at once.
   */
  settle(terminal: TerminalFact, ending: Ending): SaveProgress | undefined {
    const { settings } = this.#parts;
    if (this.#saves === 0 && settings.policy[terminal.outcome] === 'discard') {
      this.result = 'discarded';
      return undefined;
    }
    this.#settledPieces = this.#parts.capture.pieces.length;
    const reading = this.readAtOnce();
    if (reading === undefined) return this.#settleInSlices(terminal, ending);
    this.#settled = reading;
    // With dropped bytes, an empty reading does not show that the body was empty.
    if (this.#saves === 0 && reading.empty && this.#droppedBytes === 0) {
      this.result = 'empty';
      return undefined;
    }
    this.#becomeDue();
    this.#tell(reading);
    return this.#save(this.#message(reading, terminal, { ...ending, revision: this.#saves - 1 }));
  }

  /** A body longer than a slice is never empty. A held frame waits at most `confirmTimeoutMs` for the reading and the store together. */
  #settleInSlices(terminal: TerminalFact, ending: Ending): SaveProgress {
    const dueMs = performance.now();
    const { view, opened, settings, keeper } = this.#parts;
    const { confirmTimeoutMs } = settings;
    this.#becomeDue();
    const revision = this.#saves - 1;
    this.pending += 1;
    const saved = this.#body.readInSlices().then((reading) => {
      this.#settled = reading;
      this.pending -= 1;
      this.#tell(reading);
      const final = terminal.isProvisional === true ? endFactOf(reading) : terminal;
      if (final !== terminal) this.onOutcome(final);
      const message = this.#message(reading, final, { ...ending, revision });
      // The time that reading took is subtracted from what a held frame may still wait.
      const waitedMs = view.holdsFrame ? performance.now() - dueMs : 0;
      return this.#save(message, Math.max(0, confirmTimeoutMs - waitedMs));
    });
    const holds = (): boolean => view.holdsFrame;
    const { messageId } = opened;
    const confirmed = keeper.announce({ messageId, stream: view, holds, confirmTimeoutMs, saved });
    return {
      confirmed,
      result: saved.then(({ result }) => result),
    };
  }

  #becomeDue(): void {
    if (this.#saves === 0) this.#parts.observer.onDue(this.#parts.view);
    this.#saves += 1;
    this.result = undefined;
  }

  /** Reports the message to the observer, once. */
  #tell({ unknownText }: BodyReading): void {
    if (this.#told) return;
    this.#told = true;
    const { observer, view } = this.#parts;
    observer.onMessage(view, { unknownText, cut: this.#droppedBytes > 0 });
  }

  /** Bytes that are in neither the text nor the events: over a bound, not decoded, or the whole body where nothing was kept. */
  get #droppedBytes(): number {
    const { capture } = this.#parts;
    const isAnyKept = capture.pieces.length > 0 || capture.stored !== undefined;
    return isAnyKept ? capture.droppedBytes + this.#body.dropped : capture.bytes;
  }

  #save(message: Message, confirmTimeoutMs = this.#parts.settings.confirmTimeoutMs): SaveProgress {
    const { view, settings, keeper, log } = this.#parts;
    const { missingAfterMs } = settings;
    const progress = keeper.save({
      message,
      stream: view,
      log,
      holds: () => view.holdsFrame,
      confirmTimeoutMs,
      missingAfterMs,
    });
    this.pending += 1;
    void progress.result.then(({ result, attempts, errorType }) => {
      this.pending -= 1;
      this.result = result;
      this.attempts += attempts;
      this.errorType = errorType;
      this.onResult();
    });
    return progress;
  }

  #message(
    reading: BodyReading,
    terminal: TerminalFact,
    { mayBeWhole, endedNormally, revision }: Ending & { readonly revision: number },
  ): Message {
    const { view, opened, capture, traceId } = this.#parts;
    // The app may have named them after the stream was opened.
    const { conversationId, role, metadata: given } = view.identity;
    const { text, events, metadata, finished } = contentOf(reading, {
      events: opened.events,
      metadata: given,
    });
    const droppedBytes = this.#droppedBytes;
    const isWhole = finished || (reading.finishMarker !== 'needed' && endedNormally);
    return {
      id: opened.messageId,
      streamId: opened.id,
      conversationId,
      role,
      text,
      events,
      metadata,
      complete:
        mayBeWhole &&
        isWhole &&
        terminal.outcome !== 'truncated' &&
        !reading.errorFrame &&
        !this.#body.isBroken &&
        droppedBytes === 0,
      outcome: terminal.outcome,
      side: terminal.side,
      revision,
      chunks: view.chunks,
      bytes: capture.bytes,
      droppedBytes,
      traceId,
      startedAt: new Date(opened.startedAtMs),
      // Not `new Date()`: the wall clock may have been set meanwhile.
      endedAt: new Date(opened.startedAtMs + view.timings.elapsedMs),
    };
  }
}
