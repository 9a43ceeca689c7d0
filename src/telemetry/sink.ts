/**
 * Where numbers go. A recorder counts for itself and a sink reads everything in one go at the scrape, so that
 * what belongs together (expected, results, pending) is of one moment in every scrape, and an event costs an
 * addition instead of a call into each metrics library. Only distributions are handed over as they happen.
 */
import type { StreamView } from '../core/observer.ts';
import type { Counter, Gauge, Histogram } from '../core/names/metric.ts';

/** The value of one series now. Counters are totals since the start, not differences. */
export interface Reading {
  /** `seriesKey(metric, labels)`. */
  readonly key: string;
  readonly metric: Counter | Gauge;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All series of one recorder, synchronously. */
export type Read = () => Iterable<Reading>;

/** A metrics library. */
export interface Sink {
  /**
   * From now on every scrape reads these numbers too. For good: the totals of a closed instance stay, because a
   * counter must not go down.
   */
  attach(read: Read): void;
  /** One observation. `traceId` is of a sampled trace, for an exemplar. */
  observe(
    metric: Histogram,
    labels: Readonly<Record<string, string>>,
    value: number,
    traceId: string | undefined,
  ): void;
  /** Makes a distribution exist, empty, before its first observation. */
  prepare(metric: Histogram, labels: Readonly<Record<string, string>>): void;
}

/** One observation for every sink; the stream is where the exemplar comes from. */
export type Observe = (
  metric: Histogram,
  labels: Readonly<Record<string, string>>,
  value: number,
  stream?: StreamView,
) => void;
