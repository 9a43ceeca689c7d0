/**
 * The body of one stream on its way out: captured, written ahead, watched for the frame that ends it, and read again
 * when its message is due.
 */
import type { OpenedStream, StreamLog, WriteTime } from '../../core/save-port.ts';
import type { SaveResult, SkipReason } from '../../core/message.ts';
import { type Capture, createCapture, isEncoded } from './capture.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import { TerminalDetector, type TerminalSignal } from '../../formats/index.ts';
import { MessageBuilder, type Fact } from './message-builder.ts';
import type { StreamSettings } from '../settings.ts';
import type { Exchange } from '../response/exchange.ts';
import type { Identity } from './identity.ts';
import type { Pulse } from './timings.ts';
import { inCompany, streamNumber } from './write-ahead.ts';
import type { StreamView } from '../../core/observer.ts';

/** What the headers say of a body, once they are known. */
export interface Opening {
  readonly contentType: string;
  readonly contentEncoding: string;
  /** `undefined` when the response is chunked. */
  readonly contentLength: number | undefined;
}

export interface Body {
  /** Bytes of all body writes. */
  readonly bytes: number;
  /** Name of the format, as far as it is known. */
  readonly format: string;
  /** Every byte that a Content-Length promised is there. */
  readonly whole: boolean;
  /** Present under a guard. */
  readonly builder: MessageBuilder | undefined;
  /**
   * Takes one body write, before its bytes go anywhere; with `now` it is in the journal when this returns. Says what
   * a client will make of it; `invalid` is what Node itself will refuse.
   */
  take(chunk: unknown, encoding: unknown, now: boolean): 'invalid' | TerminalSignal | undefined;
  /** Before a call that lets bytes out at once. */
  flushLog(): void;
  /** The stream leaves no message. */
  drop(): void;
  /** What a normal end says about the stream. */
  endFact(): Fact;
  /** What a finish marker says about it: after an error frame it is no success. */
  finishFact(): Fact;
  /** Whether the answer is all there, given that its handler came to a normal end, or did not. */
  isComplete(endedNormally: boolean): boolean;
}

/**
 * What is still asked of a body that is gone. It goes when all is said about its stream, and not when nobody has the
 * stream any more: that may be V8 itself, which copies what is young and hangs on something old and dead, and keeps it until
 * its next full collection. The journal has the pieces for as long as it needs them.
 */
export interface PastBody extends Pick<Body, 'bytes' | 'format'> {
  /** Of its message. */
  readonly result: SaveResult | SkipReason | undefined;
}

/** The stream carried an error that its format knows: the upstream's word. */
export const ERROR_FRAME: Fact = { outcome: 'failed', side: 'upstream', errorType: '_OTHER' };

/** What a body has to know of its stream. */
export interface BodyOwner extends StreamView {
  readonly settings: StreamSettings;
  readonly exchange: Exchange;
  readonly pulse: Pulse;
  readonly identity: Identity;
  readonly environment: StreamEnvironment;
  /** A terminal frame is kept back now. */
  readonly holdsFrame: boolean;
}

export function createBody(owner: BodyOwner, opening: Opening): Body {
  return new StreamBody(owner, opening);
}

/** A class, because there is one for each live stream. */
class StreamBody implements Body {
  readonly builder: MessageBuilder | undefined;
  readonly #owner: BodyOwner;
  readonly #contentLength: number | undefined;
  readonly #capture: Capture;
  readonly #watch: TerminalDetector | undefined;
  readonly #log: StreamLog | undefined;
  readonly #number = streamNumber();
  /** Its socket is kept corked until the end of this turn. */
  #waits = false;

