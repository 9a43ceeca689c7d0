import {
  context,
  createContextKey,
  diag,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AlwaysOffSampler,
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OUTCOMES } from '../../src/core/message.ts';
import { combine, type StreamSummary } from '../../src/core/observer.ts';
import { type SpanContents, StreamSpans } from '../../src/telemetry/spans.ts';
import { SCHEMA_URL } from '../../src/core/names/index.ts';
import { VERSION } from '../../src/core/version.ts';
import { aSave, aStream, anEnd } from './facts.ts';

let provider: TracerProvider;
let exporter: InMemorySpanExporter;

function startSdk(sampler?: Sampler): void {
  trace.disable();
  exporter = new InMemorySpanExporter();
  const spanProcessors = [new SimpleSpanProcessor({ exporter })];
  provider = new TracerProvider({ spanProcessors, ...(sampler && { sampler }) });
  trace.setGlobalTracerProvider(provider);
}

beforeEach(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  startSdk();
});
afterEach(async () => {
  await provider.shutdown();
  trace.disable();
  context.disable();
  diag.disable();
});

function createBench() {
  const spans = new StreamSpans();
  const tell = combine([spans], (error) => {
    throw error;
  });
  return { spans, tell };
}

/** The ended span of that name; exactly one. */
function ended(name: string): ReadableSpan {
  const [found, ...more] = exporter.getFinishedSpans().filter((span) => span.name === name);
  if (found === undefined || more.length > 0) throw new Error(`${more.length + 1} spans ${name}`);
  return found;
}

/** A server span, and the context its handler runs in. */
function serverContext(): { readonly spanId: string; readonly context: Context } {
  const span = trace.getTracer('http').startSpan('POST /chat/:id', { kind: SpanKind.SERVER });
  return { spanId: span.spanContext().spanId, context: trace.setSpan(context.active(), span) };
}

