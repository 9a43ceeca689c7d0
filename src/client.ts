/**
 * `lastchunk/client`: a fetch for browsers and Node whose response bodies continue after their connection breaks. It requests the rest from
 * the route of `keep.resumeHandler()`. It imports nothing, so that a page can include it alone.
 */

type Fetch = typeof globalThis.fetch;

/** Options of `resumingFetch()`. */
export interface ResumingFetchOptions {
  /** Returns the address of the route of `keep.resumeHandler()` for the id of a stream and an offset in bytes of its body. */
  readonly url: (streamId: string, offset: number) => string | URL;
  /**
   * How many milliseconds a body may be without a connection before it fails; each received byte resets the count. Default 60 000. With 0
   * the rest is never requested.
   */
  readonly giveUpAfterMs?: number;
  /** Sends all requests; default the global `fetch`. The bodies of its responses must be web streams. */
  readonly fetch?: Fetch;
}

type Settings = Required<ResumingFetchOptions>;
type Chunks = ReadableStreamDefaultReader<Uint8Array>;
type Controller = ReadableStreamDefaultController<Uint8Array> | ReadableByteStreamController;

/** The pause before the first try, doubled for each further try; a random part, at most half, is left out. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** A timer with a longer delay fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Returns a `fetch`. If a response has the header `X-Stream-Id` and its connection breaks before the end of its body, the rest is requested
 * from `url`, with the headers, credentials and signal of the first request, and continues in the same body. If there is no rest, or none
 * within `giveUpAfterMs`, the body fails with the error of its connection. A request that gets no response is not sent again. Throws a
 * `TypeError` for a `url` that is not a function, a `RangeError` for a negative `giveUpAfterMs`.
 */
export function resumingFetch(options: ResumingFetchOptions): Fetch {
  const { url, giveUpAfterMs = 60_000, fetch = (...args) => globalThis.fetch(...args) } = options;
  if (typeof url !== 'function') throw new TypeError('resumingFetch: url must be a function');
  if (!(giveUpAfterMs >= 0)) throw new RangeError('resumingFetch: giveUpAfterMs must be 0 or more');
  return async (input, init) => {
    const response = await fetch(input, init);
    const id = response.headers.get('x-stream-id');
    // The response may be a resumed one already. `X-Stream-Offset` is not a number where it does not count the bytes that are read here.
    const offset = Number(response.headers.get('x-stream-offset') ?? 0);
    if (!id || !(offset >= 0) || typeof response.body?.getReader !== 'function') return response;
    const request = input instanceof Request ? input : undefined;
    const body = new ResumingBody({ url, giveUpAfterMs, fetch }, response, id, offset);
    return alike(response, new Response(body.stream(forTheRest(request, init)), response));
  };
}

/** The request for the rest: a GET with the options of the first request, without its body. */
function forTheRest(request: Request | undefined, init: RequestInit = {}): RequestInit {
  const headers = new Headers(init.headers ?? request?.headers);
  headers.delete('content-type');
  headers.delete('content-length');
  const signal = init.signal ?? request?.signal ?? null;
  const { credentials = request?.credentials, body: _, ...rest } = init;
  return { ...rest, ...(credentials && { credentials }), headers, signal, method: 'GET' };
}

/** Copies `url`, `type` and `redirected` of the original to a response and to its clones. */
function alike(original: Response, made: Response): Response {
  const clone = made.clone.bind(made);
  return Object.defineProperties(made, {
    url: { value: original.url },
    type: { value: original.type },
    redirected: { value: original.redirected },
    clone: { value: () => alike(original, clone()) },
  });
}

/** The body of one response, read from one connection after another. */
class ResumingBody {
  readonly #settings: Settings;
  readonly #id: string;
  /** Kept until it is read: undici cancels the body of a response that is garbage collected. */
  readonly #first: Response;
  #offset: number;
  #reader: Chunks | undefined;
  #isOver = false;
  /** Aborts the requests for the rest. */
  #attempt = new AbortController();
  /** Since the last byte. */
  #tries = 0;
  #withoutConnectionMs = 0;

  constructor(settings: Settings, first: Response, id: string, offset: number) {
    this.#settings = settings;
    this.#first = first;
    this.#id = id;
    this.#offset = offset;
  }

