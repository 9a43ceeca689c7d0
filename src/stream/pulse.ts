/**
 * The times of one stream: first chunk, largest gap, waiting for the client; and the two clocks that may end it, one
 * for a handler that says nothing and one for a client that reads nothing. No timer is touched per chunk: a clock that
 * runs out looks at the last beat and, as a rule, starts again.
 */
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
  clientLeft(): void;
  stop(): void;
}

interface PulseEvents {
  onIdle(): void;
  onStall(): void;
}

export function createPulse(
  { res, socket }: Exchange,
  settings: StreamSettings,
  on: PulseEvents,
): Pulse {
  const startedAt = performance.now();
  let firstChunkAt: number | undefined;
  let lastChunkAt = startedAt;
  let lastDataAt = startedAt;
  let maxGapMs: number | undefined;
  let backpressureMs = 0;
  let fullSince: number | undefined;
  let listening = false;
  let paused = false;
  let timedOut = false;
  let idleTimer: NodeJS.Timeout | undefined;
  let stallTimer: NodeJS.Timeout | undefined;

  const armIdle = (afterMs: number): void => {
    idleTimer = setTimeout(() => {
      const now = performance.now();
      // A response that cannot take data is not the handler's silence.
      if (paused || fullSince !== undefined) lastDataAt = now;
      const leftMs = lastDataAt + settings.idleTimeoutMs - now;
      if (leftMs > 0) armIdle(leftMs);
      else on.onIdle();
    }, Math.ceil(afterMs));
  };

  /** Bytes that the operating system has taken: what is counted as written, less what still waits. */
  const taken = (): number => socket.bytesWritten - socket.writableLength;

  const armStall = (before: number): void => {
    stallTimer = setTimeout(() => {
      if (fullSince === undefined) return;
      const now = taken();
      if (now > before) armStall(now);
      else on.onStall();
    }, settings.stallTimeoutMs);
  };

  const drained = (): void => {
    clearTimeout(stallTimer);
    if (fullSince === undefined) return;
    const now = performance.now();
    backpressureMs += now - fullSince;
    fullSince = undefined;
    lastDataAt = now;
  };

  return {
    get elapsedMs() {
      return performance.now() - startedAt;
    },
    get timeToFirstChunkMs() {
      return firstChunkAt === undefined ? undefined : firstChunkAt - startedAt;
    },
    get maxGapMs() {
      return maxGapMs;
    },
    get backpressureMs() {
      return fullSince === undefined
        ? backpressureMs
        : backpressureMs + performance.now() - fullSince;
    },
    get timedOut() {
      return timedOut;
    },
    start: () => {
      lastDataAt = performance.now();
      if (settings.idleTimeoutMs > 0) armIdle(settings.idleTimeoutMs);
    },
    beat: (text) => {
      const now = performance.now();
      if (firstChunkAt === undefined) firstChunkAt = now;
      else if (maxGapMs === undefined || now - lastChunkAt > maxGapMs) maxGapMs = now - lastChunkAt;
      lastChunkAt = now;
      timedOut = false;
      if (text === undefined || !isComment(text)) lastDataAt = now;
    },
    full: () => {
      if (fullSince !== undefined) return;
      fullSince = performance.now();
      if (!listening) res.on('drain', drained);
      listening = true;
      if (settings.stallTimeoutMs > 0) armStall(taken());
    },
    socketTimedOut: () => {
      timedOut = true;
    },
    pause: () => {
      paused = true;
    },
    resume: () => {
      paused = false;
      lastDataAt = performance.now();
    },
    clientLeft: () => {
      if (fullSince === undefined) return;
      drained();
      process.nextTick(() => res.emit('drain'));
    },
    stop: () => {
      clearTimeout(idleTimer);
      drained();
      if (listening) res.removeListener('drain', drained);
    },
  };
}

/** An SSE comment, which is what heartbeats are made of: every line of it begins with a colon. */
function isComment(text: string): boolean {
  if (text.charCodeAt(0) !== 0x3a) return false;
  return text.split(/\r\n|\r|\n/).every((line) => line === '' || line.startsWith(':'));
}
