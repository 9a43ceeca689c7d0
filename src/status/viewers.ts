/**
 * The viewers of the page: each gets the status once a second as an event. The status is read only while there are viewers; a slow viewer
 * misses states, and none is buffered for it.
 */
import type { Response } from '../stream/response/exchange.ts';

const EVERY_MS = 1_000;
/** How long one response lasts: then the browser requests again, and is authorized again. */
const VIEW_MAX_MS = 5 * 60_000;
/** A viewer that reads nothing for this long is disconnected. */
const SLOW_MAX_MS = 30_000;
/** How long a browser waits before it requests again. */
const RETRY_MS = 2_000;

/** Options of `Viewers`. */
export interface ViewersOptions {
  /** Maximum number of viewers at the same time. */
  readonly maxViewers: number;
  /** The status as JSON, in one line. */
  readonly read: () => string;
  /** True: the instance is closing, and every viewer is disconnected after a last event. */
  readonly isClosing: () => boolean;
  readonly onError: (error: unknown) => void;
}

interface Viewer {
  readonly res: Response;
  readonly sinceMs: number;
  /**
   * Since when the viewer has not read what was sent, or the end of the response; by `performance.now()`. `undefined` while it has read
   * everything.
   */
  waitsSinceMs: number | undefined;
}

/** The viewers of one handler. */
export class Viewers {
  readonly #options: ViewersOptions;
  readonly #viewers = new Set<Viewer>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ViewersOptions) {
    this.#options = options;
  }

  /** False when `maxViewers` is reached. */
  get hasRoom(): boolean {
    return this.#viewers.size < this.#options.maxViewers;
  }

  /** Starts to send events to a response whose head has not been sent. Throws what reading the status throws. */
  add(res: Response): void {
    const first = this.#event();
    const viewer: Viewer = { res, sinceMs: performance.now(), waitsSinceMs: undefined };
    res.statusCode = 200;
    res.setHeader('Content-Type', 'text/event-stream; charset=utf-8');
    // Without it nginx buffers the events.
    res.setHeader('X-Accel-Buffering', 'no');
    const leave = (): void => this.#remove(viewer);
    // A connection that the viewer resets is not an error.
    res.on('close', leave).on('error', leave);
    res.on('drain', () => (viewer.waitsSinceMs = undefined));
    this.#viewers.add(viewer);
    this.#timer ??= setInterval(() => this.#tellAll(), EVERY_MS).unref();
    tell(viewer, `retry: ${RETRY_MS}\n${first}`);
  }

  #tellAll(): void {
    let event: string | undefined;
    try {
      event = this.#event();
    } catch (error) {
      this.#options.onError(error);
    }
    const now = performance.now();
    const isLast = event === undefined || this.#options.isClosing();
    for (const viewer of this.#viewers) {
      const { res, sinceMs, waitsSinceMs } = viewer;
      if (waitsSinceMs !== undefined) {
        if (isLast || now - waitsSinceMs > SLOW_MAX_MS) res.destroy();
        continue;
      }
      if (event !== undefined) tell(viewer, event);
      if (!isLast && now - sinceMs <= VIEW_MAX_MS) continue;
      res.end();
      viewer.waitsSinceMs ??= now;
    }
  }

  #event(): string {
    return `data: ${this.#options.read()}\n\n`;
  }

  #remove(viewer: Viewer): void {
    this.#viewers.delete(viewer);
    if (this.#viewers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function tell(viewer: Viewer, event: string): void {
  if (!viewer.res.write(event)) viewer.waitsSinceMs ??= performance.now();
  // Compression buffers what was written: it must be flushed.
  viewer.res.flush?.();
}
