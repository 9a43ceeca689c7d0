/**
 * The message of one stream: read from what was captured when the stream has a terminal fact, read on when it went on
 * after that, handed over to be saved each time it says something new.
 */
import type { Keeper, OpenedStream, SaveProgress, StreamLog } from '../../core/save-port.ts';
import type { Message, Outcome, SaveResult, Side, SkipReason } from '../../core/message.ts';
import type { FullObserver, StreamView } from '../../core/observer.ts';
import type { Capture } from './capture.ts';
import { isEncoded } from './capture.ts';
import {
  BodyReader,
  type BodyReading,
  decodeBody,
  type TerminalDetector,
} from '../../formats/index.ts';
import type { StreamSettings } from '../settings.ts';
import type { Identity } from './identity.ts';

/** How a stream ended. */
export interface TerminalFact {
  readonly outcome: Outcome;
  readonly side: Side;
  /** `error.type` of the telemetry, for the outcomes that are errors. */
  readonly errorType?: string | undefined;
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
  /** What has looked at the pieces as they were written; none where the body is encoded. */
  readonly watch: TerminalDetector | undefined;
  readonly keeper: Keeper;
  readonly log: StreamLog | undefined;
  readonly observer: FullObserver;
  readonly traceId: string | null;
  readonly onFormatError: (error: unknown) => void;
}

/** Makes the messages of one stream and hands them over. */
export class MessageBuilder {
  /** Saves without a result yet. */
  pending = 0;
  attempts = 0;
  /** The last result; the reason where nothing was due; undefined while neither is known. */
  result: SaveResult | SkipReason | undefined;
  /** The last failure of the last save. */
  errorType: string | undefined;
  /** Called when a save has its result. */
  onResult: () => void = () => {};
  readonly #parts: MessageBuilderParts;
  readonly #body: CapturedBody;
  #settled: BodyReading | undefined;
  #saves = 0;

  constructor(parts: MessageBuilderParts) {
    this.#parts = parts;
    this.#body = new CapturedBody(parts);
  }

  /** What the captured body says now. */
  read(): BodyReading {
    return this.#body.read();
  }

  /** Whether a message was ever due. */
  get due(): boolean {
    return this.#saves > 0;
  }

  /** Whether it says more than when it was last settled. */
  grew(): boolean {
    const reading = this.read();
    const settled = this.#settled;
    return (
      settled === undefined ||
      reading.text !== settled.text ||
      reading.errorFrame !== settled.errorFrame ||
      reading.unknownText !== settled.unknownText
    );
  }

  /** Hands the message over, or says that there is none to keep by returning undefined. */
  settle(terminal: TerminalFact, complete: boolean): SaveProgress | undefined {
    const { view, settings, capture, observer } = this.#parts;
    const reading = this.read();
    this.#settled = reading;
    if (this.#saves === 0) {
      if (settings.policy[terminal.outcome] === 'discard') this.result = 'discarded';
      else if (reading.empty) this.result = 'empty';
      else this.result = undefined;
      if (this.result !== undefined) return undefined;
      observer.onDue(view);
      const cut = capture.droppedBytes + this.#body.dropped > 0;
      observer.onMessage(view, { unknownText: reading.unknownText, cut });
    }
    this.#saves += 1;
    return this.#save(this.#message(reading, terminal, complete));
  }

  #save(message: Message): SaveProgress {
    const { view, settings, keeper, log } = this.#parts;
    const { confirmTimeoutMs, missingAfterMs } = settings;
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

  #message(reading: BodyReading, terminal: TerminalFact, complete: boolean): Message {
    const { view, opened, settings, capture } = this.#parts;
    const droppedBytes = capture.droppedBytes + this.#body.dropped;
    // It may have become known since the stream was opened.
    const { conversationId, role, metadata } = view.identity;
    return {
      id: opened.messageId,
      streamId: opened.id,
      conversationId,
      role,
      text: reading.text,
      events: eventsOf(reading, settings),
      metadata: withFinishReason(metadata, reading.finishReason),
      complete: complete && !reading.errorFrame && droppedBytes === 0,
      outcome: terminal.outcome,
      side: terminal.side,
      revision: this.#saves - 1,
      chunks: view.chunks,
      bytes: capture.bytes,
      droppedBytes,
      traceId: this.#parts.traceId,
      startedAt: new Date(opened.startedAtMs),
      // The wall clock may have been set meanwhile.
      endedAt: new Date(opened.startedAtMs + view.timings.elapsedMs),
    };
  }
}

/** Reads only what is new, unless the body is encoded: then it is decoded as a whole. A class, as above. */
class CapturedBody {
  /** Bytes of an encoded body that could not be decoded, or were too many. */
  dropped = 0;
  readonly #parts: MessageBuilderParts;
  #reading: BodyReader | undefined;
  #fed = 0;
  #last: BodyReading | undefined;

  constructor(parts: MessageBuilderParts) {
    this.#parts = parts;
  }

  read(): BodyReading {
    const { capture, opened } = this.#parts;
    if (this.#last === undefined || this.#fed < capture.pieces.length) {
      this.#last = isEncoded(opened.contentEncoding) ? this.#decode() : this.#readOn();
      this.#fed = capture.pieces.length;
    }
    return this.#last;
  }

  #readOn(): BodyReading {
    const { pieces, alikeFrom, alikeTo } = this.#parts.capture;
    const reading = (this.#reading ??= this.#begin());
    for (let at = this.#fed; at < pieces.length; at += 1) {
      // An unencoded body is kept as strings only.
      reading.feed(String(pieces[at]), at >= alikeFrom && at < alikeTo);
    }
    return reading.result();
  }

  #decode(): BodyReading {
    const { capture, opened, settings } = this.#parts;
    const { text, dropped } = decodeBody(capture.pieces, opened.contentEncoding, settings.maxBytes);
    this.dropped = dropped;
    const reading = this.#begin();
    reading.feed(text);
    const result = reading.result();
    // Bytes that nobody could decode are an answer that nobody could read, not an empty one.
    const unreadable = text === '' && capture.pieces.length > 0;
    return unreadable ? { ...result, empty: false, unknownText: true } : result;
  }

  #begin(): BodyReader {
    const { opened, settings, watch, onFormatError } = this.#parts;
    return new BodyReader(settings.format, opened.contentType, onFormatError, watch?.template);
  }
}

function eventsOf(reading: BodyReading, settings: StreamSettings): readonly unknown[] | null {
  return settings.events || reading.unknownText || reading.toolCalls || reading.wordless
    ? reading.events
    : null;
}

function withFinishReason(
  metadata: OpenedStream['metadata'],
  finishReason: string | undefined,
): OpenedStream['metadata'] {
  if (finishReason === undefined) return metadata;
  return { ...metadata, lastchunk: { finishReason } };
}
