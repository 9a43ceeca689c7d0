/**
 * Turns the events of the observer into metrics. Each `lastchunk()` has one recorder, which every sink reads. A recorder itself
 * never throws.
 */
import type { Observer, PoolFinding } from '../core/observer.ts';
import { ROUTE } from '../core/names/labels.ts';
import type { Counter, Gauge, Histogram } from '../core/names/metric.ts';
import { METRICS } from '../core/names/index.ts';
import {
  CardinalityLimit,
  MetricRegistry,
  type Observe,
  type ReadSeries,
  type Sink,
} from './metric-registry.ts';
import { readSources, type RecorderSources } from './sources.ts';
import { createSaveMetrics, createStreamMetrics, type SavesInFlight } from './stream-metrics.ts';

/** Metrics without a label that an app chooses: their series exist at 0 from the start. */
const FIXED: readonly Counter[] = [
  METRICS.holds,
  METRICS.finishRefused,
  METRICS.savesRevised,
  METRICS.savesLate,
  METRICS.saveAttempts,
  METRICS.idConflicts,
  METRICS.journalReplayed,
  METRICS.journalRecovered,
  METRICS.journalCorrupt,
  METRICS.journalExpired,
  METRICS.takeovers,
  METRICS.remoteStops,
  METRICS.noise,
  METRICS.internalErrors,
];

/** Metrics whose series exist at 0 as soon as the route is known. */
const PER_ROUTE: readonly (Counter | Gauge)[] = [
  METRICS.streamsStarted,
  METRICS.streamsEnded,
  METRICS.streamsActive,
  METRICS.chunks,
  METRICS.streamBytes,
  METRICS.savesExpected,
  METRICS.saves,
  METRICS.savesPending,
  METRICS.savesSkipped,
  METRICS.unrecognised,
  METRICS.messagesUnnamed,
  METRICS.textUnknown,
  METRICS.capturesCut,
];

const HISTOGRAMS_PER_ROUTE: readonly Histogram[] = [
  METRICS.timeToFirstChunk,
  METRICS.streamDuration,
  METRICS.chunkGap,
  METRICS.saveDuration,
];

/** The counter of each kind of pool finding. */
const POOL_FINDINGS = {
  'across-stream': METRICS.poolHeldAcrossStreams,
  long: METRICS.poolHeldLong,
  leaked: METRICS.poolLeaked,
} as const satisfies Record<PoolFinding['kind'], Counter>;

/**
 * Makes an observer that counts for every sink, and reads `sources` when one of them is scraped. `pending()` are the facts
 * behind the gauges of pending saves, which health reports too.
 */
export function createRecorder(
  sinks: readonly Sink[],
  sources: RecorderSources = {},
): Observer & { pending(): SavesInFlight } {
  const registry = new MetricRegistry();
  const routeOf = createRouteLabels(registry, sinks);
  const observe: Observe = (metric, labels, value, stream) => {
    const traceId = stream === undefined ? undefined : sources.sampledTraceIdOf?.(stream);
    for (const sink of sinks) sink.observe(metric, labels, value, traceId);
  };
  const { countWritten, ...streams } = createStreamMetrics(registry, routeOf, observe);
  const saves = createSaveMetrics(registry, routeOf, observe);
  const read: ReadSeries = () => {
    countWritten();
    registry.set(METRICS.saveOldestPending, {}, (saves.pending().oldestMs ?? 0) / 1000);
    readSourcesSafely(registry, sources);
    return registry.readings();
  };

  const zeroPool = (pool: string): void => {
    for (const metric of Object.values(POOL_FINDINGS)) registry.zero(metric, { pool });
  };

  for (const metric of FIXED) registry.zero(metric, {});
  zeroPool('lastchunk');
  registry.set(METRICS.streamsFinishing, {}, 0);
  for (const sink of sinks) {
    sink.prepare(METRICS.holdDuration, {});
    sink.prepare(METRICS.journalWrite, {});
    sink.attach(read);
  }
  return {
    ...streams,
    ...saves,
    onRoute: (route) => void routeOf(route),
    onRelayFlush: (duration, bytes) => {
      observe(METRICS.relayFlush, {}, duration);
      registry.add(METRICS.relayBytes, {}, bytes);
    },
    onTakeover: (result) => registry.add(METRICS.takeovers, { result }),
    onResume: (route, source, result) => {
      // Not a stream: the other series of `unmatched` must not be created.
      const label = route === '' ? 'unmatched' : routeOf(route);
      registry.add(METRICS.resumes, { route: label, source, result });
    },
    onRemoteStop: (result) => registry.add(METRICS.remoteStops, { result }),
    onNoise: (_stream, { reason }) => registry.add(METRICS.noise, { reason }),
    onPoolWatched: zeroPool,
    onPoolFinding: ({ pool, kind }) => registry.add(POOL_FINDINGS[kind], { pool }),
    onInternalError: (where) => registry.add(METRICS.internalErrors, { where }),
  };
}

/** Returns the label of a route, bounded in number. At the first call with a route, its series begin at 0; before, there are none of it. */
function createRouteLabels(
  registry: MetricRegistry,
  sinks: readonly Sink[],
): (route: string) => string {
  const limit = new CardinalityLimit(ROUTE);
  const begun = new Set<string>();
  const labelOf = (pattern: string): string => {
    const route = limit.admit(pattern === '' ? 'unmatched' : pattern);
    if (begun.has(route)) return route;
    begun.add(route);
    for (const metric of PER_ROUTE) registry.zero(metric, { route });
    for (const metric of HISTOGRAMS_PER_ROUTE) {
      for (const sink of sinks) sink.prepare(metric, { route });
    }
    return route;
  };
  return labelOf;
}

/** A source that throws must not fail the scrape of all other metrics, the app's own included. */
function readSourcesSafely(registry: MetricRegistry, sources: RecorderSources): void {
  try {
    readSources(registry, sources);
  } catch {
    registry.add(METRICS.internalErrors, { where: 'observer' });
  }
}
