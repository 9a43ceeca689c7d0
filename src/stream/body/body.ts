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
 * What is still asked of a body that is gone. It goes when all is said about its stream, and not when nobody has the
 * stream any more: that may be V8 itself, which copies what is young and hangs on something old and dead, and keeps it until
 * its next full collection. The journal has the pieces for as long as it needs them.
 */
export interface PastBody extends Pick<Body, 'bytes' | 'format'> {
  /** Of its message. */
  readonly result: SaveResult | SkipReason | undefined;
}

/** What a body has to know of its stream. */
export interface BodyOwner extends StreamView {
  readonly settings: StreamSettings;
  readonly exchange: Exchange;
  readonly timings: StreamTimings;
  readonly identity: Identity;
  readonly environment: StreamEnvironment;
  /** A terminal frame is kept back now. */
  readonly holdsFrame: boolean;
}

/** Of an event stream in which no model's API is found. */
const NOBODYS_FORMAT = 'sse';

/** How often a body is read back where the disk does not give it, or what held it was just moved. */
const READ_BACK_TRIES = 3;

/** The body of one stream. */
export class Body implements HeldBody {
  /** Present under a guard. */
  readonly builder: MessageBuilder | undefined;
  readonly #owner: BodyOwner;
  readonly #contentLength: number | undefined;
  /** Present under a guard: what its message can be rebuilt from, with the body. */
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

  /** Every byte that a Content-Length promised is there. */
  get whole(): boolean {
    return this.#contentLength !== undefined && this.bytes >= this.#contentLength;
  }

  /**
   * Takes one body write, before its bytes leave the connection; `last` when it came with the end. Says what a client will
   * make of it; `invalid` is what Node itself will refuse.
   */
  take(chunk: unknown, encoding: unknown, last: boolean): 'invalid' | TerminalSignal | undefined {
    const capture = this.#capture;
    const taken = capture.take(chunk, encoding);
    if (taken === undefined) return 'invalid';
    const { kept, text } = taken;
    const { timings, exchange } = this.#owner;
    // From the first write of a tick on, until Node lets all of its bytes go at once.
    const corked = (exchange.h2 ?? exchange.socket).writableCorked > 0;
    const atMs = timings.recordChunk(text, corked);
    if (kept !== undefined && this.#log !== undefined) {
      this.#log.append(kept, last ? 'tick' : this.#writeTime(this.#log, corked, atMs));
    }
    // Behind the log, which has to have what leaves memory.
    const { liveBytes } = this.#owner.environment;
    if (liveBytes.isOver) liveBytes.relieve();
    if (text === undefined || this.#watch === undefined) return undefined;
    const signal = this.#watch.inspect(text);
    if (this.#watch.fitted) capture.noteAlike();
    return signal === undefined || this.#isTakenBack(signal) ? undefined : signal;
  }

  /** Content stands behind the finish marker already, or so many have come that the next one is none either. */
  #isTakenBack(signal: TerminalSignal): boolean {
    if (this.builder?.concludesAtEnd === true) return true;
    return signal === 'finish' && this.#watch?.finished === false;
  }

  /** What is written now is kept beyond its tick. */
  get keepsWrites(): boolean {
    return this.#output?.keepsWrites === true;
  }

  /** Before a call that closes the connection. */
  sendTurn(): void {
    this.#output?.sendTurn();
  }

  /** With the others of this turn, where streams write in company; the connection's output sees to it that it is in time. */
  #writeTime(log: StreamLog, corked: boolean, atMs: number): WriteTime {
    const others = !corked && inCompany(this.#number, atMs);
    if (others && log.ahead) this.#output?.collectTurn();
    return this.#output?.collectsTurn === true ? 'turn' : 'tick';
  }

  /** The beginning, or as much of it as there is; nothing where the disk gives nothing. */
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
    // What waits to be written is written, or given up, as it was.
    this.#log?.flush();
    this.#capture.cutTo(bytes);
  }

  /** All is said about its stream. */
  release(): void {
    this.#log?.close();
    this.#capture.release();
  }

  /** Its response is over: its connection has others to care for. */
  detach(): void {
    this.#endWriteAhead?.();
  }

  /** The stream leaves no message. */
  drop(): void {
    this.#log?.drop();
  }

  /** What a normal end says about the stream. */
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

  /** What a finish marker says about it: after an error frame it is no success. */
  finishFact(): TerminalFact {
    return this.#watch?.errored === true ? ERROR_FRAME : { outcome: 'completed', side: 'server' };
  }
}

/** A format of the app may throw where it is only looked at. */
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

/** Pieces kept as bytes are decoded when they are read. */
function withCharset({ contentType, charset }: ResponseHead): string {
  return charset === '' ? contentType : `${contentType}; charset=${charset}`;
}

/** What the journal has to know to rebuild the message in another process. */
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
