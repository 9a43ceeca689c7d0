import { metrics as api, type Attributes } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type DataPoint,
  type Histogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { afterEach, describe, expect, it } from 'vitest';
import type { Metric } from '../../src/core/names/metric.ts';
import { METRICS, SCHEMA_URL } from '../../src/core/names/index.ts';
import { otelSink } from '../../src/telemetry/otel-sink.ts';
import { createRecorder } from '../../src/telemetry/recorder.ts';
import { VERSION } from '../../src/core/version.ts';
import { aSave, aStream, anEnd } from './facts.ts';

interface Sdk {
  /** What an export would send now, by instrument. */
  collect(): Promise<ReadonlyMap<string, MetricData>>;
  scopes(): readonly {
    readonly name: string;
    readonly version?: string | undefined;
    readonly schemaUrl?: string | undefined;
  }[];
}

/** Starts a real SDK for the process; exports only when asked. */
function startSdk(): Sdk {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  api.setGlobalMeterProvider(provider);
  stop = () => provider.shutdown();
  const last = () => exporter.getMetrics().at(-1)?.scopeMetrics ?? [];
  return {
    async collect() {
      exporter.reset();
      await reader.forceFlush();
      const all = last().flatMap(({ metrics }) => metrics);
      return new Map(all.map((metric) => [metric.descriptor.name, metric]));
    },
    scopes: () => last().map(({ scope }) => scope),
  };
}

let stop: (() => Promise<void>) | undefined;
afterEach(async () => {
  await stop?.();
  stop = undefined;
  api.disable();
});

/** Sum of the points that carry these attributes. */
function sum(metric: MetricData | undefined, attributes: Attributes = {}): number {
  const points = (metric?.dataPoints ?? []) as DataPoint<number>[]; // never asked of a histogram
  return points
    .filter((point) =>
      Object.entries(attributes).every(([name, value]) => point.attributes[name] === value),
    )
    .reduce((total, point) => total + point.value, 0);
}

function histogramOf(metric: MetricData | undefined, route: string): Histogram | undefined {
  const points = (metric?.dataPoints ?? []) as DataPoint<Histogram>[]; // asked of histograms only
  return points.find((point) => point.attributes['http.route'] === route)?.value;
}

