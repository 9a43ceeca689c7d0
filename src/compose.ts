/** Creates the parts of one instance, each once, and connects each only to the parts that it needs. */
import { MessageKeeper, openRelay, RelayedJournal } from './saver/index.ts';
import { type JournalSettings, openJournal, resolveJournalOptions } from './journal/index.ts';
import type { Journal } from './journal/port.ts';
import { runOutsideStreams } from './core/current-stream.ts';
import {
  listenTo,
  nameOf,
  probeOf,
  wantedJournal,
  type WellConnectedStore,
} from './given-store.ts';
import { HealthMonitor } from './health/monitor.ts';
import { tellStart } from './health/start-line.ts';
import { type Logger, RECOVERED_FIELDS } from './core/logger.ts';
import { watchRequests } from './noise/request-errors.ts';
import { noiseOf } from './noise/decide.ts';
import { combine, type FullObserver, type Observer } from './core/observer.ts';
import { bad } from './core/options.ts';
import { checked, type LastchunkOptions } from './options.ts';
import { PoolWatch } from './pool-watch/watch.ts';
import { LiveBytes } from './stream/body/live-bytes.ts';
import type { RelayInstance } from './relay/instance.ts';
import type { RelaySettings } from './relay/settings.ts';
import { stop } from './stream/lifecycle/ending.ts';
import type { Environment } from './stream/lifecycle/stream.ts';
import { readBody } from './stream/body/content.ts';
import { createDiagnostics } from './telemetry/diagnostics.ts';
import { createLines } from './telemetry/log-lines.ts';
import { otelSink } from './telemetry/otel-sink.ts';
import type { PrometheusMetrics } from './telemetry/prometheus.ts';
import { createRecorder } from './telemetry/recorder.ts';
import { StreamSpans } from './telemetry/spans.ts';
import { InstanceStatus } from './status/instance-status.ts';
import { RecentFailures } from './status/failures.ts';

export interface Wiring {
  readonly environment: Environment;
  readonly keeper: MessageKeeper | undefined;
  /** The app's, made safe. */
  readonly logger: Logger;
  /** Says what the default logger has left out. */
  readonly flushLogger: () => void;
  readonly monitor: HealthMonitor;
  readonly pools: PoolWatch;
  readonly status: InstanceStatus;
  /** Shared with health, which is failing from the moment that closing begins. */
  readonly state: { closing: boolean };
}

/** What is made after those who ask for it; each of them asks when something happens, not while it is made. */
interface LateParts {
  /** Set when `close()` begins: health is failing from then on. */
  closing: boolean;
  /** On disk. */
  journal?: Journal | undefined;
  relay?: RelayInstance | undefined;
  keeper?: MessageKeeper | undefined;
  monitor?: HealthMonitor | undefined;
  pools?: PoolWatch | undefined;
}

/**
 * Checks the options of `lastchunk()` and makes everything that they ask for, in this order: what reports (spans, metrics,
 * health, log lines), what watches pools, what keeps messages (journal, keeper), what streams need, what shows all of it.
 */
export function wire(options: LastchunkOptions): Wiring {
  const { store, logger, flushLogger, maxLiveBytes, inSpans, ...given } = checked(options);
  watchRequests();

  const late: LateParts = { closing: false };
  const live: Environment['live'] = new Map();
  const onCut = (count: number): void => tellCut({ count, maxLiveBytes }, logger, monitor);
  const liveBytes = new LiveBytes({ maxBytes: maxLiveBytes, streams: live, onCut });
  const pool = store?.pool && (() => store.pool?.());
  const journalState = () => late.journal?.state();
  const spans = new StreamSpans(inSpans);
  const recorder = createRecorder(sinksOf(options.metrics), {
    journal: journalState,
    store: () => late.monitor?.store(),
    relay: () => late.relay?.report(),
    pool,
    pools: () => late.pools?.gauges() ?? [],
    captureBytes: () => liveBytes.bytes,
    sampledTraceIdOf: (stream) => spans.sampledTraceIdOf(stream),
  });
  const monitor = new HealthMonitor({
    saver: store && (() => late.keeper?.state() ?? NOTHING_SAVED),
    journal: journalState,
    relay: () => late.relay?.report(),
    closing: () => late.closing,
    pending: () => recorder.pending(),
    pool,
    captured: store && liveBytes,
    probe: probeOf(store, spans),
  });
  late.monitor = monitor;
  const failures = new RecentFailures();
  const reporting = combineAll(
    [spans, recorder, monitor, failures, ...createLines(logger), createDiagnostics()],
    options.observer,
  );
  const pools = new PoolWatch({
    onWatched: (name) => reporting.onPoolWatched(name),
    onFinding: (finding) => reporting.onPoolFinding(finding),
  });
  late.pools = pools;
  const observer = combineAll([reporting, pools.observer, tellRelay(late)], undefined);
  const journal = store && resolveJournalOptions(wantedJournal(options.journal, store));
  const told = new WeakSet<object>();
  if (store !== undefined) {
    keepMessages(late, { store, journal, live, ...given }, { observer, logger, spans, told });
  }
  void tellStart({ ...startOf(late, monitor, { store, journal }), logger, told });
  const parts = { observer, keeper: late.keeper, relay: late.relay, live, liveBytes };
  const environment = environmentOf(parts, spans, logger);
  const places = { store: store?.address, journal: journal?.path };
  const status = new InstanceStatus({ monitor, pools, failures, environment, places });
  const shown = { monitor, pools, status };
  return { environment, keeper: late.keeper, logger, flushLogger, ...shown, state: late };
}

