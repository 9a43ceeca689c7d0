/**
 * The sink for a Prometheus client. It updates its instruments only while a scrape collects them: both clients collect all
 * instruments synchronously and format afterwards, so every scrape is consistent.
 */
import cluster from 'node:cluster';
import type { Gauge, Metric } from '../core/names/metric.ts';
import { METRICS } from '../core/names/index.ts';
import {
  OPEN_METRICS,
  type Instrument,
  type InstrumentConfig,
  type KnownClient,
  type PrometheusRegistry,
  type PrometheusSample,
} from './prometheus-client.ts';
import {
  mergeReadings,
  seriesKey,
  type ReadSeries,
  type SeriesReading,
  type Sink,
} from './metric-registry.ts';
import { sharedState } from '../core/shared-state.ts';

/** One sink per registry: two would overwrite each other's gauges. */
const sinks = sharedState('prometheus-sinks', () => new WeakMap<PrometheusRegistry, Sink>());

/** The sink of a registry, made at the first call. Instruments that are there under our names are used. */
export function createPrometheusSink(client: KnownClient, registry: PrometheusRegistry): Sink {
  const known = sinks.get(registry);
  if (known !== undefined) return known;
  const sink = build(client, registry);
  sinks.set(registry, sink);
  return sink;
}

function build(client: KnownClient, registry: PrometheusRegistry): Sink {
  const reads: ReadSeries[] = [];
  const prepared = new Set<string>();
  const instruments = new Map<Metric, Instrument>();
  const writer = new SeriesWriter(instruments);
  let fresh = false;
  /** Each instrument asks for it; the first of a sweep does the work. */
  const refresh = (): void => {
    if (fresh) return;
    fresh = true;
    queueMicrotask(() => {
      fresh = false;
    });
    writer.write(mergeReadings(reads));
  };

  for (const metric of Object.values(METRICS)) {
    const { instrument, isNew } = instrumentOf(client, registry, metric);
    before(instrument, 'collect', refresh);
    before(instrument, 'reset', () => writer.forget());
    instruments.set(metric, instrument);
    // `zero` resets a series; it must not reset one that another copy has counted.
    if (!isNew) prepared.add(metric.name);
  }

  return {
    attach(read) {
      reads.push(read);
    },
    observe(metric, labels, value, traceId) {
      const instrument = instruments.get(metric);
      if (instrument?.enableExemplars !== true) return instrument?.observe(labels, value);
      const exemplarLabels: Record<string, string> =
        traceId === undefined ? {} : { trace_id: traceId };
      instrument.observe({ labels, value, exemplarLabels });
    },
    prepare(metric, labels) {
      const key = seriesKey(metric, labels);
      if (prepared.has(metric.name) || prepared.has(key)) return;
      prepared.add(key);
      instruments.get(metric)?.zero(labels);
    },
  };
}

/** Most series do not change from scrape to scrape, and each call costs the client a walk over the labels. */
class SeriesWriter {
  readonly #instruments: ReadonlyMap<Metric, Instrument>;
  readonly #written = new Map<string, number>();
  #writeAll = true;

  constructor(instruments: ReadonlyMap<Metric, Instrument>) {
    this.#instruments = instruments;
  }

  /** Sets the instruments to the values of the readings. */
  write(readings: Iterable<SeriesReading>): void {
    for (const reading of readings) this.#writeOne(reading);
    this.#writeAll = false;
  }

  /** The client has forgotten its series: the next `write` writes all of them. */
  forget(): void {
    this.#writeAll = true;
  }

  #writeOne({ key, metric, labels, value }: SeriesReading): void {
    const last = this.#written.get(key);
    if (value === last && !this.#writeAll) return;
    this.#written.set(key, value);
    const instrument = this.#instruments.get(metric);
    if (metric.type === 'counter') {
      // A total less what was passed on; 0 makes the series exist. A source that began anew is no reason to throw.
      instrument?.inc(labels, Math.max(0, value - (last ?? 0)));
    } else if (isAbsent(metric, value)) instrument?.remove(labels);
    else instrument?.set(labels, value);
  }
}

/** Has `hook` called first whenever the client calls this method. */
function before(instrument: Instrument, name: 'collect' | 'reset', hook: () => void): void {
  const method = instrument[name]?.bind(instrument);
  instrument[name] = () => {
    hook();
    method?.();
  };
}

function instrumentOf(
  client: KnownClient,
  registry: PrometheusRegistry,
  metric: Metric,
): { instrument: Instrument; isNew: boolean } {
  const there = registry.getSingleMetric(metric.prometheus);
  // Only another copy of this package registers this name.
  if (there !== undefined) return { instrument: there as Instrument, isNew: false };
  const instrument = create(client, registry, metric);
  if (metric.type !== 'histogram') shareLabels(instrument);
  return { instrument, isNew: true };
}

function create(client: KnownClient, registry: PrometheusRegistry, metric: Metric): Instrument {
  const base = {
    name: metric.prometheus,
    help: metric.help,
    labelNames: Object.keys(metric.labels),
    registers: [registry],
  };
  switch (metric.type) {
    case 'counter':
      return new client.Counter(base);
    case 'gauge':
      return createGauge(client, metric, base);
    case 'histogram': {
      const enableExemplars = registry.contentType === OPEN_METRICS;
      return new client.Histogram({ ...base, buckets: [...metric.buckets], enableExemplars });
    }
  }
}

/**
 * A gauge without labels begins at 0. Where 0 means none or unavailable, it begins without a series: in a process that counts nothing, such
 * as the primary of a cluster, or that has no relay, the 0 would never be replaced.
 */
function createGauge(client: KnownClient, metric: Gauge, base: InstrumentConfig): Instrument {
  const { aggregator } = metric;
  if (aggregator !== 'oldest' && aggregator !== 'min') {
    return new client.Gauge({ ...base, aggregator });
  }
  const instrument = new client.Gauge({ ...base, aggregator: 'min' });
  instrument.remove({});
  return instrument;
}

/**
 * In a cluster, a worker without a timestamp has no series. The client aggregates workers by `min`, which gives the oldest
 * timestamp; with 0 for "none", a single idle worker would hide the timestamps of all others.
 */
function isAbsent({ aggregator }: Gauge, value: number): boolean {
  return aggregator === 'oldest' && value === 0 && isInCluster();
}

function isInCluster(): boolean {
  return cluster.isWorker || Object.keys(cluster.workers ?? {}).length > 0;
}

/**
 * Has the client print this counter or gauge from labels whose text it keeps, by object: about 100 bytes per line, for as
 * long as the series is there. Both clients do so for the labels that an instrument says are shared; of themselves their
 * histograms say so of all but `le`, their counters and gauges of none. Neither output nor `get()` changes.
 */
function shareLabels(instrument: Instrument): void {
  instrument.getForPromString = async () => {
    const family = await instrument.get();
    return { ...family, values: family.values.map(share) };
  };
}

/** A client that prints shared labels ignores `labels`; it stays for readers that know only that. */
function share({ labels, value }: PrometheusSample): PrometheusSample {
  return { labels, sharedLabels: labels, value };
}