describe('with an SDK', () => {
  it('reports the same values under the names of the table', async () => {
    const sdk = startSdk();
    const recorder = createRecorder([otelSink()]);
    const stream = aStream({ route: '/otel' });
    recorder.onStart?.(stream);
    recorder.onDue?.(stream);
    stream.chunks = 4;
    const during = await sdk.collect();
    recorder.onSave?.(aSave(stream, { durationMs: 30 }));
    recorder.onEnd?.(anEnd(stream));
    recorder.onAttempt?.('57P01');
    const after = await sdk.collect();
    const route = { 'http.route': '/otel' };
    expect(sum(during.get('lastchunk.streams.active'), route)).toBe(1);
    expect(sum(during.get('lastchunk.saves.pending'), route)).toBe(1);
    expect(sum(during.get('lastchunk.chunks'), route)).toBe(4);
    expect(sum(after.get('lastchunk.streams.active'), route)).toBe(0);
    expect(sum(after.get('lastchunk.saves'), { ...route, 'lastchunk.save.result': 'saved' })).toBe(
      1,
    );
    const attempts = after.get('lastchunk.save.attempts');
    expect(sum(attempts, { 'error.type': '57P01' })).toBe(1);
    const ended = { ...route, 'lastchunk.outcome': 'completed', 'lastchunk.guarded': true };
    expect(sum(after.get('lastchunk.streams.ended'), ended)).toBe(1);
    expect(sdk.scopes()).toMatchObject([
      { name: 'lastchunk', version: VERSION, schemaUrl: SCHEMA_URL },
    ]);
  });

  it('sets error.type only for an error, and _OTHER for an error without a series', async () => {
    const sdk = startSdk();
    const recorder = createRecorder([otelSink()]);
    recorder.onAttempt?.(undefined);
    recorder.onAttempt?.('an error of no series');
    const attempts = (await sdk.collect()).get('lastchunk.save.attempts');
    const all = attempts?.dataPoints.map(({ attributes }) => attributes);
    expect(all).toContainEqual({});
    expect(all).toContainEqual({ 'error.type': '_OTHER' });
    expect(JSON.stringify(all)).not.toMatch(/"(?:none|other)"/);
  });

  it('gives histograms the buckets of the table', async () => {
    const sdk = startSdk();
    const recorder = createRecorder([otelSink()]);
    const stream = aStream({ route: '/buckets' });
    recorder.onDue?.(stream);
    recorder.onSave?.(aSave(stream, { durationMs: 30 }));
    const histogram = histogramOf((await sdk.collect()).get('lastchunk.save.duration'), '/buckets');
    expect(histogram).toMatchObject({ count: 1, sum: 0.03 });
    expect(histogram?.buckets.boundaries).toEqual(METRICS.saveDuration.buckets);
  });

  it('describes every instrument as in the table, except for those of Prometheus alone', async () => {
    const sdk = startSdk();
    const stream = aStream({ route: '/all' });
    const recorder = createRecorder([otelSink()], {
      journal: () => ({
        entries: 0,
        bytes: 0,
        capacityBytes: 1,
        oldestEntryMs: 0,
        degraded: undefined,
        corruptRecords: 0,
        fileSystem: 'disk',
        ephemeral: false,
      }),
      store: () => ({ reachable: true, circuit: 'closed' }),
      relay: () => ({ isUp: true, lagMs: 0, dropped: 0, unconfirmed: 0 }),
      pool: () => ({ total: 0, idle: 0, waiting: 0, max: 4 }),
    });
    recorder.onFirstChunk?.(stream, 1);
    recorder.onHold?.(stream, 'saved', 1);
    recorder.onJournalWrite?.(0.001);
    recorder.onRelayFlush?.(0.001, 600);
    recorder.onResume?.(stream.route, 'memory', 'resumed');
    recorder.onDue?.(stream);
    recorder.onSave?.(aSave(stream));
    recorder.onEnd?.(anEnd(stream));
    const seen = await sdk.collect();
    const table: readonly Metric[] = Object.values(METRICS);
    const expected = table.map(({ name, unit, help }) => ({ name, unit, description: help }));
    const found = [...seen.values()].map(({ descriptor: { name, unit, description } }) => ({
      name,
      unit,
      description,
    }));
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(found.toSorted(byName)).toEqual(expected.toSorted(byName));
    // Every label of every series, in a namespace.
    const points = [...seen.values()].flatMap(({ dataPoints }) => [...dataPoints]);
    const names = new Set(points.flatMap(({ attributes }) => Object.keys(attributes)));
    for (const name of names) {
      expect(name).toMatch(/^(?:lastchunk\..+|http\.route|error\.type|process\.runtime\.version)$/);
    }
    expect(names).toContain('lastchunk.pool');
  });

  it('sums the instances of one process', async () => {
    const sdk = startSdk();
    const first = createRecorder([otelSink()]);
    const second = createRecorder([otelSink()]);
    first.onStart?.(aStream({ route: '/both' }));
    second.onStart?.(aStream({ route: '/both' }));
    await sdk.collect();
    second.onStart?.(aStream({ route: '/both' }));
    const seen = await sdk.collect();
    expect(sum(seen.get('lastchunk.streams.started'), { 'http.route': '/both' })).toBe(3);
    expect(sum(seen.get('lastchunk.streams.active'), { 'http.route': '/both' })).toBe(3);
  });
});

describe('an SDK that starts late', () => {
  it('gets everything that was counted before, and the series at 0', async () => {
    const recorder = createRecorder([otelSink()]);
    recorder.onStart?.(aStream({ route: '/late' }));
    recorder.onStart?.(aStream({ route: '/late' }));
    const sdk = startSdk();
    recorder.onFirstChunk?.(aStream({ route: '/late' }), 5);
    const seen = await sdk.collect();
    expect(sum(seen.get('lastchunk.streams.started'), { 'http.route': '/late' })).toBe(2);
    expect(histogramOf(seen.get('lastchunk.time_to_first_chunk'), '/late')?.count).toBe(1);
    const lost = seen.get('lastchunk.saves')?.dataPoints ?? [];
    expect(lost.map(({ attributes }) => attributes)).toContainEqual({
      'http.route': '/late',
      'lastchunk.save.result': 'lost',
    });
  });

  it('in the same turn of the event loop is found without an event', async () => {
    createRecorder([otelSink()]).onStart?.(aStream({ route: '/same-turn' }));
    const sdk = startSdk();
    await new Promise((resolve) => setImmediate(resolve));
    const seen = await sdk.collect();
    expect(sum(seen.get('lastchunk.streams.started'), { 'http.route': '/same-turn' })).toBe(1);
  });

  it('after another SDK gets the totals too', async () => {
    startSdk();
    const recorder = createRecorder([otelSink()]);
    recorder.onStart?.(aStream({ route: '/replaced' }));
    await stop?.();
    api.disable();
    const sdk = startSdk();
    recorder.onFirstChunk?.(aStream({ route: '/replaced' }), 5);
    const seen = await sdk.collect();
    expect(sum(seen.get('lastchunk.streams.started'), { 'http.route': '/replaced' })).toBe(1);
  });
});

it('without an SDK nothing is recorded, and nothing is thrown', () => {
  const recorder = createRecorder([otelSink()]);
  const stream = aStream();
  expect(() => {
    recorder.onStart?.(stream);
    recorder.onFirstChunk?.(stream, 5);
    recorder.onEnd?.(anEnd(stream));
  }).not.toThrow();
});