  constructor(owner: BodyOwner, opening: Opening) {
    const { settings, environment } = owner;
    const keeper = owner.guarded ? environment.keeper : undefined;
    const encoded = isEncoded(opening.contentEncoding);
    const { onFormatError } = environment;
    const capture = createCapture({ maxBytes: keeper ? settings.maxBytes : 0, encoded });
    this.#owner = owner;
    this.#contentLength = opening.contentLength;
    this.#capture = capture;
    this.#watch = encoded
      ? undefined
      : new TerminalDetector(settings.format, opening.contentType, onFormatError);
    if (keeper === undefined) return;
    const opened = openedStream(owner, opening);
    this.#log = keeper.open(opened, capture);
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

  get bytes(): number {
    return this.#capture.bytes;
  }

  get format(): string {
    return this.#watch?.format ?? 'auto';
  }

  get whole(): boolean {
    return this.#contentLength !== undefined && this.bytes >= this.#contentLength;
  }

  take(chunk: unknown, encoding: unknown, now: boolean): 'invalid' | TerminalSignal | undefined {
    const capture = this.#capture;
    const taken = capture.take(chunk, encoding);
    if (taken === undefined) return 'invalid';
    const { kept, text } = taken;
    const { pulse, exchange } = this.#owner;
    // From the first write of a tick on, until Node lets all of its bytes go at once.
    const corked = (exchange.h2 ?? exchange.socket).writableCorked > 0;
    const atMs = pulse.beat(text, corked);
    if (kept !== undefined && this.#log !== undefined) {
      this.#log.append(kept, now ? 'now' : this.#writeTime(this.#log, corked, atMs));
    }
    if (text === undefined || this.#watch === undefined) return undefined;
    const sighting = this.#watch.inspect(text);
    if (this.#watch.fitted) capture.noteAlike();
    return sighting;
  }

  flushLog(): void {
    if (this.#log?.clean === false) this.#log.flush();
    if (this.#waits) this.#letGo();
  }

  /** The journal has a piece before the socket does, whoever takes the socket's cork away, and when. */
  #writeTime(log: StreamLog, corked: boolean, atMs: number): WriteTime {
    if (this.#waits) return 'turn';
    // Corked by somebody else: when that ends nobody knows.
    if (corked) return log.clean ? 'now' : 'tick';
    const { socket, h2, res } = this.#owner.exchange;
    const others = inCompany(this.#number, atMs);
    // A response that stands behind another one on its connection has no socket yet.
    if (!others || !log.ahead || h2 !== undefined || res.socket !== socket) return 'tick';
    socket.cork();
    this.#waits = true;
    // One for each stream, so that what its own socket tells is told in the handler's own async context.
    setImmediate(() => this.flushLog());
    return 'turn';
  }

  /** What waited for the end of the turn goes. */
  #letGo(): void {
    this.#waits = false;
    try {
      this.#owner.exchange.socket.uncork();
    } catch (error) {
      this.#owner.environment.onInternalError('stream', error);
    }
  }

  drop(): void {
    this.#log?.drop();
  }

  endFact(): Fact {
    const reading = this.builder?.read();
    const watch = this.#watch;
    if (reading?.errorFrame ?? watch?.errored) return ERROR_FRAME;
    const finished = reading?.finished ?? watch?.finished ?? true;
    const needed = reading ? reading.finishMarker === 'needed' : watch?.needsFinish === true;
    return finished || !needed
      ? { outcome: 'completed', side: 'server' }
      : { outcome: 'truncated', side: 'upstream', errorType: 'truncated' };
  }

  finishFact(): Fact {
    return this.#watch?.errored === true ? ERROR_FRAME : { outcome: 'completed', side: 'server' };
  }

  isComplete(endedNormally: boolean): boolean {
    const reading = this.builder?.read();
    if (reading === undefined || reading.finished) return true;
    return reading.finishMarker !== 'needed' && (endedNormally || this.whole);
  }
}

/** What the journal has to know to rebuild the message in another process. */
function openedStream(stream: BodyOwner, opening: Opening): OpenedStream {
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
    contentType: opening.contentType,
    contentEncoding: opening.contentEncoding || 'identity',
    events: stream.settings.events,
    startedAtMs: stream.startedAtMs,
    traceparent: stream.environment.trace.traceparent(stream),
  };
}
