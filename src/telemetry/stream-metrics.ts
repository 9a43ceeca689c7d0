/**
 * Metrics of streams and their saves. Live streams are counted at each scrape, so that the counters of a long answer do not jump
 * at its end. `expected` and `pending` change when a message becomes due, results when a save has one. Alerts compare the two
 * (`expected - saves - pending = 0`), so neither is computed from the other.
 */
import { epochOf, systemClock } from '../core/clock.ts';
import type { Observer, SaveReport, StreamView } from '../core/observer.ts';
import { FORMATS, STORE_ERRORS } from '../core/names/labels.ts';
import { METRICS } from '../core/names/index.ts';
import type { MetricRegistry, Observe, Series } from './metric-registry.ts';

/** The callbacks of streams; `countWritten` counts what live streams have written, and is called at every scrape. */
export function createStreamMetrics(
  registry: MetricRegistry,
  routeOf: (route: string) => string,
  observe: Observe,
): Observer & { readonly countWritten: () => void } {
  const live = new LiveStreams(registry);
  return {
    countWritten: () => live.countWritten(),
    onStart(stream) {
      const route = routeOf(stream.route);
      registry.add(METRICS.streamsStarted, { route });
      live.add(stream, route);
    },
    onFirstChunk(stream, ms) {
      observe(METRICS.timeToFirstChunk, { route: routeOf(stream.route) }, ms / 1000, stream);
    },
    onHold(stream, released, ms) {
      registry.add(METRICS.holds, { released });
      observe(METRICS.holdDuration, {}, ms / 1000, stream);
    },
    onFinishing(_stream, begins) {
      registry.add(METRICS.streamsFinishing, {}, begins ? 1 : -1);
    },
    onUnrecognised({ route }) {
      registry.add(METRICS.unrecognised, { route: routeOf(route) });
    },
    onFinishRefused(_stream, reason) {
      registry.add(METRICS.finishRefused, { reason });
    },
    onEnd({ stream, outcome, durationMs, maxChunkGapMs }) {
      const route = live.remove(stream) ?? routeOf(stream.route);
      const guarded = stream.guarded ? 'true' : 'false';
      registry.add(METRICS.streamsEnded, { route, outcome, guarded });
      observe(METRICS.streamDuration, { route }, durationMs / 1000, stream);
      if (maxChunkGapMs === undefined) return;
      observe(METRICS.chunkGap, { route }, maxChunkGapMs / 1000, stream);
    },
  };
}

/** The series that a route's live streams write to. */
interface RouteSeries {
  readonly chunks: Series;
  readonly bytes: Series;
}

/** The part of a live stream that has already been counted. */
interface Counted {
  readonly route: string;
  readonly series: RouteSeries;
  chunks: number;
  bytes: number;
}

class LiveStreams {
  readonly #registry: MetricRegistry;
  readonly #streams = new Map<StreamView, Counted>();
  // Looked up once per route, not for each stream at each scrape.
  readonly #routes = new Map<string, RouteSeries>();

  constructor(registry: MetricRegistry) {
    this.#registry = registry;
  }

  add(stream: StreamView, route: string): void {
    this.#streams.set(stream, { route, series: this.#seriesOf(route), chunks: 0, bytes: 0 });
    this.#registry.add(METRICS.streamsActive, { route });
  }

  /** Counts the rest, and returns the route that the stream was added with. */
  remove(stream: StreamView): string | undefined {
    const counted = this.#streams.get(stream);
    if (counted === undefined) return undefined;
    countNew(stream, counted);
    this.#streams.delete(stream);
    this.#registry.add(METRICS.streamsActive, { route: counted.route }, -1);
    return counted.route;
  }

  /** Counts what every live stream has written since the last time. */
  countWritten(): void {
    for (const [stream, counted] of this.#streams) countNew(stream, counted);
  }

  #seriesOf(route: string): RouteSeries {
    let series = this.#routes.get(route);
    if (series === undefined) {
      const chunks = this.#registry.series(METRICS.chunks, { route });
      series = { chunks, bytes: this.#registry.series(METRICS.streamBytes, { route }) };
      this.#routes.set(route, series);
    }
    return series;
  }
}

function countNew({ chunks, bytes }: StreamView, counted: Counted): void {
  counted.series.chunks.value += chunks - counted.chunks;
  counted.series.bytes.value += bytes - counted.bytes;
  counted.chunks = chunks;
  counted.bytes = bytes;
}

/** Saves without a result, and when the oldest of them became due (epoch milliseconds). */
export interface SavesInFlight {
  readonly count: number;
  readonly oldestMs: number | undefined;
}

/** The callbacks of saves. */
export function createSaveMetrics(
  registry: MetricRegistry,
  routeOf: (route: string) => string,
  observe: Observe,
): Observer & { pending(): SavesInFlight } {
  // In the order in which they became due: the first is the oldest.
  const due = new Map<string, { readonly route: string; readonly dueMs: number }>();

  const first = (stream: StreamView, { route: named, result, durationMs }: SaveReport): void => {
    const expected = due.get(stream.id);
    const route = expected?.route ?? routeOf(named);
    registry.add(METRICS.saves, { route, result });
    if (due.delete(stream.id)) registry.add(METRICS.savesPending, { route }, -1);
    if (result === 'saved') observe(METRICS.saveDuration, { route }, durationMs / 1000, stream);
  };

  return {
    pending: () => {
      const [oldest] = due.values();
      return { count: due.size, oldestMs: oldest && epochOf(systemClock, oldest.dueMs) };
    },
    onDue(stream) {
      const route = routeOf(stream.route);
      registry.add(METRICS.savesExpected, { route });
      registry.add(METRICS.savesPending, { route });
      due.set(stream.id, { route, dueMs: performance.now() });
    },
    onSkip(stream, reason) {
      registry.add(METRICS.savesSkipped, { route: routeOf(stream.route), reason });
    },
    onMessage(stream, { unknownText, cut }) {
      const route = routeOf(stream.route);
      if (unknownText) registry.add(METRICS.textUnknown, { route, format: formatOf(stream) });
      if (cut) registry.add(METRICS.capturesCut, { route });
    },
    onSave(report) {
      const { stream, kind, result } = report;
      // A message of another process never became due here; `onRecovered` counts it.
      if (stream === undefined) return;
      if (kind === 'first') first(stream, report);
      else registry.add(kind === 'late' ? METRICS.savesLate : METRICS.savesRevised, { result });
    },
    onAttempt(errorType) {
      registry.add(METRICS.saveAttempts, { error_type: attemptLabel(errorType) });
    },
    onUnnamed: (stream) => registry.add(METRICS.messagesUnnamed, { route: routeOf(stream.route) }),
    onIdConflict: () => registry.add(METRICS.idConflicts, {}),
    onReplayed: (result) => registry.add(METRICS.journalReplayed, { result }),
    onRecovered: (result) => registry.add(METRICS.journalRecovered, { result }),
    onJournalWrite: (seconds) => observe(METRICS.journalWrite, {}, seconds),
  };
}

function formatOf(stream: StreamView): (typeof FORMATS)[number] {
  return FORMATS.find((format) => format === stream.format) ?? 'custom';
}

function attemptLabel(errorType: string | undefined): string {
  if (errorType === undefined) return 'none';
  return STORE_ERRORS.find((known) => known === errorType) ?? 'other';
}
