/** Creates an instance from its options, and implements its public interface. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import type { CloseSummary, MessageKeeper, ReplaySummary } from './saver/index.ts';
import { createHealthHandler, type Health, type HealthHandlerOptions } from './health/health.ts';
import { holdProcess } from './core/clock.ts';
import type { Logger } from './core/logger.ts';
import type { Classification } from './noise/classify.ts';
import { fieldsOf } from './noise/adapters/line.ts';
import { type FoundNoise, noiseOf } from './noise/decide.ts';
import {
  flag,
  optionGroup,
  refuseUncalled,
  refuseUnknown,
  wholeNumber,
  type WholeNumberRange,
} from './core/options.ts';
import type { WatchedPool, WatchPoolOptions } from './pool-watch/watch.ts';
import { streamOf } from './stream/entry/attach.ts';
import { drainStreams } from './stream/lifecycle/ending.ts';
import {
  type AppHandler,
  type ErrorMiddleware,
  errorMiddleware,
  guardMiddleware,
  type Middleware,
  observeMiddleware,
} from './stream/entry/middleware.ts';
import { stopMiddleware, type StopOptions } from './stream/entry/stop-route.ts';
import { handleOf, type StreamHandle } from './stream/lifecycle/stream-handle.ts';
import { type ResumeOptions, resumeMiddleware } from './stream/resume/resume-route.ts';
import { expectSave, settleExpected, trackSave } from './stream/entry/track.ts';
import type { AppRequest, GuardOptions, ObserveOptions } from './stream/settings.ts';
import { flushTelemetry } from './telemetry/providers.ts';
import { wire } from './compose.ts';
import type { LastchunkOptions } from './options.ts';
import { statusMiddleware, type StatusOptions } from './status/status-route.ts';

export type { LastchunkOptions } from './options.ts';

/** What `replay()` is about. */
export interface ReplayOptions {
  /**
   * True: sends the messages in `refused/` that this store refused, instead of those that wait in the journal. Each is sent once more,
   * alone; one that is refused again stays there. Default false.
   */
  readonly refused?: boolean;
}

/** How long `close()` may take. */
export interface CloseOptions {
  /** Default 10 000 ms, 0 to 600 000. Live streams get half of it to end by themselves. */
  readonly deadlineMs?: number;
}

/** One instance: make one per process. */
export interface Lastchunk extends AsyncDisposable {
  /** Middleware: every streaming response is traced and counted. Saves nothing. */
  observe(options?: ObserveOptions): Middleware;
  /**
   * Middleware in front of an unchanged handler, or a wrapper around `handler`: then its failures are seen first.
   * Works without Express too: `keep.guard(options, handler)(req, res)`. Throws `bad-option`.
   */
  guard<Req = AppRequest, Res = ServerResponse>(
    options?: GuardOptions<Req>,
    handler?: AppHandler<Req, Res>,
  ): Middleware;
  /** The stream of a response, from its guard on; `undefined` where there is none. */
  stream(res: ServerResponse | Http2ServerResponse): StreamHandle | undefined;
  /**
   * A route that stops a stream: `DELETE /streams/:streamId`. Answers 200 with what became of the message, 503 when
   * it could not be kept, 404 for a stream that is unknown or not this caller's.
   */
  stopHandler<Req = AppRequest>(options: StopOptions<Req>): Middleware;
  /**
   * A route that resumes a stream, also one of another instance: `GET /streams/:streamId?offset=N` answers with the body from byte
   * `N` on, then what follows, then the same end. Needs the option `relay`. Throws `bad-option`.
   */
  resumeHandler<Req = AppRequest>(options: ResumeOptions<Req>): Middleware;
  /**
   * For an app with its own save code under `observe()`, to count its saves: if this response is a stream, a message is expected of it.
   * Without a `track()` the message is `missing` after `missingAfterMs`.
   */
  expect(res: ServerResponse | Http2ServerResponse): void;
  /**
   * Expects a message whose save is the promise `save`: `saved` when it fulfils, `lost` when it rejects, `missing` when neither happens in
   * time; a result after that counts as late. Returns `save`. A second promise for one response is a further save of its message. A
   * rejection is counted and logged, and does not end the process of an app that does not await it. Under a guard, and for a response that
   * is not a stream, nothing is counted.
   */
  track<T>(res: ServerResponse | Http2ServerResponse, save: PromiseLike<T>): PromiseLike<T>;
  /**
   * Whether this error is noise, not a failure: it matches a cancellation, and the client of the stream of `res` (without `res`: of the
   * stream that the caller runs in) left, or the stream was stopped, or interrupted by `close()`. The first result for an error and its
   * stream is final, and noise is counted. Never throws.
   */
  classify(error: unknown, res?: ServerResponse | Http2ServerResponse): Classification;
  /**
   * Error middleware, to be placed after the routes: reports the failure of a handler to its stream, then passes the error on. Noise in a
   * response that has begun is not passed on, because its client has left; it is logged at debug.
   */
  errorHandler(): ErrorMiddleware;
  /**
   * Watches a `pg.Pool` of the app: gauges of it, and a warning for each place that holds a client across a stream, for longer
   * than `heldMs`, or loses one. Replaces `connect` of this pool object, whose clients are stand-ins for the pool's own from then
   * on; what it returns puts that back. Watch a pool before it is used. Throws `bad-option`.
   */
  watchPool(pool: WatchedPool, options: WatchPoolOptions): () => void;
  /** The state of saving now. */
  health(): Health;
  /** `health()` over HTTP: 200, or 503 when failing. Shows no message text and no ids. */
  healthHandler(
    options?: HealthHandlerOptions,
  ): (req: IncomingMessage, res: ServerResponse) => void;
  /**
   * A page for operators: save rate, results, live streams, store, journal, pools, last failures and the runbooks; as JSON by
   * `Accept: application/json`. Shows no message text. Throws `bad-option`.
   */
  statusHandler<Req = AppRequest>(options: StatusOptions<Req>): Middleware;
  /** Resolves when every message that is due now has its result. */
  flush(): Promise<void>;
  /**
   * Sends what waits in the journal to the store, now; with `{ refused: true }` what the store refused, once its constraint,
   * trigger or `write()` is mended. Stops when the store is away. Rejects with `bad-option`, and with the disk's error where
   * `refused/` cannot be read or written.
   */
  replay(options?: ReplayOptions): Promise<ReplaySummary>;
  /**
   * Ends live streams, saves or journals everything, closes store and journal. Never rejects; a second call
   * gives the first one's promise.
   */
  close(options?: CloseOptions): Promise<CloseSummary>;
}

