/**
 * The times of one stream: first chunk, largest gap, backpressure; and the two timers that may end it, one for a handler that
 * writes nothing and one for a client that reads nothing. No timer is reset per chunk: a timer that fires checks the time of the
 * last chunk and usually starts again.
 */
import type { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import type { Exchange } from '../response/exchange.ts';
import type { StreamHooks } from '../lifecycle/environment.ts';
import type { StreamSettings } from '../settings.ts';

/** The fields of its stream that the timings read. */
export interface TimingsOwner {
  readonly exchange: Exchange;
  readonly settings: StreamSettings;
  readonly hooks: Pick<StreamHooks, 'idle' | 'stalled'>;
}

/** The clocks of one stream. They start when the stream is created, which is taken for the start of the request. */
export class StreamTimings {
  /** The socket's own time-out came after the last write. */
  timedOut = false;
  readonly #owner: TimingsOwner;
  readonly #startedAt = performance.now();
  /** Chunks whose time was recorded. */
  #chunks = 0;
  #firstChunkAt = 0;
  #lastChunkAt = 0;
  #maxGapMs = 0;
  #lastDataAt = 0;
  #waitedMs = 0;
  #fullSince: number | undefined;
  /** The emitter of `drain`: the response, or what is in front of it, such as the zlib stream of compression. */
  #drains: EventEmitter | undefined;
  #onDrain: (() => void) | undefined;
  #paused = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #stallTimer: NodeJS.Timeout | undefined;

  constructor(owner: TimingsOwner) {
    this.#owner = owner;
  }

  /** Since the request's start. */
  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  /** From the request's start. */
  get timeToFirstChunkMs(): number | undefined {
    return this.#chunks === 0 ? undefined : this.#firstChunkAt - this.#startedAt;
  }

  get maxGapMs(): number | undefined {
    return this.#chunks < 2 ? undefined : this.#maxGapMs;
  }

  get backpressureMs(): number {
    return this.#fullSince === undefined
      ? this.#waitedMs
      : this.#waitedMs + performance.now() - this.#fullSince;
  }

  /** The response is a stream from now on. */
  start(): void {
    this.#lastDataAt = performance.now();
    if (this.#owner.settings.idleTimeoutMs > 0) this.#armIdle(this.#owner.settings.idleTimeoutMs);
  }

  /**
   * Records a body write; `text` shows whether it is a comment or data. `corked`: its bytes are sent together with those of earlier
   * writes, so that their time counts. Returns the time, in milliseconds of `performance.now()`.
   */
  recordChunk(text: string | undefined, corked: boolean): number {
    this.timedOut = false;
    const { idleTimeoutMs } = this.#owner.settings;
    // Reading the clock is the most expensive step: once per tick is enough, unless there is an idle time-out.
    if (corked && idleTimeoutMs === 0 && this.#chunks > 1) return this.#lastChunkAt;
    const now = performance.now();
    if (this.#chunks === 0) this.#firstChunkAt = now;
    else this.#maxGapMs = Math.max(this.#maxGapMs, now - this.#lastChunkAt);
    this.#chunks += 1;
    this.#lastChunkAt = now;
    if (idleTimeoutMs > 0 && (text === undefined || !isComment(text))) this.#lastDataAt = now;
    return now;
  }

  /** A write found the response over its high-water mark. */
  beginBackpressure(): void {
    if (this.#fullSince !== undefined) return;
    this.#fullSince = performance.now();
    this.#onDrain ??= () => this.#endBackpressure();
    this.#drains ??= this.#owner.exchange.res.on('drain', this.#onDrain);
    if (this.#owner.settings.stallTimeoutMs > 0) this.#armStall(this.#taken());
  }

  /** The socket's `'timeout'`. */
  socketTimedOut(): void {
    this.timedOut = true;
  }

  /** A frame is held: until `resume`, the idle time-out does not apply. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#lastDataAt = performance.now();
  }

  /** The client no longer reads: emits one `drain`, so that a handler that waits for it continues. */
  emitDrain(): void {
    if (this.#fullSince === undefined) return;
    const emitters = new Set<EventEmitter>([
      this.#owner.exchange.res,
      this.#drains ?? this.#owner.exchange.res,
    ]);
    this.#endBackpressure();
    this.#forgetDrain();
    process.nextTick(() => {
      for (const emitter of emitters) emitter.emit('drain');
    });
  }

  /** The handler has ended; its client may still be reading. */
  handlerEnded(): void {
    clearTimeout(this.#idleTimer);
  }

  stop(): void {
    this.handlerEnded();
    this.#endBackpressure();
    this.#forgetDrain();
  }

  #forgetDrain(): void {
    if (this.#onDrain !== undefined) this.#drains?.removeListener('drain', this.#onDrain);
    this.#drains = undefined;
  }

  #armIdle(afterMs: number): void {
    this.#idleTimer = setTimeout(() => {
      const now = performance.now();
      // While the response cannot take data, the handler is not idle.
      if (this.#paused || this.#fullSince !== undefined) this.#lastDataAt = now;
      const leftMs = this.#lastDataAt + this.#owner.settings.idleTimeoutMs - now;
      if (leftMs > 0) this.#armIdle(leftMs);
      else this.#owner.hooks.idle();
    }, Math.ceil(afterMs));
  }

  #armStall(before: number): void {
    this.#stallTimer = setTimeout(() => {
      if (this.#fullSince === undefined) return;
      const now = this.#taken();
      if (now !== before) this.#armStall(now);
      else this.#owner.hooks.stalled();
    }, this.#owner.settings.stallTimeoutMs);
  }

  /**
   * A number that changes when the client takes bytes. Over HTTP/2 other streams use the same socket, so the pending write of this
   * stream is measured; for a pending write larger than a window it is unknown how much was sent, and the socket is measured
   * instead.
   */
  #taken(): number {
    const { h2, socket } = this.#owner.exchange;
    if (h2 === undefined) return takenBySocket(socket);
    const onItsWay = h2.bufferSize - h2.writableLength;
    return onItsWay > H2_WINDOW_BYTES ? takenBySocket(socket) : -onItsWay;
  }

  #endBackpressure(): void {
    clearTimeout(this.#stallTimer);
    if (this.#fullSince === undefined) return;
    const now = performance.now();
    this.#waitedMs += now - this.#fullSince;
    this.#fullSince = undefined;
    this.#lastDataAt = now;
  }
}

/** Bytes of one stream that may be sent before the client has read any of them (RFC 9113, section 6.9.2). */
const H2_WINDOW_BYTES = 65_535;

/**
 * The bytes that the operating system took: those counted as written, less those that still wait. For a large pending chunk only
 * the handle has the number of bytes that are left; Node's own socket time-out reads it too.
 */
function takenBySocket(socket: Socket): number {
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return socket.bytesWritten - socket.writableLength - (handle?.writeQueueSize ?? 0);
}

/** An SSE comment, as heartbeats are: every line of it begins with a colon. */
function isComment(text: string): boolean {
  if (text.charCodeAt(0) !== 0x3a) return false;
  return text.split(/\r\n|\r|\n/).every((line) => line === '' || line.startsWith(':'));
}