  /** A stream of the same kind (of bytes or not), which reads only when it is read. */
  stream(request: RequestInit): ReadableStream<Uint8Array> {
    const { signal } = request;
    let controller: Controller;
    const abort = (): void => {
      controller.error(signal?.reason);
      end();
    };
    const end = (): void => {
      this.#isOver = true;
      signal?.removeEventListener('abort', abort);
      this.#attempt.abort();
    };
    const source = {
      start: (given: Controller) => void (controller = given),
      pull: async () => {
        if (this.#reader === undefined) {
          this.#reader = this.#first.body?.getReader();
          signal?.addEventListener('abort', abort);
        }
        try {
          const chunk = await this.#next(request);
          // Copied: a byte stream transfers the buffer that is enqueued, which other code may still use.
          if (chunk !== undefined) return controller.enqueue(new Uint8Array(chunk));
        } catch (error) {
          end();
          throw error;
        }
        end();
        controller.close();
        if ('byobRequest' in controller) controller.byobRequest?.respond(0);
      },
      cancel: (reason: unknown) => {
        end();
        return (this.#reader ?? this.#first.body)?.cancel(reason).catch(() => undefined);
      },
    };
    if (!isByteStream(this.#first.body))
      return new ReadableStream<Uint8Array>(source, { highWaterMark: 0 });
    // The typings do not say which kind of bytes `enqueue` accepts.
    const bytes: ReadableStream = new ReadableStream({ ...source, type: 'bytes' });
    return bytes;
  }

  /** The next bytes; `undefined` at the end. */
  async #next(request: RequestInit): Promise<Uint8Array | undefined> {
    for (;;) {
      try {
        const read = await this.#reader?.read();
        if (read === undefined || read.done) return undefined;
        if (read.value.length === 0) continue;
        this.#offset += read.value.length;
        this.#tries = this.#withoutConnectionMs = 0;
        return read.value;
      } catch (error) {
        if (this.#isOver || request.signal?.aborted === true) throw error;
        const rest = await this.#rest(request);
        if (rest === undefined) throw error;
        this.#reader = rest;
      }
    }
  }

  /** Requests the rest until a response has it; `undefined`: there is none, or it takes too long. */
  async #rest(request: RequestInit): Promise<Chunks | undefined> {
    const { url, giveUpAfterMs, fetch } = this.#settings;
    const startedMs = performance.now();
    const attempt = (this.#attempt = new AbortController());
    const { signal } = attempt;
    const limitMs = Math.min(giveUpAfterMs - this.#withoutConnectionMs, LONGEST_TIMER_MS);
    const limit = setTimeout(() => attempt.abort(), limitMs);
    let wasUnknown = false;
    try {
      for (;;) {
        const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#tries);
        this.#tries += 1;
        if (await pause((pauseMs * (1 + Math.random())) / 2, signal)) this.#tries = 0;
        if (signal.aborted) return undefined;
        const address = url(this.#id, this.#offset);
        // The request fails while there is no network.
        const response = await fetch(address, { ...request, signal }).catch(() => undefined);
        if (response === undefined) continue;
        if (this.#isRest(response)) return response.body?.getReader();
        response.body?.cancel().catch(() => undefined);
        // A stream that has just begun may still be unknown to the instance that gets the request: one 404 is tried again.
        const mayCome = response.status === 404 ? !wasUnknown : isTemporary(response.status);
        if (!mayCome) return undefined;
        wasUnknown ||= response.status === 404;
      }
    } finally {
      clearTimeout(limit);
      this.#withoutConnectionMs += performance.now() - startedMs;
    }
  }

  /**
   * Whether a response is the rest of this stream from this offset: not a page of the app, the beginning, another stream, or encoded bytes
   * where decoded ones are counted.
   */
  #isRest({ ok, body, headers }: Response): boolean {
    const offset = headers.get('x-stream-offset');
    const isThis = headers.get('x-stream-id') === this.#id && offset === String(this.#offset);
    return ok && body !== null && isThis;
  }
}

/** Whether the request may succeed later: it timed out, there were too many readers, or the server is not ready. */
function isTemporary(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

function isByteStream(body: Response['body']): boolean {
  try {
    body?.getReader({ mode: 'byob' }).releaseLock();
    return true;
  } catch {
    // `getReader` throws for a stream of another kind.
    return false;
  }
}

/** Waits `ms`. Ends early when the signal aborts, and when the browser is online again, which resolves to true. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  // Node has no such event.
  const target: Partial<EventTarget> = globalThis as unknown as Partial<EventTarget>;
  return new Promise((resolve) => {
    const wake = (event?: Event): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      target.removeEventListener?.('online', wake);
      resolve(event?.type === 'online');
    };
    const timer = setTimeout(wake, ms);
    signal.addEventListener('abort', wake);
    target.addEventListener?.('online', wake);
    if (signal.aborted) wake();
  });
}
