/**
 * The body of one stream on its way out: captured, written ahead, watched for the frame that ends it, and read again
 * when its message is due.
 */
import type { OpenedStream, Piece, StreamLog, WriteTime } from '../../core/save-port.ts';
import type { SaveResult, SkipReason } from '../../core/message.ts';
import { Capture } from './capture.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import { EVENT_STREAM, mediaType, type ResponseHead } from '../response/is-stream.ts';
import { isEncoded, isPlain, TerminalDetector, type TerminalSignal } from '../../formats/index.ts';
import { endFactOf, ERROR_FRAME, MessageBuilder, type TerminalFact } from './message-builder.ts';
import type { StreamSettings } from '../settings.ts';
import { type Exchange, outputTargetOf } from '../response/exchange.ts';
import type { Identity } from './identity.ts';
import type { StreamTimings } from './timings.ts';
import { type ConnectionOutput, outputOf } from '../response/connection-output.ts';
import type { HeldBody } from './live-bytes.ts';
import { bytesOfPieces } from './pieces.ts';
import { inCompany, streamNumber } from './write-ahead.ts';
import type { StreamView } from '../../core/observer.ts';

/**
 * The facts of a body that are still read after the body was released. A body is released when its stream has been reported, not when
 * the stream becomes unreachable: V8 promotes young objects that a dead old object refers to, and frees them only in its next full
 * collection. The journal keeps the pieces for as long as it needs them.
 */
export interface PastBody extends Pick<Body, 'bytes' | 'format'> {
  /** The result of its message. */
  readonly result: SaveResult | SkipReason | undefined;
}

/** The fields of its stream that a body reads. */
export interface BodyOwner extends StreamView {
  readonly settings: StreamSettings;
  readonly exchange: Exchange;
  readonly timings: StreamTimings;
  readonly identity: Identity;
  readonly environment: StreamEnvironment;
  /** A terminal frame is kept back now. */
  readonly holdsFrame: boolean;
}

/** The format of an event stream in which no model's API is recognised. */
const NOBODYS_FORMAT = 'sse';

/** How often a body is read back where the read fails, or its file was moved meanwhile. */
const READ_BACK_TRIES = 3;

/** The body of one stream. */
export class Body implements HeldBody {
  /** Present under a guard. */
  readonly builder: MessageBuilder | undefined;
  readonly #owner: BodyOwner;
  readonly #contentLength: number | undefined;
  /** Present under a guard: with the body, all that is needed to rebuild the message. */
  readonly opened: OpenedStream | undefined;
  readonly #capture: Capture;
  readonly #watch: TerminalDetector | undefined;
  readonly #log: StreamLog | undefined;
  readonly #number = streamNumber();
  readonly #output: ConnectionOutput | undefined;
  readonly #endWriteAhead: (() => void) | undefined;

  constructor(owner: BodyOwner, head: ResponseHead) {
    const { settings, environment } = owner;
    const keeper = owner.guarded ? environment.keeper : undefined;
    const encoded = isEncoded(head.contentEncoding);
    const { onFormatError } = environment;
    const capture = new Capture({
      maxBytes: keeper ? settings.maxBytes : 0,
      encoded,
      strict: !isPlain(head.contentEncoding),
      charset: head.charset,
      live: environment.liveBytes,
      watchesBytes: environment.relay !== undefined,
    });
    this.#owner = owner;
    this.#contentLength = head.contentLength;
    this.#capture = capture;
    this.#watch = encoded ? undefined : detectorFor(settings, head, onFormatError);
    if (keeper === undefined) return;
    const opened = openedStream(owner, head);
    this.opened = opened;
    this.#log = keeper.open(opened, capture);
    if (this.#log !== undefined) {
      this.#output = outputOf(outputTargetOf(owner.exchange));
      this.#endWriteAhead = this.#output.writeAhead(this.#log);
    }
    this.builder = new MessageBuilder({
      view: owner,
      opened,
      settings,
      capture,
      watch: this.#watch,
      keeper,
      log: this.#log,
      observer: environment.observer,
      traceId: environment.trace.traceId(owner),
      onFormatError,
    });
  }

  /** What was written so far. */
  get captured(): Capture {
    return this.#capture;
  }

  /** Bytes of all body writes. */
  get bytes(): number {
    return this.#capture.bytes;
  }

  /** Name of the format, as far as it is known. */
  get format(): string {
    return this.#watch?.format ?? 'auto';
  }

  /** An event stream that until now has carried nothing of an answer: no text, and no frame of a model's API. */
  get isFeed(): boolean {
    if (mediaType(this.opened?.contentType ?? '') !== EVENT_STREAM) return false;
    const reading = this.builder?.readAtOnce();
    if (reading === undefined || reading.format !== NOBODYS_FORMAT) return false;
    return reading.text === '' && !reading.toolCalls && !reading.wordless;
  }

  /** Every byte that Content-Length announced was written. */
  get whole(): boolean {
    return this.#contentLength !== undefined && this.bytes >= this.#contentLength;
  }