describe('the span of a stream', () => {
  it('is a child of the server span, starts with the request and ends with the stream', () => {
    const { tell } = createBench();
    const server = serverContext();
    const stream = aStream({ startedAtMs: Date.now() - 5000 });
    context.with(server.context, () => tell.onStart(stream));
    expect(exporter.getFinishedSpans()).toEqual([]);
    tell.onEnd(anEnd(stream));
    const span = ended('stream /chat/:id');
    expect(span.kind).toBe(SpanKind.INTERNAL);
    expect(span.parentSpanContext?.spanId).toBe(server.spanId);
    expect(span.startTime[0] * 1000 + span.startTime[1] / 1e6).toBeCloseTo(stream.startedAtMs, 0);
    expect(span.instrumentationScope).toMatchObject({
      name: 'lastchunk',
      version: VERSION,
      schemaUrl: SCHEMA_URL,
    });
  });

  it('has the attributes that a sampler needs from its start', () => {
    const seen: unknown[] = [];
    startSdk({
      shouldSample: (...given) => {
        // Name and attributes, by position.
        seen.push(given[2], { ...given[4] });
        return { decision: 2 };
      },
      toString: () => 'a sampler that remembers',
    });
    const stream = aStream();
    createBench().tell.onStart(stream);
    expect(seen).toEqual([
      'stream /chat/:id',
      {
        'http.route': '/chat/:id',
        'http.request.method': 'POST',
        'lastchunk.stream.id': stream.id,
        'lastchunk.guarded': true,
      },
    ]);
  });

  it('has all other attributes at its end, durations in seconds', () => {
    const { tell } = createBench();
    const stream = aStream({ format: 'anthropic' });
    tell.onStart(stream);
    stream.chunks = 12;
    stream.bytes = 3400;
    const facts = { backpressureMs: 250, chunksAfterDisconnect: 3, saveAttempts: 2 };
    tell.onEnd(anEnd(stream, { ...facts, outcome: 'disconnected', side: 'client' }));
    expect(ended('stream /chat/:id').attributes).toMatchObject({
      'lastchunk.format': 'anthropic',
      'lastchunk.outcome': 'disconnected',
      'lastchunk.side': 'client',
      'lastchunk.stream.chunks': 12,
      'lastchunk.stream.bytes': 3400,
      'lastchunk.stream.chunks_after_disconnect': 3,
      'lastchunk.stream.time_to_first_chunk': 0.02,
      'lastchunk.stream.max_chunk_gap': 0.3,
      'lastchunk.stream.backpressure.time': 0.25,
      'lastchunk.hold.duration': 0.004,
      'lastchunk.save.result': 'saved',
      'lastchunk.save.attempts': 2,
    });
  });

  it('without a route is called "stream"', () => {
    const { tell } = createBench();
    const stream = aStream({ route: 'unmatched' });
    tell.onStart(stream);
    tell.onEnd(anEnd(stream));
    expect(ended('stream').attributes).not.toHaveProperty('http.route');
  });

  it('has no events, for any number of chunks', () => {
    const { tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onFirstChunk(stream, 3);
    tell.onEnd(anEnd(stream));
    expect(ended('stream /chat/:id').events).toEqual([]);
  });

  it.each(OUTCOMES)('has an error status for %s only if that is an error', (outcome) => {
    const { tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onEnd(anEnd(stream, { outcome, errorType: 'ECONNRESET' }));
    const span = ended('stream /chat/:id');
    const isError = ['failed', 'timed-out', 'truncated'].includes(outcome);
    expect(span.status).toEqual({ code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET });
    expect(span.attributes['error.type']).toBe(isError ? 'ECONNRESET' : undefined);
  });

  it.each([
    ['failed', '_OTHER'],
    ['timed-out', 'timeout'],
    ['truncated', 'truncated'],
  ] as const)('has a default error type for %s', (outcome, errorType) => {
    const { tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onEnd(anEnd(stream, { outcome }));
    expect(ended('stream /chat/:id').attributes['error.type']).toBe(errorType);
  });

  it('is an error if its message is lost, although the client saw everything', () => {
    const { tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onEnd(anEnd(stream, { save: 'lost', errorType: '53100' }));
    const span = ended('stream /chat/:id');
    expect(span.status.code).toBe(SpanStatusCode.ERROR);
    expect(span.attributes['error.type']).toBe('53100');
  });
});

describe('finish reason and token usage', () => {
  const usage = { inputTokens: 9, outputTokens: 2 };
  const names = [
    'gen_ai.response.finish_reasons',
    'gen_ai.usage.input_tokens',
    'gen_ai.usage.output_tokens',
  ];
  function attributesOf(contents: SpanContents, facts: Partial<StreamSummary>) {
    const spans = new StreamSpans(contents);
    const stream = aStream();
    spans.onStart(stream);
    spans.onEnd(anEnd(stream, facts));
    const { attributes } = ended('stream /chat/:id');
    return names.map((name) => attributes[name]);
  }

  it('are in the span if the option is set', () => {
    const found = attributesOf({ usage: true }, { finishReason: 'max_tokens', usage });
    expect(found).toEqual([['max_tokens'], 9, 2]);
  });

  it('are absent by default', () => {
    const found = attributesOf({}, { finishReason: 'stop', usage });
    expect(found).toEqual([undefined, undefined, undefined]);
  });

  it('have no attribute if they are unknown', () => {
    const said = { inputTokens: undefined, outputTokens: 0 };
    expect(attributesOf({ usage: true }, { usage: said })).toEqual([undefined, undefined, 0]);
  });

  it.each(['a sentence of an answer', 'x'.repeat(65), '', 'stop\n', '<b>'])(
    'have no attribute if the reason is not a single word: %j',
    (finishReason) => {
      expect(attributesOf({ usage: true }, { finishReason })[0]).toBeUndefined();
    },
  );
});

describe('a guarded handler', () => {
  const child = (name = 'call'): void => trace.getTracer('app').startSpan(name).end();
  const parentOf = (name: string) => ended(name).parentSpanContext?.spanId;

  it('has the span of its stream as the parent of its own spans, before the stream begins', () => {
    const { spans, tell } = createBench();
    const server = serverContext();
    const stream = aStream({ startedAtMs: Date.now() - 5000 });
    context.with(server.context, () =>
      spans.handle(stream, () => {
        child();
        // A context of the app's own, and a span without a parent.
        const key = createContextKey('baggage');
        context.with(context.active().setValue(key, 1), () => child('deeper'));
        context.with(trace.deleteSpan(context.active()), () => child('root'));
        tell.onStart(stream);
        child('later');
      }),
    );
    tell.onEnd(anEnd(stream));
    const { spanId } = ended('stream /chat/:id').spanContext();
    expect(['call', 'deeper', 'later'].map(parentOf)).toEqual([spanId, spanId, spanId]);
    expect(parentOf('root')).toBeUndefined();
    expect(parentOf('stream /chat/:id')).toBe(server.spanId);
    expect(ended('stream /chat/:id').startTime[0]).toBe(Math.floor(stream.startedAtMs / 1000));
  });

  it('adds no span if the context of its span is never read', () => {
    const { spans } = createBench();
    const stream = aStream();
    spans.handle(stream, () => undefined);
    spans.leave(stream);
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it('has a span named "handler" if its response was not a stream', () => {
    const { spans } = createBench();
    const stream = { ...aStream(), route: 'unmatched' };
    spans.handle(stream, child);
    stream.route = '/chat/:id';
    spans.leave(stream);
    spans.leave(stream);
    const span = ended('handler /chat/:id');
    expect(parentOf('call')).toBe(span.spanContext().spanId);
    expect(span.attributes).toMatchObject({ 'http.route': '/chat/:id' });
    expect(span.attributes).not.toHaveProperty('lastchunk.outcome');
  });

  it('has its route in the span once its stream begins', () => {
    const { spans, tell } = createBench();
    const stream = { ...aStream(), route: 'unmatched' };
    spans.handle(stream, child);
    stream.route = '/chat/:id';
    tell.onStart(stream);
    tell.onEnd(anEnd(stream));
    expect(ended('stream /chat/:id').attributes).toMatchObject({ 'http.route': '/chat/:id' });
  });

  it('under two guards has one span', () => {
    const { spans, tell } = createBench();
    const stream = aStream();
    spans.handle(stream, () => spans.handle(stream, child));
    tell.onStart(stream);
    tell.onEnd(anEnd(stream));
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual([
      'call',
      'stream /chat/:id',
    ]);
  });

  it('without an SDK runs in the context of its caller', () => {
    trace.disable();
    const { spans } = createBench();
    const before = context.active();
    expect(spans.handle(aStream(), () => context.active())).toBe(before);
  });
});

describe('the span of a save', () => {
  it('is a child of the stream, from due to the result', () => {
    const { tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onDue(stream);
    tell.onSave(aSave(stream, { attempts: 3 }));
    const save = ended('save');
    tell.onEnd(anEnd(stream));
    expect(save.parentSpanContext?.spanId).toBe(ended('stream /chat/:id').spanContext().spanId);
    expect(save.kind).toBe(SpanKind.INTERNAL);
    expect(save.attributes).toEqual({
      'lastchunk.save.result': 'saved',
      'lastchunk.save.attempts': 3,
    });
  });

  it.each(['saved', 'journaled', 'missing', 'lost'] as const)(
    'has an error status for %s only if that is lost',
    (result) => {
      const { tell } = createBench();
      const stream = aStream();
      tell.onStart(stream);
      tell.onDue(stream);
      tell.onSave(aSave(stream, { result, errorType: 'ECONNREFUSED' }));
      const { status, attributes } = ended('save');
      const isError = result === 'lost';
      expect(status).toEqual({ code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET });
      expect(attributes['error.type']).toBe(isError ? 'ECONNREFUSED' : undefined);
    },
  );

  it('is the parent of the spans of the store call, retries included', async () => {
    const { spans, tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onDue(stream);
    const query = async (): Promise<void> => {
      await Promise.resolve();
      trace.getTracer('pg').startSpan('INSERT').end();
    };
    await spans.around({ stream }, query);
    await spans.around({ stream }, query);
    tell.onSave(aSave(stream));
    const saveId = ended('save').spanContext().spanId;
    const queries = exporter.getFinishedSpans().filter(({ name }) => name === 'INSERT');
    expect(queries.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      saveId,
      saveId,
    ]);
  });

  it('is a new one if the stream is saved again', async () => {
    const { spans, tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onDue(stream);
    tell.onSave(aSave(stream));
    await spans.around({ stream }, async () => undefined);
    tell.onSave(aSave(stream, { kind: 'revised' }));
    // Not the first of its batch: nobody ran the store call in its context.
    tell.onSave(aSave(stream, { kind: 'revised', durationMs: 4000 }));
    const saves = exporter.getFinishedSpans().filter(({ name }) => name === 'save');
    expect(saves).toHaveLength(3);
    expect(saves[2]?.duration[0]).toBeGreaterThanOrEqual(3);
  });

  it('that ended as missing is not changed by a late result', () => {
    const { tell } = createBench();
    const stream = aStream();
    const warnings: string[] = [];
    diag.setLogger({
      verbose: () => undefined,
      debug: () => undefined,
      info: () => undefined,
      warn: (message) => void warnings.push(message),
      error: (message) => void warnings.push(message),
    });
    tell.onStart(stream);
    tell.onDue(stream);
    tell.onSave(aSave(stream, { result: 'missing' }));
    tell.onSave(aSave(stream, { kind: 'late' }));
    expect(ended('save').attributes['lastchunk.save.result']).toBe('missing');
    expect(warnings).toEqual([]);
  });
});

describe('the span of a replay', () => {
  const about = (traceparent: string | null) => ({
    streamId: 's',
    messageId: 'm',
    route: '/chat/:id',
    traceparent,
  });

  it('is a root with links to its streams, and the parent of the query span', async () => {
    const { spans } = createBench();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const server = serverContext();
    await context.with(server.context, () =>
      spans.aroundReplay([about(traceparent), about(null)], async () => {
        trace.getTracer('pg').startSpan('INSERT').end();
      }),
    );
    const replay = ended('replay');
    expect(replay.parentSpanContext).toBeUndefined();
    expect(replay.links.map((link) => link.context.spanId)).toEqual(['b7ad6b7169203331']);
    expect(replay.attributes['lastchunk.replay.messages']).toBe(2);
    expect(replay.status.code).toBe(SpanStatusCode.UNSET);
    expect(ended('INSERT').parentSpanContext?.spanId).toBe(replay.spanContext().spanId);
  });

  it('is an error if the batch failed, and the error is passed on', async () => {
    const { spans } = createBench();
    const error = Object.assign(new Error('what a user wrote'), { code: '57P01' });
    const work = spans.aroundReplay([about(null)], () => Promise.reject(error));
    await expect(work).rejects.toBe(error);
    const { status, attributes, events } = ended('replay');
    expect(status).toEqual({ code: SpanStatusCode.ERROR });
    expect(attributes['error.type']).toBe('57P01');
    expect(events).toEqual([]);
  });
});

describe('the trace context of a stream', () => {
  it('is that of its span, also after its end', () => {
    const { spans, tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    const during = spans.traceparentOf(stream);
    tell.onEnd(anEnd(stream));
    const { traceId, spanId } = ended('stream /chat/:id').spanContext();
    expect(during).toBe(`00-${traceId}-${spanId}-01`);
    expect(spans.traceIdOf(stream)).toBe(traceId);
    expect(spans.sampledTraceIdOf(stream)).toBe(traceId);
  });

  it('of a trace that is not sampled is known, but gives no exemplar', () => {
    startSdk(new ParentBasedSampler({ root: new AlwaysOffSampler() }));
    const { spans, tell } = createBench();
    const stream = aStream();
    context.with(serverContext().context, () => tell.onStart(stream));
    tell.onDue(stream);
    tell.onSave(aSave(stream));
    tell.onEnd(anEnd(stream));
    expect(spans.traceparentOf(stream)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    expect(spans.sampledTraceIdOf(stream)).toBeUndefined();
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});

describe('with an SDK that is missing, late or shut down', () => {
  const live = async (): Promise<void> => {
    const { spans, tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onDue(stream);
    expect(await spans.around({ stream }, async () => 'done')).toBe('done');
    expect(await spans.aroundReplay([], async () => 'done')).toBe('done');
    tell.onSave(aSave(stream));
    tell.onEnd(anEnd(stream));
    expect(spans.sampledTraceIdOf(stream)).toBeUndefined();
  };

  it('without an SDK no span is made, and nothing fails', async () => {
    trace.disable();
    await live();
    const { spans, tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    expect(spans.traceparentOf(stream)).toBeNull();
    expect(spans.traceIdOf(stream)).toBeNull();
  });

  it('events of a stream that was never started are ignored', () => {
    const { spans, tell } = createBench();
    const stream = aStream();
    tell.onDue(stream);
    tell.onSave({ ...aSave(stream), stream: undefined });
    tell.onEnd(anEnd(stream));
    expect(spans.around({ stream }, () => 7)).toBe(7);
    expect(spans.traceIdOf(stream)).toBeNull();
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it('an SDK that starts late traces the streams that start after it', () => {
    trace.disable();
    const { tell } = createBench();
    startSdk();
    const stream = aStream();
    tell.onStart(stream);
    tell.onEnd(anEnd(stream));
    expect(ended('stream /chat/:id').attributes['lastchunk.outcome']).toBe('completed');
  });

  it('an SDK that is shut down makes no span, and nothing fails', async () => {
    await provider.shutdown();
    const { tell } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onDue(stream);
    tell.onSave(aSave(stream));
    tell.onEnd(anEnd(stream));
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});

describe('the span of a recovery', () => {
  it.each(['saved', 'refused'] as const)(
    'has the result that a message was %s, and a link to its stream',
    (result) => {
      const { tell } = createBench();
      const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
      const about = { streamId: 's', messageId: 'm', route: '/chat/:id', traceparent };
      const server = serverContext();
      context.with(server.context, () => tell.onRecovered(result, about));
      const span = ended('save');
      expect(span.parentSpanContext).toBeUndefined();
      expect(span.links.map((link) => link.context.traceId)).toEqual(['a'.repeat(32)]);
      const isError = result === 'refused';
      expect(span.status.code).toBe(isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
    },
  );
});

describe('background work', () => {
  const inside = (): unknown => {
    const span = trace.getTracer('pg').startSpan('pg.query');
    span.end();
    return span.isRecording() || span.spanContext().traceFlags;
  };
  const batch = [{ streamId: 's', messageId: 'm', route: '/', traceparent: null }];

  it('makes no spans inside `quietly`', () => {
    createBench().spans.quietly(inside);
    expect(exporter.getFinishedSpans()).toEqual([]);
  });

  it('has spans of the database below a replay that is sampled', async () => {
    await createBench().spans.aroundReplay(batch, async () => inside());
    expect(ended('pg.query').parentSpanContext?.spanId).toBe(ended('replay').spanContext().spanId);
  });

  it('has no spans below a replay that is not sampled', async () => {
    startSdk({
      shouldSample: (_context, _traceId, name) => ({ decision: name === 'replay' ? 0 : 2 }),
      toString: () => 'all but replays',
    });
    await createBench().spans.aroundReplay(batch, async () => inside());
    expect(exporter.getFinishedSpans()).toEqual([]);
  });
});

it('a server span that has ended is not changed, so that the SDK does not warn', () => {
  const warnings: unknown[] = [];
  const warn = (...args: unknown[]): void => void warnings.push(args);
  const none = (): void => undefined;
  diag.setLogger({ warn, error: warn, info: none, debug: none, verbose: none });
  const { tell } = createBench();
  const server = serverContext();
  const stream = aStream();
  context.with(server.context, () => tell.onStart(stream));
  trace.getSpan(server.context)?.end();
  tell.onDisconnect(stream);
  tell.onDue(stream);
  tell.onSave(aSave(stream));
  tell.onEnd(anEnd(stream, { outcome: 'disconnected', side: 'client' }));
  tell.onSave(aSave(stream, { kind: 'late' }));
  expect(warnings).toEqual([]);
  expect(exporter.getFinishedSpans().filter(({ name }) => !name.startsWith('POST'))).toHaveLength(
    2,
  );
});

it.each([true, false])(
  'the conversation id is in the span only if the option is set: %s',
  (conversationId) => {
    const spans = new StreamSpans({ conversationId });
    const stream = aStream({ conversationId: 'c1' });
    spans.onStart?.(stream);
    spans.onEnd?.(anEnd(stream));
    const { attributes } = ended('stream /chat/:id');
    expect(attributes['gen_ai.conversation.id']).toBe(conversationId ? 'c1' : undefined);
  },
);