/** Makes and starts the journal, the relay and the keeper. */
function keepMessages(
  late: LateParts,
  given: Pick<ReturnType<typeof checked>, 'relay' | 'maxPendingBytes'> & {
    readonly store: WellConnectedStore;
    readonly journal: JournalSettings | undefined;
    readonly live: Environment['live'];
  },
  about: Parameters<typeof relayFor>[3] & { readonly told: WeakSet<object> },
): void {
  const { store, journal, relay, maxPendingBytes, live } = given;
  const { observer, logger, spans } = about;
  late.journal = journal && journalFor(journal, nameOf(store), observer, logger);
  late.relay = relay && relayFor(relay, late, live, about);
  const kept = late.relay ? new RelayedJournal(late.relay, late.journal) : late.journal;
  late.keeper = keeperOf({ store, journal: kept, maxPendingBytes, observer, logger }, spans);
  listenTo(store, about);
  late.keeper.start();
  late.relay?.start();
}

function tellCut(fields: object, logger: Logger, monitor: HealthMonitor): void {
  monitor.noteCut();
  logger.error(fields, 'lastchunk: too many large answers, the largest are cut');
}

/** What the line of the start is made of. */
function startOf(
  late: LateParts,
  monitor: HealthMonitor,
  given: {
    readonly store: WellConnectedStore | undefined;
    readonly journal: JournalSettings | undefined;
  },
): Omit<Parameters<typeof tellStart>[0], 'logger' | 'told'> {
  const { store, journal: settings } = given;
  return {
    journal: () => {
      const state = late.journal?.state();
      return settings && state && { path: settings.path, state };
    },
    hasRelay: late.relay !== undefined,
    store,
    ask: store && monitor.asker(),
    whenReachable: (tell) => monitor.whenReachable(tell),
    isClosing: () => late.closing,
  };
}

/** Saves are made inside their spans, and outside of the stream that caused them. */
function keeperOf(
  parts: Pick<
    ConstructorParameters<typeof MessageKeeper>[0],
    'store' | 'journal' | 'maxPendingBytes' | 'observer' | 'logger'
  >,
  spans: StreamSpans,
): MessageKeeper {
  return new MessageKeeper({
    ...parts,
    read: readBody,
    around: (save, work) => spans.around(save, () => runOutsideStreams(work)),
    aroundReplay: (messages, work) => spans.aroundReplay(messages, () => runOutsideStreams(work)),
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
    // An error of our own observers is not passed on: there is no other observer to report it to.
  });
  if (given === undefined) return safe;
  return combine([safe, given], (error) => safe.onInternalError('observer', error));
}

function journalFor(
  settings: JournalSettings,
  store: string,
  observer: FullObserver,
  logger: Logger,
): Journal {
  const { path } = settings;
  return openJournal({
    settings,
    store,
    onError: (error) => observer.onInternalError('journal', error),
    onWrite: (seconds) => observer.onJournalWrite(seconds),
    onCorrupt: (count) => logger.error({ count }, 'lastchunk: damaged records in the journal'),
    onDegraded: (reason) => {
      const about = 'journal';
      if (reason === undefined)
        logger.info({ about, ...RECOVERED_FIELDS }, 'lastchunk: the journal works again');
      else {
        const mend = `\`npx lastchunk doctor --journal ${path}\` says what to do`;
        logger.error(
          { about, reason, path },
          `lastchunk: the journal cannot be relied on; ${mend}`,
        );
      }
    },
    log: (level, line) => logger[level]({}, `lastchunk: ${line}`),
  });
}

/** The relay of an instance: what it claims goes to the keeper, what it is asked to stop is among `live`. */
function relayFor(
  settings: RelaySettings,
  late: LateParts,
  live: Environment['live'],
  about: { readonly logger: Logger; readonly spans: StreamSpans; readonly observer: FullObserver },
): RelayInstance {
  const { logger, spans, observer } = about;
  return openRelay(settings, {
    logger,
    observer,
    quietly: (work) => spans.quietly(() => runOutsideStreams(work)),
    adopt: (entry) => late.keeper?.adopt(entry),
    stop: (id) => {
      const stream = live.get(id);
      if (stream !== undefined) stop(stream, 'stopped by the client', 'client');
    },
  });
}

/** A message that came to the store by way of the journal need not be finished by another instance. */
function tellRelay(late: LateParts): Observer {
  return {
    onReplayed: (_result, { streamId }) => late.relay?.settle(streamId),
    onRecovered: (_result, { streamId }) => late.relay?.settle(streamId),
  };
}

function environmentOf(
  parts: Pick<Environment, 'observer' | 'keeper' | 'relay' | 'live' | 'liveBytes'>,
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
    closed: false,
    trace: {
      traceId: (stream) => spans.traceIdOf(stream),
      traceparent: (stream) => spans.traceparentOf(stream),
      handle: (stream, work) => spans.handle(stream, work),
      leave: (stream) => spans.leave(stream),
      resume: (stream) => spans.resume(stream),
    },
    finishing: new WeakMap(),
    pendingOwnSaves: new Set(),
    onInternalError: (where, error) => observer.onInternalError(where, error),
    onFormatError: (error) => observer.onInternalError('format', error),
    sawError: (error, res) => void noiseOf(error, res),
    warnOnce: (key, message) => {
      if (!warned.has(key)) logger.warn({}, `lastchunk: ${message}`);
      warned.add(key);
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
