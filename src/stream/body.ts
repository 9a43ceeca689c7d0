/**
 * The body of one stream on its way out: captured, written ahead, watched for the frame that ends it, and read again
 * when its message is due.
 */
import type { OpenedStream, StreamLog } from '../keeper.ts';
import { type Capture, createCapture, isEncoded } from './capture.ts';
import type { StreamEnvironment } from './environment.ts';
import { createFrameWatch, type FrameWatch, type Sighting } from './formats/index.ts';
import { createSettlement, type Fact, type Settlement } from './settlement.ts';
import type { StreamSettings } from './settings.ts';
import type { Exchange } from './exchange.ts';
import type { Identity } from './identity.ts';
import type { Pulse } from './pulse.ts';
import type { StreamView } from '../observer.ts';

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
  readonly settlement: Settlement | undefined;
  /**
   * Takes one body write, before its bytes go anywhere; with `now` it is in the journal when this returns. Says what
   * a client will make of it; `invalid` is what Node itself will refuse.
   */
  take(chunk: unknown, encoding: unknown, now: boolean): 'invalid' | Sighting | undefined;
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
  readonly settlement: Settlement | undefined;
  readonly #owner: BodyOwner;
  readonly #contentLength: number | undefined;
  readonly #capture: Capture;
  readonly #watch: FrameWatch | undefined;
  readonly #log: StreamLog | undefined;

  constructor(owner: BodyOwner, opening: Opening) {
    const { settings, environment } = owner;
    const keeper = owner.guarded ? environment.keeper : undefined;
    const encoded = isEncoded(opening.contentEncoding);
    const onFormatError = (error: unknown): void => environment.onInternalError('format', error);
    const capture = createCapture({ maxBytes: keeper ? settings.maxBytes : 0, encoded });
    this.#owner = owner;
    this.#contentLength = opening.contentLength;
    this.#capture = capture;
    this.#watch = encoded
      ? undefined
      : createFrameWatch(settings.format, opening.contentType, onFormatError);
    if (keeper === undefined) return;
    const opened = openedStream(owner, opening);
    this.#log = keeper.open(opened, () => capture.pieces);
    this.settlement = createSettlement({
      view: owner,
      opened,
      settings,
      capture,
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

  take(chunk: unknown, encoding: unknown, now: boolean): 'invalid' | Sighting | undefined {
    const capture = this.#capture;
    if (!capture.take(chunk, encoding)) return 'invalid';
    const { pulse, exchange } = this.#owner;
    const { kept, text } = capture;
    // From the first write of a tick on, until Node lets all of its bytes go at once.
    const corked = (exchange.h2 ?? exchange.socket).writableCorked > 0;
    pulse.beat(text, corked);
    const log = this.#log;
    // The journal has it before the socket does; see `StreamLog.append`.
    if (kept !== undefined && log !== undefined) log.append(kept, now || (corked && log.clean));
    return text === undefined ? undefined : this.#watch?.see(text);
  }

  flushLog(): void {
    if (this.#log?.clean === false) this.#log.flush();
  }

  drop(): void {
    this.#log?.drop();
  }

  endFact(): Fact {
    const reading = this.settlement?.read();
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
    const reading = this.settlement?.read();
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
