/** Makes the parts of one instance, each once, and tells each of them only what it needs of the others. */
import { errorTypeOf } from './core/errors.ts';
import { MAX_PENDING_BYTES, MessageKeeper } from './saver/index.ts';
import { type JournalOption, openJournal, resolveJournalOptions } from './journal/index.ts';
import type { Journal } from './journal/port.ts';
import { describeError } from './core/error-words.ts';
import { runOutsideStreams } from './core/current-stream.ts';
import { HealthMonitor } from './health/monitor.ts';
import { type Logger, LOG_LEVELS, safeLogger } from './core/logger.ts';
import type { MessageStore } from './core/message.ts';
import { watchRequests } from './noise/request-errors.ts';
import { noiseOf } from './noise/decide.ts';
import { combine, type FullObserver, type Observer } from './core/observer.ts';
import { bad, flag, memoryRange, optionGroup, refuseUnknown, wholeNumber } from './core/options.ts';
import { PoolWatch } from './pool-watch/watch.ts';
import { LiveBytes, MAX_LIVE_BYTES } from './stream/body/live-bytes.ts';
import type { Environment } from './stream/lifecycle/stream.ts';
import { readBody } from './stream/body/content.ts';
import { createDiagnostics } from './telemetry/diagnostics.ts';
import { createDiagLogger, createLogLines, createPoolLines } from './telemetry/log-lines.ts';
import { otelSink } from './telemetry/otel-sink.ts';
import type { PrometheusMetrics } from './telemetry/prometheus.ts';
import { createRecorder } from './telemetry/recorder.ts';
import type { PoolState } from './telemetry/sources.ts';
import { StreamSpans } from './telemetry/spans.ts';

/** Options of `lastchunk()`. */
export interface LastchunkOptions {
  /** Where messages go, such as `postgres()`. Without one, streams are only observed. */
  readonly store?: MessageStore;
  /**
   * The write-ahead log on local disk: its directory, `{ path, name, maxBytes, flushMs, fsyncMs, ephemeral }`, or `false`
   * for none. Default `./.lastchunk`.
   */
  readonly journal?: JournalOption;
  /**
   * Estimated bytes of messages that may wait in memory while neither store nor journal takes them; then the oldest are
   * lost. Default 256 MiB, and no more than a quarter of V8's heap; from 1 MiB to 1 TiB.
   */
  readonly maxPendingBytes?: number;
  /**
   * Estimated bytes of answers on their way that are kept in memory together. Beyond it, those that the journal holds leave
   * memory and are read back from it; without a journal the largest are cut. Default 512 MiB, and no more than a quarter of
   * V8's heap; from 1 MiB to 1 TiB.
   */
  readonly maxLiveBytes?: number;
  /** What `prometheus()` returned. OpenTelemetry's metrics and spans need no option. */
  readonly metrics?: PrometheusMetrics;
  /** pino-shaped; default OpenTelemetry's `diag`. Never given message text. */
  readonly logger?: Logger;
  /** Spans of streams get `gen_ai.conversation.id`; default false, because it is user data. */
  readonly conversationIdInSpans?: boolean;
  /** Is told everything that happens; what it throws is counted and goes no further. */
  readonly observer?: Observer;
}

const KEYS = [
  'store',
  'journal',
  'maxPendingBytes',
  'maxLiveBytes',
  'metrics',
  'logger',
  'conversationIdInSpans',
  'observer',
];

const PENDING_BYTES = memoryRange(MAX_PENDING_BYTES);
const LIVE_BYTES = memoryRange(MAX_LIVE_BYTES);

/** What a store may offer beyond saving; `postgres()` does. */
interface WellConnectedStore extends MessageStore {
  readonly fingerprint?: string | undefined;
  ping?(): Promise<boolean>;
  pool?(): PoolState;
  listen?(listener: {
    onIdConflict(conflict: { readonly requestedId: string; readonly messageId: string }): void;
    onError(error: unknown): void;
  }): void;
}

