/** What streams do, as numbers. Live streams are counted at each scrape, so that a long answer does not jump at its end. */
import type { Observer, StreamView } from '../core/observer.ts';
import { METRICS } from '../core/names/index.ts';
import type { MetricRegistry, Series } from './metric-registry.ts';
import type { Observe } from './sink.ts';

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

/** What of a live stream is counted already. */
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
