import { metrics, trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import {
  InMemoryLogRecordExporter,
  BatchLogRecordProcessor,
  LoggerProvider,
} from '@opentelemetry/sdk-logs';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  InMemorySpanExporter,
  TracerProvider,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';
import { afterEach, describe, expect, it } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { flushTelemetry } from '../../src/telemetry/providers.ts';
import { sharesApi } from '../../src/telemetry/providers.ts';
import { soon } from '../support/until.ts';

afterEach(() => {
  trace.disable();
  metrics.disable();
  logs.disable();
});

/** Exports in batches, of which the first would leave long after the test. */
function startTracing(exporter: SpanExporter): void {
  const processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: 600_000 });
  trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [processor] }));
}

describe('flushTelemetry()', () => {
  it('exports spans, metrics and log records that wait for their batch', async () => {
    const spans = new InMemorySpanExporter();
    startTracing(spans);
    const numbers = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({
      exporter: numbers,
      exportIntervalMillis: 600_000,
    });
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
    const records = new InMemoryLogRecordExporter();
    const processors = [
      new BatchLogRecordProcessor({ exporter: records, scheduledDelayMillis: 600_000 }),
    ];
    logs.setGlobalLoggerProvider(new LoggerProvider({ processors }));

    trace.getTracer('test').startSpan('a span').end();
    metrics.getMeter('test').createCounter('a_counter').add(1);
    logs.getLogger('test').emit({ body: 'a record' });
    await flushTelemetry(60_000);
    expect(spans.getFinishedSpans().map(({ name }) => name)).toEqual(['a span']);
    expect(numbers.getMetrics()).toHaveLength(1);
    expect(records.getFinishedLogRecords().map(({ body }) => body)).toEqual(['a record']);
    await reader.shutdown();
  });

  it('resolves at once without an SDK', async () => {
    await soon('the end of nothing', flushTelemetry(600_000));
  });

  it('waits for an exporter up to its time limit', async () => {
    startTracing({ export: () => undefined, shutdown: () => Promise.resolve() });
    trace.getTracer('test').startSpan('stuck').end();
    await soon('the bound', flushTelemetry(20));
  });

  it('resolves if the export fails', async () => {
    startTracing({
      export: (_spans, done) => done({ code: 1, error: new Error('no collector') }),
      shutdown: () => Promise.resolve(),
    });
    trace.getTracer('test').startSpan('refused').end();
    await soon('the failure', flushTelemetry(600_000));
  });
});

it('close() exports spans after the saves, and an exporter that hangs does not delay it beyond the deadline', async () => {
  const told: string[] = [];
  startTracing({
    export: () => void told.push('exported'),
    shutdown: () => Promise.resolve(),
  });
  const keep = lastchunk({
    store: {
      save: () => Promise.resolve(),
      close: () => Promise.resolve(void told.push('store closed')),
    },
    journal: false,
  });
  trace.getTracer('test').startSpan('the last of the app').end();
  await soon('the deadline', keep.close({ deadlineMs: 500 }));
  expect(told).toEqual(['store closed', 'exported']);
});

describe('the API that an SDK has registered with', () => {
  it('is the copy of lastchunk, or no SDK has registered', () => {
    expect(sharesApi()).toBe(true);
    startTracing(new InMemorySpanExporter());
    expect(sharesApi()).toBe(true);
  });
});
