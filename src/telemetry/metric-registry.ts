/**
 * The counters and gauges of one recorder: one number per series, in a map. A labelled series that first appears with its
 * first event hides that event from `rate()`, so a series can be made to exist at 0.
 *
 * A sink reads every series at once when it is scraped. So a scrape is consistent (expected, results and pending are of the same
 * moment), and an event costs an addition instead of a call into each metrics library. Only observations of histograms are
 * passed on immediately.
 */
import type {
  Bounded,
  Counter,
  Gauge,
  Histogram,
  LabelSets,
  LabelsOf,
  Metric,
} from '../core/names/metric.ts';
import type { StreamView } from '../core/observer.ts';

/** One series: a counter's total since the start, or a gauge's value now. */
export interface Series {
  value: number;
}

/** A series as a sink reads it. */
export interface SeriesReading {
  /** `seriesKey(metric, labels)`. */
  readonly key: string;
  readonly metric: Counter | Gauge;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Identifies a series: the metric's name, then its label values in the order of the metric table. */
export function seriesKey(metric: Metric, labels: Readonly<Record<string, string>>): string {
  let key = metric.name;
  for (const label of Object.keys(metric.labels)) key += `\n${labels[label]}`;
  return key;
}

/** All series of one recorder. */
export class MetricRegistry {
  readonly #series = new Map<string, SeriesReading & Series>();

  /** Adds `amount` (default 1) to a series. */
  add<L extends LabelSets>(metric: Counter<L> | Gauge<L>, labels: LabelsOf<L>, amount = 1): void {
    this.#find(metric, labels).value += amount;
  }

  /** Sets a series to a value that is counted elsewhere. */
  set<L extends LabelSets>(
    metric: Counter<L> | Gauge<L>,
    labels: LabelsOf<L>,
    value: number,
  ): void {
    this.#find(metric, labels).value = value;
  }

  /** The series itself, for a caller that changes it often: `value += n` is what `add` does. */
  series<L extends LabelSets>(metric: Counter<L> | Gauge<L>, labels: LabelsOf<L>): Series {
    return this.#find(metric, labels);
  }

  /** Creates at 0 every series of `metric` that has the labels of `fixed`, for each value of its other labels. */
  zero(metric: Counter | Gauge, fixed: Readonly<Record<string, string>>): void {
    for (const labels of labelCombinations(metric, fixed)) this.#find(metric, labels);
  }

  /** Every series with its value now. */
  readings(): Iterable<SeriesReading> {
    return this.#series.values();
  }

  #find(metric: Counter | Gauge, labels: Readonly<Record<string, string>>): Series {
    const key = seriesKey(metric, labels);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { key, metric, labels, value: 0 };
      this.#series.set(key, series);
    }
    return series;
  }
}

/** Keeps the number of values of a label finite, whatever an app does. */
export class CardinalityLimit {
  readonly #known: Set<string>;
  readonly #max: number;

  constructor(bound: Bounded) {
    this.#known = new Set(bound.always);
    this.#max = this.#known.size + bound.atMost;
  }

  /** Returns the value, or `other` once the limit is reached. An admitted value stays admitted: its series must not change. */
  admit(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= this.#max) return 'other';
    this.#known.add(value);
    return value;
  }
}

/** All label sets that contain `fixed`. A bounded label that is not in `fixed` has no known values, so the result is empty. */
function labelCombinations(
  metric: Counter | Gauge,
  fixed: Readonly<Record<string, string>>,
): Record<string, string>[] {
  let found: Record<string, string>[] = [{}];
  for (const [label, values] of Object.entries(metric.labels)) {
    const given = fixed[label];
    const choices = given !== undefined ? [given] : 'atMost' in values ? [] : values;
    found = found.flatMap((labels) => choices.map((value) => ({ ...labels, [label]: value })));
  }
  return found;
}

/** Reads all series of one recorder, synchronously. */
export type ReadSeries = () => Iterable<SeriesReading>;

/** A metrics library. Implemented for a Prometheus client and for OpenTelemetry. */
export interface Sink {
  /**
   * Adds a recorder to all later scrapes. A recorder cannot be removed: the totals of a closed instance remain, because a
   * counter must not decrease.
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
  // 0 means that there is no timestamp.
  oldest: (a, b) => (a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b)),
};
