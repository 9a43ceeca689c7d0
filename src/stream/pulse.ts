/**
 * The times of one stream: first chunk, largest gap, waiting for the client; and the two clocks that may end it, one
 * for a handler that says nothing and one for a client that reads nothing. No timer is touched per chunk: a clock that
 * runs out looks at the last beat and, as a rule, starts again.
 */
import type { EventEmitter } from 'node:events';
import type { Exchange } from './exchange.ts';
import type { StreamSettings } from './settings.ts';

export interface Pulse {
  /** Since the request's start. */
  readonly elapsedMs: number;
  /** From the request's start. */
  readonly timeToFirstChunkMs: number | undefined;
  readonly maxGapMs: number | undefined;
  readonly backpressureMs: number;
  /** The socket's own time-out came after the last write. */
  readonly timedOut: boolean;
  /** The response is a stream from now on. */
  start(): void;
  /** A body write; `text` tells a comment from data. */
  beat(text: string | undefined): void;
  /** A write found the response over its high-water mark. */
  full(): void;
  /** The socket's `'timeout'`. */
  socketTimedOut(): void;
  /** While a frame is held the handler need not say anything. */
  pause(): void;
  resume(): void;
  /** Nobody reads any more; one `drain` lets a handler that waits for it go on. */
  letGo(): void;
  /** The handler has nothing more to say; its client may still have to read. */
  ended(): void;
  stop(): void;
}

interface PulseEvents {
  onIdle(): void;
  onStall(): void;
}

/** Starts at the request's start, of which the making of the stream is near enough. */
export function createPulse(
  exchange: Exchange,
  settings: StreamSettings,
  events: PulseEvents,
): Pulse {
  return new Clocks(exchange, settings, events);
}

/** A class, because there is one for each live stream. */
class Clocks implements Pulse {
  maxGapMs: number | undefined;
  timedOut = false;
  readonly #exchange: Exchange;
  readonly #settings: StreamSettings;
  readonly #events: PulseEvents;
  readonly #startedAt = performance.now();
  #firstChunkAt: number | undefined;
  #lastChunkAt = 0;
  #lastDataAt = 0;
  #waitedMs = 0;
  #fullSince: number | undefined;
  /** Where `drain` comes from: the response, or what stands in front of it, such as compression's zlib. */
  #drains: EventEmitter | undefined;
  readonly #onDrain = (): void => this.#drained();
  #paused = false;
  #idleTimer: NodeJS.Timeout | undefined;
  #stallTimer: NodeJS.Timeout | undefined;

  constructor(exchange: Exchange, settings: StreamSettings, events: PulseEvents) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#events = events;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  get timeToFirstChunkMs(): number | undefined {
    return this.#firstChunkAt === undefined ? undefined : this.#firstChunkAt - this.#startedAt;
  }

  get backpressureMs(): number {
    return this.#fullSince === undefined
      ? this.#waitedMs
      : this.#waitedMs + performance.now() - this.#fullSince;
  }

  start(): void {
    this.#lastDataAt = performance.now();
    if (this.#settings.idleTimeoutMs > 0) this.#armIdle(this.#settings.idleTimeoutMs);
  }

  beat(text: string | undefined): void {
    const now = performance.now();
    if (this.#firstChunkAt === undefined) this.#firstChunkAt = now;
    else this.maxGapMs = Math.max(this.maxGapMs ?? 0, now - this.#lastChunkAt);
    this.#lastChunkAt = now;
    this.timedOut = false;
    if (text === undefined || !isComment(text)) this.#lastDataAt = now;
  }

  full(): void {
    if (this.#fullSince !== undefined) return;
    this.#fullSince = performance.now();
    this.#drains ??= this.#exchange.res.on('drain', this.#onDrain);
    if (this.#settings.stallTimeoutMs > 0) this.#armStall(this.#taken());
  }

  socketTimedOut(): void {
    this.timedOut = true;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#lastDataAt = performance.now();
  }

  letGo(): void {
    if (this.#fullSince === undefined) return;
    const emitters = new Set<EventEmitter>([
      this.#exchange.res,
      this.#drains ?? this.#exchange.res,
    ]);
    this.#drained();
    this.#forgetDrain();
    process.nextTick(() => {
      for (const emitter of emitters) emitter.emit('drain');
    });
  }

  ended(): void {
    clearTimeout(this.#idleTimer);
  }

  stop(): void {
    this.ended();
    this.#drained();
    this.#forgetDrain();
  }

  #forgetDrain(): void {
    this.#drains?.removeListener('drain', this.#onDrain);
    this.#drains = undefined;
  }

  #armIdle(afterMs: number): void {
    this.#idleTimer = setTimeout(() => {
      const now = performance.now();
      // A response that cannot take data is not the handler's silence.
      if (this.#paused || this.#fullSince !== undefined) this.#lastDataAt = now;
      const leftMs = this.#lastDataAt + this.#settings.idleTimeoutMs - now;
      if (leftMs > 0) this.#armIdle(leftMs);
      else this.#events.onIdle();
    }, Math.ceil(afterMs));
  }

  #armStall(before: number): void {
    this.#stallTimer = setTimeout(() => {
      if (this.#fullSince === undefined) return;
      const now = this.#taken();
      if (now !== before) this.#armStall(now);
      else this.#events.onStall();
    }, this.#settings.stallTimeoutMs);
  }

  /**
   * Changes when the operating system takes bytes: what is counted as written, less what still waits. Of a large chunk
   * on its way only the handle knows how much is left; Node's own socket time-out looks there too.
   */
  #taken(): number {
    const { socket } = this.#exchange;
    const { _handle: handle } = socket as { _handle?: { writeQueueSize?: number } | null };
    return socket.bytesWritten - socket.writableLength - (handle?.writeQueueSize ?? 0);
  }

  #drained(): void {
    clearTimeout(this.#stallTimer);
    if (this.#fullSince === undefined) return;
    const now = performance.now();
    this.#waitedMs += now - this.#fullSince;
    this.#fullSince = undefined;
    this.#lastDataAt = now;
  }
}

/** An SSE comment, which is what heartbeats are made of: every line of it begins with a colon. */
function isComment(text: string): boolean {
  if (text.charCodeAt(0) !== 0x3a) return false;
  return text.split(/\r\n|\r|\n/).every((line) => line === '' || line.startsWith(':'));
}
