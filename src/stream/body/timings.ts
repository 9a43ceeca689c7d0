/**
 * The times of one stream: first chunk, largest gap, waiting for the client; and the two clocks that may end it, one
 * for a handler that says nothing and one for a client that reads nothing. No timer is touched per chunk: a clock that
 * runs out looks at the last chunk and, as a rule, starts again.
 */
import type { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import type { Socket } from 'node:net';
import type { Exchange } from '../response/exchange.ts';
import type { StreamHooks } from '../lifecycle/environment.ts';
import type { StreamSettings } from '../settings.ts';

/** What it has to know of its stream. */
export interface TimingsOwner {
  readonly exchange: Exchange;
  readonly settings: StreamSettings;
  readonly hooks: Pick<StreamHooks, 'idle' | 'stalled'>;
}

/** The clocks of one stream. Made at the request's start, of which the making of the stream is near enough. */
export class StreamTimings {
  /** The socket's own time-out came after the last write. */
  timedOut = false;
  readonly #owner: TimingsOwner;
  readonly #startedAt = performance.now();
  /** Those whose time was taken. */
  #chunks = 0;
  #firstChunkAt = 0;
  #lastChunkAt = 0;
  #maxGapMs = 0;
  #lastDataAt = 0;
  #waitedMs = 0;
  #fullSince: number | undefined;
  /** Where `drain` comes from: the response, or what stands in front of it, such as compression's zlib. */
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
   * A body write; `text` tells a comment from data. `corked`: its bytes wait for those of earlier writes, to go with
   * them, so that its time is theirs. Returns that time, in milliseconds of `performance.now()`.
   */
  recordChunk(text: string | undefined, corked: boolean): number {
    this.timedOut = false;
    const { idleTimeoutMs } = this.#owner.settings;
    // Reading the clock is the most expensive step: once for all chunks of a tick is enough unless silence is measured.
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

  /** While a frame is held the handler need not say anything. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#lastDataAt = performance.now();
  }

  /** The client no longer reads; emits one `drain`, so that a handler that waits for it continues. */
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

  /** The handler has nothing more to say; its client may still have to read. */
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
      // A response that cannot take data is not the handler's silence.
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
   * Changes when the client takes bytes. Over HTTP/2 other streams move the same socket, so it is the write on its way
   * that has to make room for the next; of one larger than a window nobody knows how much is gone, and there the
   * socket's word has to do.
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

/** What a client may be sent of one stream before it has read any of it (RFC 9113, section 6.9.2). */
const H2_WINDOW_BYTES = 65_535;

/**
 * What the operating system took: what is counted as written, less what still waits. Of a large chunk on its way only
 * the handle knows how much is left; Node's own socket time-out looks there too.
 */
function takenBySocket(socket: Socket): number {
  const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
  return socket.bytesWritten - socket.writableLength - (handle?.writeQueueSize ?? 0);
}

/** An SSE comment, which is what heartbeats are made of: every line of it begins with a colon. */
function isComment(text: string): boolean {
  if (text.charCodeAt(0) !== 0x3a) return false;
  return text.split(/\r\n|\r|\n/).every((line) => line === '' || line.startsWith(':'));
}
