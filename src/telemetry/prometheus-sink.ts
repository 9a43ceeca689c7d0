/**
 * The sink of a Prometheus client. It moves its instruments only while a scrape collects them: both clients
 * collect all instruments in one synchronous sweep and format afterwards, so every scrape is of one moment.
 */
import type { Metric } from './names/metric.ts';
import { METRICS } from './names.ts';
import {
  OPEN_METRICS,
  type Instrument,
  type KnownClient,
  type PrometheusRegistry,
} from './prometheus-client.ts';
import { readTogether, seriesKey } from './series.ts';
import type { Read, Reading, Sink } from './sink.ts';

/** One sink per registry: two would overwrite each other's gauges. */
const sinks = new WeakMap<PrometheusRegistry, Sink>();

/** The sink of a registry, made at the first call. Instruments that are there under our names are used. */
export function createPrometheusSink(client: KnownClient, registry: PrometheusRegistry): Sink {
  const known = sinks.get(registry);
  if (known !== undefined) return known;
  const sink = build(client, registry);
  sinks.set(registry, sink);
  return sink;
}

function build(client: KnownClient, registry: PrometheusRegistry): Sink {
  const reads: Read[] = [];
  const written = new Map<string, number>();
  const prepared = new Set<string>();
  const instruments = new Map<Metric, Instrument>();

  const write = ({ key, metric, labels, value }: Reading): void => {
    const instrument = instruments.get(metric);
    if (metric.type === 'gauge') return instrument?.set(labels, value);
    // A total less what was passed on; 0 makes the series exist. A source that began anew is no reason to throw.
    instrument?.inc(labels, Math.max(0, value - (written.get(key) ?? 0)));
    written.set(key, value);
  };
  let fresh = false;
  /** Each instrument asks for it; the first of a sweep does the work. */
  const refresh = (): void => {
    if (fresh) return;
    fresh = true;
    queueMicrotask(() => {
      fresh = false;
    });
    for (const reading of readTogether(reads)) write(reading);
  };

  for (const metric of Object.values(METRICS)) {
    const { instrument, isNew } = instrumentOf(client, registry, metric);
    const before = instrument.collect;
    instrument.collect = () => {
      before?.call(instrument);
      refresh();
    };
    instruments.set(metric, instrument);
    // `zero` empties a series; what somebody else has counted stays.
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

function instrumentOf(
  client: KnownClient,
  registry: PrometheusRegistry,
  metric: Metric,
): { instrument: Instrument; isNew: boolean } {
  const there = registry.getSingleMetric(metric.prometheus);
  // Whoever registered our name is another copy of this package: the name is ours.
  if (there !== undefined) return { instrument: there as Instrument, isNew: false };
  return { instrument: create(client, registry, metric), isNew: true };
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
      return new client.Gauge({ ...base, aggregator: metric.aggregator });
    case 'histogram': {
      const enableExemplars = registry.contentType === OPEN_METRICS;
      return new client.Histogram({ ...base, buckets: [...metric.buckets], enableExemplars });
    }
  }
}
