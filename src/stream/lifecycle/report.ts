/**
 * The report of a stream: made once, when the response is over and the last save has its result. The span, the counters and the
 * log line are made from this one summary. It also resolves the promises of callers that wait for the end of a response or for
 * the result of its message.
 */
import type { Outcome, SaveResult, SkipReason } from '../../core/message.ts';
import type { StreamSummary, StreamView, TokenUsage } from '../../core/observer.ts';
import type { Body, PastBody } from '../body/body.ts';
import type { StreamTimings } from '../body/timings.ts';
import type { TerminalFact } from '../body/message-builder.ts';
import type { StreamEnvironment } from './environment.ts';
import type { Phase } from './phases.ts';

/** Outcomes that are errors; a client that leaves and a stop are not. */
const ERRORS: ReadonlySet<Outcome> = new Set(['failed', 'timed-out', 'truncated']);

/** The outcome of saving a message, whether lastchunk or the app saves it. */
export interface MessageState {
  /** Saves without a result yet. */
  readonly pending: number;
  /** The result of the last save; the reason where none was due; undefined while neither is known. */
  readonly result: SaveResult | SkipReason | undefined;
  readonly attempts: number;
  /** The last failure of the last save. */
  readonly errorType: string | undefined;
  /** Whether a message was ever due. */
  readonly due: boolean;
  /** Finish reason and token usage from the body, where it was read. */
  readonly reading?:
    { readonly finishReason: string | undefined; readonly usage: TokenUsage } | undefined;
}

/** The facts that the report of a stream is made from. */
export interface ReportedStream extends StreamView {
  readonly timings: StreamTimings;
  readonly chunksAfterDisconnect: number;
  readonly holdMs: number;
  readonly phase: Phase;
  readonly environment: StreamEnvironment;
  /** Under `observe()`. */
  readonly ownSaves: MessageState | undefined;
  terminal: TerminalFact | undefined;
  body: Body | undefined;
  /** Removes it from the live streams. */
  unregister(): void;
}

/** The report of one stream, and the callers that wait for it. */
export class StreamReport {
  /** The last report was made. */
  done = false;
  /** The facts of the body that are still read after it was released. */
  past: PastBody | undefined;
  readonly #stream: ReportedStream;
  #overWaiters: (() => void)[] | undefined;
  #settledWaiters: ((result: SaveResult | SkipReason) => void)[] | undefined;

  constructor(stream: ReportedStream) {
    this.#stream = stream;
  }

  /** Resolves when the response is over; its message may still be being saved. */
  whenOver(): Promise<void> {
    if (this.#stream.phase.isOver) return Promise.resolve();
    return new Promise((resolve) => (this.#overWaiters ??= []).push(resolve));
  }

  /** Resolves with the result of the message, once that is known. */
  whenSettled(): Promise<SaveResult | SkipReason> {
    const { result = 'empty' } = this.#stream.body?.builder ?? this.past ?? {};
    if (this.#hasResult()) return Promise.resolve(result);
    return new Promise((resolve) => (this.#settledWaiters ??= []).push(resolve));
  }

  /** The response is over: resolves the promises of `whenOver`. */
  tellOver(): void {
    for (const tell of this.#overWaiters ?? []) tell();
    this.#overWaiters = undefined;
  }

  /** Reports what is known now; makes the final report once, when the response is over and the last save has its result. */
  update(): void {
    const stream = this.#stream;
    const message = this.#message;
    if (this.done || (message?.pending ?? 0) > 0) return;
    this.done = stream.phase.isOver;
    if (this.#hasResult()) {
      for (const tell of this.#settledWaiters ?? []) tell(message?.result ?? 'empty');
      this.#settledWaiters = undefined;
    }
    if (!stream.phase.isOver) return;
    stream.unregister();
    if (stream.body === undefined) return;
    stream.terminal ??= stream.body.endFact();
    const { observer } = stream.environment;
    if (message?.due === false) {
      stream.body.drop();
      observer.onSkip(stream, message.result === 'discarded' ? 'discarded' : 'empty');
    }
    observer.onEnd(summaryOf(stream, stream.terminal, message));
    this.past = { bytes: stream.bytes, format: stream.format, result: message?.result };
    stream.body.release();
    stream.body = undefined;
  }

  get #message(): MessageState | undefined {
    return this.#stream.body?.builder ?? this.#stream.ownSaves;
  }

  #hasResult(): boolean {
    const { terminal, phase } = this.#stream;
    const { pending, result } = this.#message ?? {};
    const settled = terminal !== undefined && !phase.isUnsettled;
    return this.done || (settled && pending === 0 && result !== undefined);
  }
}

function summaryOf(
  stream: ReportedStream,
  terminal: TerminalFact,
  message: MessageState | undefined,
): StreamSummary {
  const { timings } = stream;
  const reading = message?.reading;
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
    finishReason: reading?.finishReason,
    usage: reading?.usage,
  };
}

/** The error type of a stream that failed; else, of a message that was lost. */
function errorTypeOf(
  terminal: TerminalFact,
  message: MessageState | undefined,
): string | undefined {
  if (ERRORS.has(terminal.outcome)) return terminal.errorType ?? '_OTHER';
  return message?.result === 'lost' ? (message.errorType ?? '_OTHER') : undefined;
}