/** The range of `deadlineMs` of `close()`, and its default. */
export const CLOSE_DEADLINE_MS: WholeNumberRange = { min: 0, max: 600_000, fallback: 10_000 };

/** The share of that deadline in which live streams may end by themselves. */
export const DRAIN_SHARE = 1 / 2;

/**
 * Makes an instance. Throws `bad-option` for an unknown or impossible option and `journal-unusable` for a journal
 * directory given by hand that cannot be used; a database that does not answer is not an error.
 */
export function lastchunk(options: LastchunkOptions = {}): Lastchunk {
  const { environment, keeper, logger, flushLogger, monitor, pools, status, state } = wire(options);
  let closing: Promise<CloseSummary> | undefined;

  const close = async (deadlineMs: number): Promise<CloseSummary> => {
    state.closing = true;
    const until = performance.now() + deadlineMs;
    const drained = drainStreams(environment, deadlineMs * DRAIN_SHARE);
    const expected = drained.then(() => settleExpected(environment, until - performance.now()));
    const [summary] = await Promise.all([
      keeper?.close(deadlineMs, () => drained) ?? { saved: 0, journaled: 0, lost: 0, refused: 0 },
      expected,
    ]);
    pools.close();
    // Last: what telemetry says of these saves is part of it, and a collector that hangs may cost no message.
    await flushTelemetry(Math.max(0, until - performance.now()));
    environment.closed = true;
    flushLogger();
    return summary;
  };

  const surface: Lastchunk = {
    observe: (given) => observeMiddleware(environment, given),
    guard: (given, handler) => guardMiddleware(environment, given, handler),
    stream: (res) => {
      const stream = streamOf(res);
      return stream === undefined ? undefined : handleOf(stream);
    },
    stopHandler: (given) => stopMiddleware(environment, given),
    resumeHandler: (given) => resumeMiddleware(environment, given),
    expect: (res) => expectSave(environment, res),
    track: (res, save) => trackSave(environment, res, save),
    classify: (error, res) => answerOf(noiseOf(error, res)),
    errorHandler: (...given: readonly unknown[]) => {
      refuseUncalled('keep.errorHandler', given[0], 'keep.errorHandler()');
      return errorMiddleware(swallowNoise(logger));
    },
    watchPool: (pool, given) => pools.watch(pool, given),
    health: (...given: readonly unknown[]) => {
      refuseUncalled('keep.health', given[0], 'keep.healthHandler()');
      return monitor.health();
    },
    healthHandler: (given) => {
      refuseUncalled('keep.healthHandler', given, 'keep.healthHandler()');
      return createHealthHandler(() => monitor.health(), given);
    },
    statusHandler: (given) => statusMiddleware(environment, status, given),
    flush: () => holdProcess(keeper?.flush() ?? Promise.resolve()),
    replay: (given) => holdProcess(replayed(keeper, given)),
    close: (given = {}) => {
      const deadlineMs = wholeNumber('deadlineMs', given.deadlineMs, CLOSE_DEADLINE_MS);
      closing ??= holdProcess(close(deadlineMs));
      return closing;
    },
    [Symbol.asyncDispose]: async () => {
      await surface.close();
    },
  };
  return surface;
}

async function replayed(
  keeper: MessageKeeper | undefined,
  options: ReplayOptions | undefined,
): Promise<ReplaySummary> {
  refuseUnknown('replay()', optionGroup('options', options), ['refused']);
  const isRefused = flag('refused', options?.refused, false);
  const work = isRefused ? keeper?.replayRefused() : keeper?.replay();
  return (await work) ?? { saved: 0, refused: 0, left: 0 };
}

function answerOf(found: FoundNoise | undefined): Classification {
  if (found === undefined) return { noise: false };
  return { noise: true, reason: found.reason, signature: found.signature };
}

/** Logs noise at debug; true if the error is noise, so that it is not passed on. */
function swallowNoise(logger: Logger): (error: unknown, res: object) => boolean {
  return (error, res) => {
    const found = noiseOf(error, res);
    if (found !== undefined) {
      logger.debug(fieldsOf(found), 'lastchunk: an error of a stream whose client left');
    }
    return found !== undefined;
  };
}