export interface Wiring {
  readonly environment: Environment;
  readonly keeper: MessageKeeper | undefined;
  /** The app's, made safe. */
  readonly logger: Logger;
  readonly monitor: HealthMonitor;
  readonly pools: PoolWatch;
  /** Shared with health, which is failing from the moment that closing begins. */
  readonly state: { closing: boolean };
}

/** What is made after those who ask for it; each of them asks when something happens, not while it is made. */
interface LateParts {
  /** Set when `close()` begins: health is failing from then on. */
  closing: boolean;
  journal?: Journal | undefined;
  keeper?: MessageKeeper | undefined;
  pools?: PoolWatch | undefined;
}

/**
 * Checks the options of `lastchunk()` and makes everything that they ask for, in this order: what reports (spans, metrics,
 * health, log lines), what watches pools, what keeps messages (journal, keeper), what streams need.
 */
export function wire(options: LastchunkOptions): Wiring {
  const { store, logger, maxPendingBytes, maxLiveBytes, conversationId } = checked(options);
  watchRequests();

  const late: LateParts = { closing: false };
  const live: Environment['live'] = new Map();
  const onCut = (count: number): void => {
    monitor.noteCut();
    logger.error({ count, maxLiveBytes }, 'lastchunk: too many large answers, the largest are cut');
  };
  const captured = new LiveBytes({ maxBytes: maxLiveBytes, streams: live, onCut });
  const pool = store?.pool && (() => store.pool?.());
  const journalState = () => late.journal?.state();
  const spans = new StreamSpans({ conversationId });
  const recorder = createRecorder(sinksOf(options.metrics), {
    journal: journalState,
    pool,
    pools: () => late.pools?.gauges() ?? [],
    captureBytes: () => captured.bytes,
    sampledTraceIdOf: (stream) => spans.sampledTraceIdOf(stream),
  });
  const monitor = new HealthMonitor({
    saver: store && (() => late.keeper?.state() ?? NOTHING_SAVED),
    journal: journalState,
    closing: () => late.closing,
    pending: () => recorder.pending(),
    pool,
    captured: store && captured,
    probe: probeOf(store, spans),
  });
  const reporting = combineAll([spans, recorder, monitor, ...linesOf(logger)], options.observer);
  const pools = new PoolWatch({
    onWatched: (name) => reporting.onPoolWatched(name),
    onFinding: (finding) => reporting.onPoolFinding(finding),
  });
  late.pools = pools;
  const observer = combineAll([reporting, pools.observer], undefined);
  if (store !== undefined) {
    late.journal = journalFor(options.journal, store.fingerprint, observer, logger);
    late.keeper = new MessageKeeper({
      store,
      journal: late.journal,
      maxPendingBytes,
      read: readBody,
      observer,
      logger,
      around: (save, work) => spans.around(save, () => runOutsideStreams(work)),
      aroundReplay: (messages, work) => spans.aroundReplay(messages, () => runOutsideStreams(work)),
    });
    listenTo(store, observer, logger);
    late.keeper.start();
  }
  const parts = { observer, keeper: late.keeper, live, captured };
  const environment = environmentOf(parts, spans, logger);
  return { environment, keeper: late.keeper, logger, monitor, pools, state: late };
}

/** Events in words. */
function linesOf(logger: Logger): readonly Observer[] {
  return [createLogLines(logger), createPoolLines(logger), createDiagnostics()];
}

/** The options whose values are not handed on as they are. */
function checked(options: LastchunkOptions) {
  refuseUnknown('lastchunk()', optionGroup('options', options), KEYS);
  const store: WellConnectedStore | undefined = checkStore(options.store);
  const logger = safeLogger(checkLogger(options.logger) ?? createDiagLogger());
  if (options.observer !== undefined) optionGroup('observer', options.observer);
  return {
    store,
    logger,
    maxPendingBytes: wholeNumber('maxPendingBytes', options.maxPendingBytes, PENDING_BYTES),
    maxLiveBytes: wholeNumber('maxLiveBytes', options.maxLiveBytes, LIVE_BYTES),
    conversationId: flag('conversationIdInSpans', options.conversationIdInSpans, false),
  };
}

