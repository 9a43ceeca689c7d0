/**
 * The message of one stream: read from what was captured when the stream has a terminal fact, read on when it went on
 * after that, handed over to be saved each time it says something new.
 */
import type { Keeper, OpenedStream, Piece, SaveProgress, StreamLog } from '../keeper.ts';
import type { Message, Outcome, SaveResult, Side, SkipReason } from '../message.ts';
import type { FullObserver, StreamView } from '../observer.ts';
import type { Capture } from './capture.ts';
import { isEncoded } from './capture.ts';
import { type BodyReading, createReading, decodeBody } from './formats/index.ts';
import type { StreamSettings } from './settings.ts';

/** How a stream ended. */
export interface Fact {
  readonly outcome: Outcome;
  readonly side: Side;
  /** `error.type` of the telemetry, for the outcomes that are errors. */
  readonly errorType?: string | undefined;
}

export interface Settlement {
  /** What the captured body says now. */
  read(): BodyReading;
  /** Whether it says more than when it was last settled. */
  grew(): boolean;
  /** Hands the message over, or says that there is none to keep by returning undefined. */
  settle(fact: Fact, complete: boolean): SaveProgress | undefined;
  /** Saves without a result yet. */
  readonly pending: number;
  /** The last result; the reason where nothing was due; undefined while neither is known. */
  readonly result: SaveResult | SkipReason | undefined;
  readonly attempts: number;
  /** The last failure of the last save. */
  readonly errorType: string | undefined;
  /** Whether a message was ever due. */
  readonly due: boolean;
  /** Called when a save has its result. */
  onResult: () => void;
}

export interface SettlementOptions {
  readonly view: StreamView;
  readonly opened: OpenedStream;
  readonly settings: StreamSettings;
  readonly capture: Capture;
  readonly keeper: Keeper;
  readonly log: StreamLog | undefined;
  readonly observer: FullObserver;
  readonly traceId: string | null;
  readonly onFormatError: (error: unknown) => void;
}

export function createSettlement(options: SettlementOptions): Settlement {
  const { view, opened, settings, capture, keeper, log, observer } = options;
  const readBody = createBodyReader(options);
  let settled: BodyReading | undefined;
  let revision = 0;
  let saves = 0;

  const messageOf = (reading: Read, fact: Fact, complete: boolean): Message => ({
    id: opened.messageId,
    streamId: opened.id,
    conversationId: opened.conversationId,
    role: opened.role,
    text: reading.text,
    events: eventsOf(reading, settings),
    metadata: withFinishReason(opened.metadata, reading.finishReason),
    complete: complete && !reading.errorFrame && capture.droppedBytes + reading.dropped === 0,
    outcome: fact.outcome,
    side: fact.side,
    revision,
    chunks: view.chunks,
    bytes: capture.bytes,
    droppedBytes: capture.droppedBytes + reading.dropped,
    traceId: options.traceId,
    startedAt: new Date(opened.startedAtMs),
    endedAt: new Date(),
  });

  const skip = (reason: SkipReason): undefined => {
    settlement.result = reason;
    return undefined;
  };

  const announce = (reading: Read): void => {
    if (saves > 0) {
      revision += 1;
      return;
    }
    observer.onDue(view);
    observer.onMessage(view, {
      unknownText: reading.unknownText,
      cut: capture.droppedBytes + reading.dropped > 0,
    });
  };

  const settlement = {
    pending: 0,
    attempts: 0,
    errorType: undefined as string | undefined,
    result: undefined as SaveResult | SkipReason | undefined,
    onResult: (): void => {},
    get due() {
      return saves > 0;
    },
    read: readBody,
    grew: () => {
      const reading = readBody();
      return (
        settled === undefined ||
        reading.text !== settled.text ||
        reading.errorFrame !== settled.errorFrame ||
        reading.unknownText !== settled.unknownText
      );
    },
    settle: (fact: Fact, complete: boolean): SaveProgress | undefined => {
      const reading = readBody();
      settled = reading;
      if (saves === 0 && settings.policy[fact.outcome] === 'discard') return skip('discarded');
      if (saves === 0 && reading.empty) return skip('empty');
      announce(reading);
      saves += 1;
      settlement.pending += 1;
      const progress = keeper.save({
        message: messageOf(reading, fact, complete),
        stream: view,
        log,
        holds: true,
        confirmTimeoutMs: settings.confirmTimeoutMs,
        missingAfterMs: settings.missingAfterMs,
      });
      void progress.result.then(({ result, attempts, errorType }) => {
        settlement.pending -= 1;
        settlement.result = result;
        settlement.attempts += attempts;
        settlement.errorType = errorType;
        settlement.onResult();
      });
      return progress;
    },
  };
  return settlement;
}

/** What a body says, and how many of its bytes could not be decoded or were too many. */
type Read = BodyReading & { readonly dropped: number };

/** Reads only what is new, unless the body is encoded: then it is decoded as a whole. */
function createBodyReader(options: SettlementOptions): () => Read {
  const { opened, settings, capture, onFormatError } = options;
  const create = () => createReading(settings.format, opened.contentType, onFormatError);
  if (isEncoded(opened.contentEncoding)) {
    return () => readEncoded(create(), capture.pieces, opened.contentEncoding, settings.maxBytes);
  }
  const reading = create();
  let fed = 0;
  return () => {
    const { pieces } = capture;
    // An unencoded body is kept as strings only.
    for (; fed < pieces.length; fed += 1) reading.feed(String(pieces[fed]));
    return { ...reading.result(), dropped: 0 };
  };
}

function readEncoded(
  reading: ReturnType<typeof createReading>,
  pieces: readonly Piece[],
  contentEncoding: string,
  maxBytes: number,
): Read {
  const { text, dropped } = decodeBody(pieces, contentEncoding, maxBytes);
  reading.feed(text);
  const result = { ...reading.result(), dropped };
  // Bytes that nobody could decode are an answer that nobody could read, not an empty one.
  const unreadable = text === '' && pieces.length > 0;
  return unreadable ? { ...result, empty: false, unknownText: true } : result;
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