  /**
   * Takes one body write, before its bytes leave the connection; `last` if it is the chunk of `end`. Returns the terminal signal that
   * the chunk carries, if any; `invalid` for a chunk that Node itself will refuse.
   */
  take(chunk: unknown, encoding: unknown, last: boolean): 'invalid' | TerminalSignal | undefined {
    const capture = this.#capture;
    const taken = capture.take(chunk, encoding);
    if (taken === undefined) return 'invalid';
    const { kept, text } = taken;
    const { timings, exchange } = this.#owner;
    // Node corks at the first write of a tick, and sends all bytes of the tick together.
    const corked = (exchange.h2 ?? exchange.socket).writableCorked > 0;
    const atMs = timings.recordChunk(text, corked);
    if (kept !== undefined && this.#log !== undefined) {
      this.#log.append(kept, last ? 'tick' : this.#writeTime(this.#log, corked, atMs));
    }
    // After the append: the log must have what leaves memory.
    const { liveBytes } = this.#owner.environment;
    if (liveBytes.isOver) liveBytes.relieve();
    if (text === undefined || this.#watch === undefined) return undefined;
    const signal = this.#watch.inspect(text);
    if (this.#watch.fitted) capture.noteAlike();
    return signal === undefined || this.#isTakenBack(signal) ? undefined : signal;
  }

  /** The finish marker was not the end: content follows it already, or so many markers have come that the next one does not count. */
  #isTakenBack(signal: TerminalSignal): boolean {
    if (this.builder?.concludesAtEnd === true) return true;
    return signal === 'finish' && this.#watch?.finished === false;
  }

  /** Bytes that are written now may wait longer than their tick. */
  get keepsWrites(): boolean {
    return this.#output?.keepsWrites === true;
  }

  /** Sends what was written in this turn; called before a call that closes the connection. */
  sendTurn(): void {
    this.#output?.sendTurn();
  }

  /** `turn` where other streams write at the same time: one journal write then serves all, before the connection sends the bytes. */
  #writeTime(log: StreamLog, corked: boolean, atMs: number): WriteTime {
    const others = !corked && inCompany(this.#number, atMs);
    if (others && log.ahead) this.#output?.collectTurn();
    return this.#output?.collectsTurn === true ? 'turn' : 'tick';
  }

  /** The beginning of the body, or as much of it as can be read; empty where nothing can be read. */
  async #readBack(log: StreamLog, bytes: number): Promise<readonly Piece[]> {
    let best: readonly Piece[] = [];
    let trouble: unknown;
    for (let tries = 0; tries < READ_BACK_TRIES; tries += 1) {
      try {
        const pieces = await log.readBack(bytes);
        if (bytesOfPieces(pieces) >= bytesOfPieces(best)) best = pieces;
        if (bytesOfPieces(best) === bytes) return best;
        trouble = new Error('the journal does not have all of a body that had left memory');
      } catch (error) {
        trouble = error;
      }
    }
    this.#owner.environment.onInternalError('journal', trouble);
    return best;
  }

  get heldBytes(): number {
    return this.#capture.heldBytes;
  }

  get isRead(): boolean {
    return this.#capture.isRead;
  }

  leaveMemory(): void {
    const log = this.#log;
    const bytes = log?.releaseBody();
    if (log === undefined || bytes === undefined) return;
    const { liveBytes } = this.#owner.environment;
    this.#capture.leaveMemory({
      bytes,
      readBack: (use) => liveBytes.inTurn(async () => use(await this.#readBack(log, bytes))),
    });
  }

  cutTo(bytes: number): void {
    // Before the cut: what waits to be written to the journal is written as it was.
    this.#log?.flush();
    this.#capture.cutTo(bytes);
  }

  /** Its stream was reported: nothing more is read from the body. */
  release(): void {
    this.#log?.close();
    this.#capture.release();
  }

  /** Its response is over: the connection, which serves other responses, no longer writes this log. */
  detach(): void {
    this.#endWriteAhead?.();
  }

  /** The stream leaves no message. */
  drop(): void {
    this.#log?.drop();
  }

  /** The terminal fact of a normal end. */
  endFact(): TerminalFact {
    const watch = this.#watch;
    const reading = this.builder?.readAtOnce();
    if (reading !== undefined) return endFactOf(reading);
    const fact = endFactOf({
      errorFrame: watch?.errored === true,
      finished: watch?.finished ?? true,
      finishMarker: watch?.needsFinish === true ? 'needed' : 'none',
    });
    return this.builder === undefined ? fact : { ...fact, isProvisional: true };
  }

  /** The terminal fact of a finish marker: after an error frame it is not a success. */
  finishFact(): TerminalFact {
    return this.#watch?.errored === true ? ERROR_FRAME : { outcome: 'completed', side: 'server' };
  }
}

/** The terminal detector; undefined where a custom format throws. */
function detectorFor(
  { format }: StreamSettings,
  { contentType }: ResponseHead,
  onFormatError: (error: unknown) => void,
): TerminalDetector | undefined {
  try {
    return new TerminalDetector(format, contentType, onFormatError);
  } catch (error) {
    onFormatError(error);
    return undefined;
  }
}

/** The content type with the charset, which is needed to decode pieces that are kept as bytes. */
function withCharset({ contentType, charset }: ResponseHead): string {
  return charset === '' ? contentType : `${contentType}; charset=${charset}`;
}

/** The facts that the journal needs to rebuild the message in another process. */
function openedStream(stream: BodyOwner, head: ResponseHead): OpenedStream {
  const { id: messageId, conversationId, role, metadata } = stream.identity;
  const { format } = stream.settings;
  return {
    id: stream.id,
    messageId,
    conversationId,
    role,
    metadata,
    route: stream.route,
    format: format === 'auto' ? 'auto' : format.name,
    contentType: withCharset(head),
    contentEncoding: head.contentEncoding || 'identity',
    events: stream.settings.events,
    startedAtMs: stream.startedAtMs,
    maxBytes: stream.settings.maxBytes,
    traceparent: stream.environment.trace.traceparent(stream),
  };
}