/** What the store has to say beside its results. */
function listenTo(store: WellConnectedStore, observer: FullObserver, logger: Logger): void {
  store.listen?.({
    onIdConflict: ({ requestedId, messageId }) => observer.onIdConflict(requestedId, messageId),
    onError: (error) =>
      logger.warn(
        { errorType: errorTypeOf(error), reason: describeError(error) },
        'lastchunk: the store has trouble beside a save',
      ),
  });
}

const NOTHING_SAVED = {
  pending: 0,
  oldestPendingMs: 0,
  circuit: 'closed',
  lastSuccessMs: 0,
} as const;

/** What one observer throws is told to the others, but never to the one that threw: it would throw again. */
function combineAll(own: readonly Observer[], given: Observer | undefined): FullObserver {
  const safe = combine(own, () => {
    // Ours have nobody above them to tell; the recorder counts what it can.
  });
  if (given === undefined) return safe;
  return combine([safe, given], (error) => safe.onInternalError('observer', error));
}

function journalFor(
  option: JournalOption | undefined,
  store: string | undefined,
  observer: FullObserver,
  logger: Logger,
): Journal | undefined {
  const settings = resolveJournalOptions(option);
  if (settings === undefined) return undefined;
  return openJournal({
    settings,
    store,
    onError: (error) => observer.onInternalError('journal', error),
    onWrite: (seconds) => observer.onJournalWrite(seconds),
    onCorrupt: (count) => logger.error({ count }, 'lastchunk: damaged records in the journal'),
    onDegraded: (reason) => {
      if (reason === undefined) logger.info({}, 'lastchunk: the journal works again');
      else logger.error({ reason }, 'lastchunk: the journal cannot be relied on');
    },
    log: (level, line) => logger[level]({}, `lastchunk: ${line}`),
  });
}

function environmentOf(
  parts: Pick<Environment, 'observer' | 'keeper' | 'live' | 'captured'>,
  spans: StreamSpans,
  logger: Logger,
): Environment {
  const { observer } = parts;
  const warned = new Set<string>();
  return {
    ...parts,
    closing: false,
    interrupting: false,
    sweepTimer: undefined,
    trace: {
      traceId: (stream) => spans.traceIdOf(stream),
      traceparent: (stream) => spans.traceparentOf(stream),
    },
    finishing: new WeakMap(),
    pendingOwnSaves: new Set(),
    onInternalError: (where, error) => observer.onInternalError(where, error),
    onFormatError: (error) => observer.onInternalError('format', error),
    sawError: (error, res) => void noiseOf(error, res),
    warnOnce: (key, message) => {
      if (warned.has(key)) return;
      warned.add(key);
      logger.warn({}, `lastchunk: ${message}`);
    },
  };
}

function sinksOf(metrics: PrometheusMetrics | undefined): Parameters<typeof createRecorder>[0] {
  if (metrics === undefined) return [otelSink()];
  // Called from JavaScript too: a registry in this place is the likely mistake.
  if (typeof (metrics as Partial<PrometheusMetrics>).sink !== 'object') {
    throw bad('`metrics` must be what prometheus() of lastchunk/prometheus returned');
  }
  return [metrics.sink, otelSink()];
}

/** A sign of life of the store, for health: a rejection says that there is none. */
function probeOf(
  store: WellConnectedStore | undefined,
  spans: StreamSpans,
): (() => Promise<unknown>) | undefined {
  if (store?.ping === undefined) return undefined;
  return async () => {
    if ((await spans.quietly(() => store.ping?.())) !== true)
      throw new Error('the database does not answer');
  };
}

function checkStore(store: MessageStore | undefined): MessageStore | undefined {
  if (store === undefined) return undefined;
  const { save, close } = store as Partial<MessageStore>;
  if (typeof save === 'function' && typeof close === 'function') return store;
  throw bad('`store` must be a MessageStore with save() and close(), such as postgres()');
}

function checkLogger(logger: Logger | undefined): Logger | undefined {
  if (logger === undefined) return undefined;
  for (const level of LOG_LEVELS) {
    if (typeof (logger as Partial<Logger>)[level] !== 'function') {
      throw bad(`\`logger\` must have the methods ${LOG_LEVELS.join(', ')}, as pino's has`);
    }
  }
  return logger;
}
