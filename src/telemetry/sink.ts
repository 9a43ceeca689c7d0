/**
 * Where numbers go. A recorder counts for itself and a sink reads every series at once when it is scraped, so that
 * what belongs together (expected, results, pending) is of one moment in every scrape, and an event costs an
 * addition instead of a call into each metrics library. Only observations of histograms are passed on as they happen.
 */
import type { StreamView } from '../core/observer.ts';
import type { Gauge, Histogram } from '../core/names/metric.ts';
import type { SeriesReading } from './metric-registry.ts';

/** Reads all series of one recorder, synchronously. */
export type ReadSeries = () => Iterable<SeriesReading>;

/** A metrics library. Implemented for a Prometheus client and for OpenTelemetry. */
export interface Sink {
  /**
   * Reads this recorder too at every scrape from now on. There is no detaching: the totals of a closed instance stay,
   * because a counter must not go down.
   */
  attach(read: ReadSeries): void;
  /** Records one observation. `traceId` belongs to a sampled trace and becomes the exemplar. */
  observe(
    metric: Histogram,
    labels: Readonly<Record<string, string>>,
    value: number,
    traceId: string | undefined,
  ): void;
  /** Makes a histogram exist, empty, before its first observation. */
  prepare(metric: Histogram, labels: Readonly<Record<string, string>>): void;
}

/** Passes one observation to every sink; the exemplar is the trace of `stream`. */
export type Observe = (
  metric: Histogram,
  labels: Readonly<Record<string, string>>,
  value: number,
  stream?: StreamView,
) => void;

/**
 * The series of several recorders, one value per series: to Prometheus, two instances of lastchunk in one process are one
 * target. Counters add up, gauges follow their `aggregator`.
 */
export function mergeReadings(reads: readonly ReadSeries[]): Iterable<SeriesReading> {
  const [only] = reads;
  if (reads.length === 1 && only !== undefined) return only();
  const merged = new Map<string, SeriesReading>();
  for (const read of reads) {
    for (const reading of read()) {
      const other = merged.get(reading.key);
      merged.set(reading.key, other === undefined ? reading : merge(other, reading));
    }
  }
  return merged.values();
}

function merge(one: SeriesReading, other: SeriesReading): SeriesReading {
  const how = one.metric.type === 'counter' ? 'sum' : one.metric.aggregator;
  return { ...one, value: MERGE[how](one.value, other.value) };
}

const MERGE: Readonly<Record<'sum' | Gauge['aggregator'], (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  first: (a) => a,
  // 0 means that there is no such time.
  oldest: (a, b) => (a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b)),
};
