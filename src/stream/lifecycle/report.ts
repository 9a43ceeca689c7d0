/**
 * The last word on a stream: said once, when the response is over and the last save has its result. Span, counters and
 * log line are made from the one summary. Also tells those who wait for the end of a response or for the result of its
 * message.
 */
import type { Outcome, SaveResult, SkipReason } from '../../core/message.ts';
import type { FullObserver, StreamSummary, StreamView } from '../../core/observer.ts';
import type { StreamTimings } from '../body/timings.ts';
import type { TerminalFact } from '../body/message-builder.ts';

/** Outcomes that are errors; a client that leaves and a stop are not. */
const ERRORS: ReadonlySet<Outcome> = new Set(['failed', 'timed-out', 'truncated']);

/** What became of a message, whoever saves it. */
export interface MessageState {
  /** Saves without a result yet. */
  readonly pending: number;
  /** The last result; the reason where nothing was due; undefined while neither is known. */
  readonly result: SaveResult | SkipReason | undefined;
  readonly attempts: number;
  /** The last failure of the last save. */
  readonly errorType: string | undefined;
  /** Whether a message was ever due. */
  readonly due: boolean;
}

/** What is summed up. */
export interface EndedStream extends StreamView {
  readonly timings: StreamTimings;
  readonly chunksAfterDisconnect: number;
  readonly holdMs: number;
}

/** Those who wait for one stream. */
export class StreamWaiters {
  #over: (() => void)[] | undefined;
  #settled: ((result: SaveResult | SkipReason) => void)[] | undefined;

  /** Resolves when the response is over; its message may still be on its way. */
  over(): Promise<void> {
    return new Promise((resolve) => (this.#over ??= []).push(resolve));
  }

  /** Resolves when it is known what became of the message. */
  settled(): Promise<SaveResult | SkipReason> {
    return new Promise((resolve) => (this.#settled ??= []).push(resolve));
  }

  tellOver(): void {
    for (const tell of this.#over ?? []) tell();
    this.#over = undefined;
  }

  tellSettled(result: SaveResult | SkipReason): void {
    for (const tell of this.#settled ?? []) tell(result);
    this.#settled = undefined;
  }
}

/** Tells observers that a stream has ended; of a message that was never due, also why. */
export function reportEnd(
  stream: EndedStream,
  terminal: TerminalFact,
  message: MessageState | undefined,
  observer: FullObserver,
): void {
  if (message?.due === false) {
    observer.onSkip(stream, message.result === 'discarded' ? 'discarded' : 'empty');
  }
  observer.onEnd(summaryOf(stream, terminal, message));
}

function summaryOf(
  stream: EndedStream,
  terminal: TerminalFact,
  message: MessageState | undefined,
): StreamSummary {
  const { timings } = stream;
  return {
    stream,
    outcome: terminal.outcome,
    side: terminal.side,
    durationMs: timings.elapsedMs,
    timeToFirstChunkMs: timings.timeToFirstChunkMs,
    maxChunkGapMs: timings.maxGapMs,
    backpressureMs: timings.backpressureMs,
    chunksAfterDisconnect: stream.chunksAfterDisconnect,
    holdMs: stream.holdMs,
    save: message === undefined ? undefined : (message.result ?? 'empty'),
    saveAttempts: message?.attempts ?? 0,
    errorType: errorTypeOf(terminal, message),
  };
}

/** Why the stream failed; where it did not, why its message was lost. */
function errorTypeOf(
  terminal: TerminalFact,
  message: MessageState | undefined,
): string | undefined {
  if (ERRORS.has(terminal.outcome)) return terminal.errorType ?? '_OTHER';
  return message?.result === 'lost' ? (message.errorType ?? '_OTHER') : undefined;
}
