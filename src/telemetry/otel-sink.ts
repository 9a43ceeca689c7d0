/**
 * The sink for OpenTelemetry. The API has proxy tracers, but no proxy meters: an instrument that is created before the SDK starts
 * never records. So the instruments are created again whenever the provider changes, and they report totals, which are correct
 * no matter when the SDK starts.
 */
import {
  metrics,
  type Attributes,
  type Histogram as OtelHistogram,
  type Meter,
  type MeterProvider,
  type Observable,
} from '@opentelemetry/api';
import { VERSION } from '../core/version.ts';
import type { Counter, Gauge } from '../core/names/metric.ts';
import { type Label, LABEL_ATTRIBUTES, METRICS, SCHEMA_URL } from '../core/names/index.ts';
import { mergeReadings, type ReadSeries, type Sink } from './metric-registry.ts';
import { sharedState } from '../core/shared-state.ts';

/**
 * The sink of this process, always the same: OpenTelemetry has one provider, and two sinks that observe one series would
 * overwrite each other. Without an SDK it costs a comparison.
 */
export function otelSink(): Sink {
  return sharedState('otel-sink', createOtelSink);
}

function createOtelSink(): Sink {
  const reads: ReadSeries[] = [];
  let provider: MeterProvider | undefined;
  let histograms = new Map<string, OtelHistogram>();
  const follow = (): void => {
    const now = metrics.getMeterProvider();
    if (now === provider) return;
    provider = now;
    const meter = now.getMeter('lastchunk', VERSION, { schemaUrl: SCHEMA_URL });
    histograms = createHistograms(meter);
    observeAll(meter, reads);
  };
  return {
    attach(read) {
      reads.push(read);
      follow();
      // By then, an SDK that the same file starts later has been registered.
      setImmediate(follow).unref();
    },
    observe(metric, labels, value) {
      follow();
      histograms.get(metric.name)?.record(value, toAttributes(labels));
    },
    // A distribution cannot be made to exist empty here; a new route is an occasion to look for the SDK.
    prepare: follow,
  };
}

function createHistograms(meter: Meter): Map<string, OtelHistogram> {
  const made = new Map<string, OtelHistogram>();
  for (const metric of Object.values(METRICS)) {
    if (metric.type !== 'histogram') continue;
    const { name, help: description, unit, buckets } = metric;
    const advice = { explicitBucketBoundaries: [...buckets] };
    made.set(name, meter.createHistogram(name, { description, unit, advice }));
  }
  return made;
}

/** One callback for all instruments, so that an export is of one moment. */
function observeAll(meter: Meter, reads: readonly ReadSeries[]): void {
  const made = new Map<string, Observable>();
  for (const metric of Object.values(METRICS)) {
    if (metric.type === 'histogram') continue;
    made.set(metric.name, createObservable(meter, metric));
  }
  meter.addBatchObservableCallback(
    (result) => {
      for (const { metric, labels, value } of mergeReadings(reads)) {
        const instrument = made.get(metric.name);
        if (instrument !== undefined) result.observe(instrument, value, attributesOf(labels));
      }
    },
    [...made.values()],
  );
}

/** What adds up over instances is a sum here too, so that a backend may add it. */
function createObservable(meter: Meter, metric: Counter | Gauge): Observable {
  const { name, help: description, unit } = metric;
  if (metric.type === 'counter') return meter.createObservableCounter(name, { description, unit });
  return metric.aggregator === 'sum'
    ? meter.createObservableUpDownCounter(name, { description, unit })
    : meter.createObservableGauge(name, { description, unit });
}

/** Attributes by the labels of a series, which are the same object in every reading of it. */
const translated = new WeakMap<object, Attributes>();

function attributesOf(labels: Readonly<Record<string, string>>): Attributes {
  let attributes = translated.get(labels);
  if (attributes === undefined) translated.set(labels, (attributes = toAttributes(labels)));
  return attributes;
}

/** As the conventions have it: no `error.type` on success, `_OTHER` for one that has no series; `guarded` is a boolean. */
function toAttributes(labels: Readonly<Record<string, string>>): Attributes {
  const attributes: Attributes = {};
  // A series has labels of the table and no others.
  for (const [label, value] of Object.entries(labels) as [Label, string][]) {
    if (label === 'error_type' && value === 'none') continue;
    const name = LABEL_ATTRIBUTES[label];
    if (label === 'error_type' && value === 'other') attributes[name] = '_OTHER';
    else attributes[name] = label === 'guarded' ? value === 'true' : value;
  }
  return attributes;
}
