/** `lastchunk/otel` in the real SDK: spans lose their ERROR only where nothing else speaks for it, log records are lowered. */
import { createRequire } from 'node:module';
import { context, SpanKind, SpanStatusCode, trace, type Span } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer';
import {
  InMemoryLogRecordExporter,
  LoggerProvider,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs';
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import pino from 'pino';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { lowerConsoleNoise } from '../../../src/noise/adapters/console.ts';
import { noiseLogRecordProcessor, noiseSpanProcessor } from '../../../src/noise/adapters/otel.ts';
import { noiseHook } from '../../../src/noise/adapters/pino.ts';
import { until } from '../../support/until.ts';
import { createNoisyApp, NOISY } from '../support/app.ts';

const REASON = expect.stringMatching(/^(own-abort|abort-error|premature-close)$/);

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({
  spanProcessors: [noiseSpanProcessor(new SimpleSpanProcessor({ exporter }))],
});
const tracer = provider.getTracer('somebody-else');

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
});
beforeEach(() => exporter.reset());

/** The exported spans of that name. */
function spansNamed(name: string): ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

/** As instrumentations do when a call fails. */
function fail(span: Span, error: unknown): void {
  if (!(error instanceof Error)) throw error;
  span.setAttribute('error.type', error.name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  span.recordException(error);
}

describe.each(NOISY)('the span of a handler that %s, whose client left,', (work) => {
  it('is exported without ERROR, with the reason and the stream', async () => {
    const app = await createNoisyApp((error) => {
      const span = tracer.startSpan('call', { kind: SpanKind.CLIENT, attributes: { tries: 2 } });
      fail(span, error);
      span.end();
    });
    await app.leaves(work);
    const [span, ...others] = spansNamed('call');
    expect(others).toEqual([]);
    expect(span?.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(span?.attributes).toEqual({
      tries: 2,
      'lastchunk.noise.reason': REASON,
      'lastchunk.stream.id': app.streamId,
    });
    // What happened is still there to be read.
    expect(span?.events).toMatchObject([{ name: 'exception' }]);
    expect(await app.noiseTotal()).toBe(1);
  });
});

it('the span that OTLP exports is unchanged but for status and attributes', async () => {
  const raw: ReadableSpan[] = [];
  const spy: SpanProcessor = {
    onStart: () => undefined,
    onEnd: (span) => void raw.push(span),
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
  const both = new TracerProvider({
    spanProcessors: [spy, noiseSpanProcessor(new SimpleSpanProcessor({ exporter }))],
  });
  const app = await createNoisyApp((error) => {
    const parent = tracer.startSpan('parent');
    const span = both
      .getTracer('t', '1')
      .startSpan(
        'call',
        { links: [{ context: parent.spanContext() }] },
        trace.setSpan(context.active(), parent),
      );
    fail(span, error);
    span.end();
  });
  await app.leaves('waits');
  const [before, after] = [raw, spansNamed('call')].map(otlp);
  expect(before).toMatchObject({ status: { code: SpanStatusCode.ERROR } });
  expect(after).toEqual({
    ...before,
    status: { code: SpanStatusCode.UNSET },
    attributes: [
      { key: 'lastchunk.noise.reason', value: { stringValue: 'abort-error' } },
      { key: 'lastchunk.stream.id', value: { stringValue: app.streamId } },
    ],
  });
});

describe('a span stays ERROR', () => {
  it.each(['breaks', 'breaks late'] as const)('when its handler %s', async (work) => {
    const app = await createNoisyApp((error) => {
      const span = tracer.startSpan('call');
      fail(span, error);
      span.end();
    });
    await (work === 'breaks' ? app.stays(work) : app.leaves(work));
    expect(spansNamed('call')).toMatchObject([
      { status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': 'TypeError' } },
    ]);
    expect(await app.noiseTotal()).toBe(0);
  });

  /** Noise was recorded, and then something else. */
  const DOUBTS: Readonly<Record<string, (span: Span, error: Error) => void>> = {
    'without a recorded exception': (span, error) =>
      void span.setStatus({ code: SpanStatusCode.ERROR, message: error.message }),
    'with an exception event that recordException() did not add': (span, error) => {
      fail(span, error);
      span.addEvent('exception', { 'exception.type': 'Error', 'exception.message': 'disk full' });
    },
    'with a second exception, which is not noise': (span, error) => {
      fail(span, error);
      span.recordException(new Error('disk full'));
    },
    'with the message of another error': (span, error) => {
      fail(span, error);
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'disk full' });
    },
    'with an HTTP status that is a failure': (span, error) => {
      fail(span, error);
      span.setAttribute('http.response.status_code', 503);
    },
    'with an exception that is only text': (span, error) => {
      span.recordException(error.message);
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    },
    'with more events than were kept': (span, error) => {
      fail(span, error);
      for (let count = 0; count < 200; count += 1) span.addEvent('tick');
    },
  };
  it.each(Object.entries(DOUBTS))('%s', async (_doubt, act) => {
    const app = await createNoisyApp((error) => {
      const span = tracer.startSpan('call');
      if (!(error instanceof Error)) throw error;
      act(span, error);
      span.end();
    });
    await app.leaves('waits');
    expect(spansNamed('call')).toMatchObject([{ status: { code: SpanStatusCode.ERROR } }]);
    expect(spansNamed('call')[0]?.attributes).not.toHaveProperty('lastchunk.noise.reason');
  });

  it('outside of any stream, and is passed on unchanged', () => {
    const span = tracer.startSpan('call');
    fail(span, new DOMException('This operation was aborted', 'AbortError'));
    span.end();
    expect(spansNamed('call')).toEqual([span]);
  });
});

it('a span that is not ERROR is not changed', async () => {
  const app = await createNoisyApp((error) => {
    const span = tracer.startSpan('call');
    fail(span, error);
    span.setStatus({ code: SpanStatusCode.OK });
    span.end();
  });
  await app.leaves('waits');
  expect(spansNamed('call')).toMatchObject([{ status: { code: SpanStatusCode.OK } }]);
});

it('a request span of a real instrumentation, recorded outside the handler, loses its ERROR', async () => {
  const instrumentation = new HttpInstrumentation();
  instrumentation.setTracerProvider(provider);
  onTestFinished(() => instrumentation.disable());
  // The hooks of instrumentations patch what is required.
  createRequire(import.meta.url)('http');
  const app = await createNoisyApp(() => undefined);
  await app.leaves('requests');
  const spans = await until('the request is over', () => {
    const found = exporter.getFinishedSpans().filter(({ kind }) => kind === SpanKind.CLIENT);
    return found.length > 0 && found;
  });
  expect(spans).toMatchObject([
    { name: 'GET', status: { code: SpanStatusCode.UNSET }, events: [{ name: 'exception' }] },
  ]);
  expect(spans[0]?.attributes).toMatchObject({
    'lastchunk.noise.reason': REASON,
    'lastchunk.stream.id': app.streamId,
  });
  expect(spans[0]?.attributes).not.toHaveProperty('error.type');
});

describe('a log record', () => {
  const logs = new InMemoryLogRecordExporter();
  const logger = new LoggerProvider({
    processors: [noiseLogRecordProcessor(), new SimpleLogRecordProcessor({ exporter: logs })],
  }).getLogger('somebody-else');
  beforeEach(() => logs.reset());

  const emit = (exception: unknown): void =>
    logger.emit({
      severityNumber: SeverityNumber.ERROR,
      severityText: 'ERROR',
      body: 'the answer failed',
      exception,
    });

  it.each(NOISY)('of a handler that %s, whose client left, is lowered to DEBUG', async (work) => {
    const app = await createNoisyApp(emit);
    await app.leaves(work);
    expect(logs.getFinishedLogRecords()).toMatchObject([
      {
        severityNumber: SeverityNumber.DEBUG,
        severityText: 'DEBUG',
        body: 'the answer failed',
        attributes: {
          'exception.message': expect.any(String),
          'lastchunk.noise.reason': REASON,
          'lastchunk.stream.id': app.streamId,
        },
      },
    ]);
    expect(await app.noiseTotal()).toBe(1);
  });

  it.each(['breaks', 'breaks late'] as const)(
    'of a handler that %s keeps its severity',
    async (work) => {
      const app = await createNoisyApp(emit);
      await (work === 'breaks' ? app.stays(work) : app.leaves(work));
      expect(logs.getFinishedLogRecords()).toMatchObject([
        { severityNumber: SeverityNumber.ERROR, severityText: 'ERROR' },
      ]);
      expect(await app.noiseTotal()).toBe(0);
    },
  );

  it('of a time-out keeps its severity while the handler goes on, although its text is that of an abort', async () => {
    const app = await createNoisyApp(emit, { disconnected: 'finish' });
    await app.leaves('times out');
    const [record] = logs.getFinishedLogRecords();
    expect(record).toMatchObject({
      severityNumber: SeverityNumber.ERROR,
      attributes: { 'exception.type': 'ABORT_ERR' },
    });
    expect(await app.noiseTotal()).toBe(0);
  });

  it('below DEBUG is not raised', async () => {
    const app = await createNoisyApp((exception) =>
      logger.emit({ severityNumber: SeverityNumber.TRACE, body: 'the answer failed', exception }),
    );
    await app.leaves('waits');
    expect(logs.getFinishedLogRecords()).toMatchObject([
      { severityNumber: SeverityNumber.TRACE, attributes: { 'lastchunk.noise.reason': REASON } },
    ]);
  });

  it('is enabled only if an exporting processor enables it', () => {
    expect(noiseLogRecordProcessor().enabled()).toBe(false);
  });

  it('of an error that a span and two loggers record as well: the error is counted once, and each records it once', async () => {
    const printed: string[] = [];
    const hooks = { logMethod: noiseHook() };
    const log = pino({ level: 'debug', hooks }, { write: (line) => void printed.push(line) });
    const lowered: unknown[][] = [];
    const target = {
      debug: (...args: unknown[]) => void lowered.push(args),
      error: never,
      warn: never,
    };
    lowerConsoleNoise(target);
    const app = await createNoisyApp((err) => {
      emit(err);
      log.error({ err }, 'the answer failed');
      target.error('the answer failed', err);
      const span = tracer.startSpan('call');
      fail(span, err);
      span.end();
      emit(err);
    });
    await app.leaves('waits');
    expect(await app.noiseTotal()).toBe(1);
    expect(printed).toHaveLength(1);
    expect(lowered).toHaveLength(1);
    expect(spansNamed('call')).toMatchObject([{ status: { code: SpanStatusCode.UNSET } }]);
    const severities = logs.getFinishedLogRecords().map(({ severityNumber }) => severityNumber);
    expect(severities).toEqual([SeverityNumber.DEBUG, SeverityNumber.DEBUG]);
  });
});

describe('the span processor', () => {
  it('passes every call on to the next one', async () => {
    const told: string[] = [];
    const inner: SpanProcessor = {
      onStart: () => void told.push('onStart'),
      onEnding: () => void told.push('onEnding'),
      onEnd: () => void told.push('onEnd'),
      forceFlush: () => Promise.resolve(void told.push('forceFlush')),
      shutdown: () => Promise.resolve(void told.push('shutdown')),
    };
    const other = new TracerProvider({ spanProcessors: [noiseSpanProcessor(inner)] });
    other.getTracer('t').startSpan('call').end();
    await other.forceFlush();
    await other.shutdown();
    expect(told).toEqual(['onStart', 'onEnding', 'onEnd', 'forceFlush', 'shutdown']);
  });
});

/** The span as the OTLP exporter would send it. */
function otlp(spans: readonly ReadableSpan[]): Record<string, unknown> | undefined {
  const bytes = JsonTraceSerializer.serializeRequest([...spans]);
  // The shape of an ExportTraceServiceRequest.
  const request = JSON.parse(new TextDecoder().decode(bytes)) as {
    resourceSpans: [{ scopeSpans: [{ spans: Record<string, unknown>[] }] }];
  };
  return request.resourceSpans[0].scopeSpans[0].spans[0];
}

function never(...args: unknown[]): void {
  throw new Error(`it was not lowered: ${String(args)}`);
}
