/** The composition: options in, every part made once and wired to the others, and the public surface out. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { createKeeper, type GuardKeeper } from './guard/keeper.ts';
import type { Logger } from './logger.ts';
import type { MessageStore } from './message.ts';
import { combine, type Observer } from './observer.ts';
import { bad, record, refuseUnknown } from './options.ts';
import { streamOf } from './stream/attach.ts';
import type { StreamEnvironment } from './stream/environment.ts';
import {
  type AppHandler,
  type ErrorMiddleware,
  errorMiddleware,
  guardMiddleware,
  type Middleware,
  observeMiddleware,
  stopMiddleware,
  type StopOptions,
} from './stream/express.ts';
import { handleOf, type StreamHandle } from './stream/handle.ts';
import { readBody } from './stream/read-body.ts';
import type { AppRequest, GuardOptions, ObserveOptions } from './stream/settings.ts';
import { createRecorder } from './telemetry/recorder.ts';
import type { PrometheusMetrics } from './telemetry/prometheus.ts';

/** Options of `lastchunk()`. */
export interface LastchunkOptions {
  /** Where messages go; without one, streams are only observed. */
  readonly store?: MessageStore;
  readonly journal?: unknown;
  /** What `prometheus()` returned. */
  readonly metrics?: PrometheusMetrics;
  /** pino-shaped; default OpenTelemetry's `diag`. Never given message text. */
  readonly logger?: Logger;
  /** Is told everything that happens; what it throws is counted and goes no further. */
  readonly observer?: Observer;
}

const KEYS = ['store', 'journal', 'metrics', 'logger', 'observer'];

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export interface Lastchunk {
  observe(options?: ObserveOptions): Middleware;
  guard<Req = AppRequest, Res = ServerResponse>(
    options?: GuardOptions<Req>,
    handler?: AppHandler<Req, Res>,
  ): Middleware;
  stream(res: ServerResponse | Http2ServerResponse): StreamHandle | undefined;
  stopHandler<Req = AppRequest>(options: StopOptions<Req>): Middleware;
  errorHandler(): ErrorMiddleware;
  flush(): Promise<void>;
  close(options?: { deadlineMs?: number }): Promise<unknown>;
}

export function lastchunk(options: LastchunkOptions = {}): Lastchunk {
  refuseUnknown('lastchunk()', record('options', options), KEYS);
  const logger = options.logger ?? SILENT;
  const observer = combine(
    [
      createRecorder(options.metrics === undefined ? [] : [options.metrics.sink]),
      ...(options.observer === undefined ? [] : [options.observer]),
    ],
    (error) => logger.error({ err: error }, 'lastchunk: an observer threw'),
  );
  if (options.store !== undefined && typeof options.store.save !== 'function') {
    throw bad('`store` must be a MessageStore, such as postgres()');
  }
  const keeper: GuardKeeper | undefined =
    options.store &&
    createKeeper({ store: options.store, journal: undefined, read: readBody, observer, logger });
  const warned = new Set<string>();
  const environment: StreamEnvironment = {
    observer,
    keeper,
    live: new Map(),
    trace: { traceId: () => null, traceparent: () => null },
    finishing: new WeakMap(),
    onInternalError: (where, error) => observer.onInternalError(where, error),
    warnOnce: (key, message) => {
      if (warned.has(key)) return;
      warned.add(key);
      logger.warn({}, `lastchunk: ${message}`);
    },
  };
  return {
    observe: (given) => observeMiddleware(environment, given),
    guard: (given, handler) => guardMiddleware(environment, given, handler),
    stream: (res) => {
      const stream = streamOf(res);
      return stream === undefined ? undefined : handleOf(stream);
    },
    stopHandler: (given) => stopMiddleware(environment, given),
    errorHandler: errorMiddleware,
    flush: async () => keeper?.flush(),
    close: async () => keeper?.close(1000),
  };
}
