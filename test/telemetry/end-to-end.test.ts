/** What an app's own options make of spans and exemplars, from `lastchunk()` to the SDK and the scrape. */
import { context, trace, TraceFlags } from '@opentelemetry/api';
import express, { type RequestHandler } from 'express';
import * as promClient from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { LastchunkOptions } from '../../src/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { serve } from '../support/test-server.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();

/** One whole answer; the span of its stream. */
async function answerOnce(
  options: LastchunkOptions,
  around: readonly RequestHandler[] = [],
  body: readonly string[] = ['data: one\n\n'],
) {
  const instance = createInMemoryInstance(options);
  const app = express();
  const guard = instance.keep.guard({
    message: ({ params }) => ({ conversationId: params['id'] }),
  });
  app.post('/chat/:id', ...around, guard, (_req, res) => {
    res.type('text/event-stream');
    for (const piece of body) res.write(piece);
    res.end('data: [DONE]\n\n');
  });
  if (options.metrics !== undefined) app.get('/metrics', options.metrics.handler());
  const { url } = await serve(app);
  await (await fetch(`${url}/chat/room-7`, { method: 'POST' })).text();
  const { id } = await instance.recorded.ended();
  const own = () => spans().filter((span) => span.attributes['lastchunk.stream.id'] === id);
  // As Prometheus asks: exemplars are in OpenMetrics only.
  const headers = { accept: 'application/openmetrics-text; version=1.0.0' };
  const scrape = async (): Promise<string> => (await fetch(`${url}/metrics`, { headers })).text();
  return { instance, own, scrape };
}

describe('the conversation id', () => {
  it('is in the span of its stream if the option is set, and in no other span', async () => {
    const { instance, own } = await answerOnce({ conversationIdInSpans: true });
    const span = await until('the span has ended', () => own()[0]);
    expect(span.attributes['gen_ai.conversation.id']).toBe('room-7');
    expect(instance.store.row.conversationId).toBe('room-7');
    const { traceId } = span.spanContext();
    const others = spans().filter((one) => one !== span && one.spanContext().traceId === traceId);
    expect(others.map(({ name }) => name)).toEqual(['save']);
    expect(JSON.stringify(others.map(({ attributes }) => attributes))).not.toContain('room-7');
  });

  it('is in no span by default', async () => {
    const { own } = await answerOnce({});
    const span = await until('the span has ended', () => own()[0]);
    expect(JSON.stringify(span.attributes)).not.toContain('room-7');
  });
});

describe('finish reasons and token usage of an answer', () => {
  /** A completion with its usage behind its end, as OpenAI sends it. */
  const COMPLETION = [
    { choices: [{ index: 0, delta: { content: 'one' }, finish_reason: null }], usage: null },
    { choices: [{ index: 0, delta: {}, finish_reason: 'length' }], usage: null },
    { choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } },
  ].map((payload) => `data: ${JSON.stringify(payload)}\n\n`);

  it.each([
    [{ usageInSpans: true }, { reasons: ['length'], input: 9, output: 2 }],
    [{}, { reasons: undefined, input: undefined, output: undefined }],
  ] as const)('under %o are %o in its span', async (options, said) => {
    const { own } = await answerOnce(options, [], COMPLETION);
    const { attributes } = await until('the span has ended', () => own()[0]);
    expect(attributes['gen_ai.response.finish_reasons']).toEqual(said.reasons);
    expect(attributes['gen_ai.usage.input_tokens']).toBe(said.input);
    expect(attributes['gen_ai.usage.output_tokens']).toBe(said.output);
  });
});

/** A request whose caller has sampled its trace out. */
const sampledOut: RequestHandler = (_req, _res, next) => {
  const parent = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), traceFlags: TraceFlags.NONE };
  context.with(trace.setSpanContext(context.active(), { ...parent, isRemote: true }), next);
};

describe('an exemplar', () => {
  it('in a registry of lastchunk is the trace of the stream', async () => {
    const { own, scrape } = await answerOnce({ metrics: prometheus() });
    const { traceId } = (await until('the span has ended', () => own()[0])).spanContext();
    const text = await scrape();
    for (const name of ['time_to_first_chunk', 'stream_duration', 'save_duration']) {
      expect(text).toMatch(
        new RegExp(`^lastchunk_${name}_seconds_bucket.* # \\{trace_id="${traceId}"\\}`, 'm'),
      );
    }
    // The trace and nothing else: labels of exemplars are for finding it.
    expect(new Set(text.match(/(?<= # )\{.*?\}/g))).toEqual(new Set([`{trace_id="${traceId}"}`]));
  });

  it('is not added to a registry of the app, which keeps its own format', async () => {
    const registry = new promClient.Registry();
    const { own, scrape } = await answerOnce({ metrics: prometheus({ registry }) });
    const { traceId } = (await until('the span has ended', () => own()[0])).spanContext();
    const text = await scrape();
    expect(text).toMatch(/^lastchunk_time_to_first_chunk_seconds_count\{route="\/chat\/:id"\} 1$/m);
    expect(text).not.toContain(traceId);
    expect(text).not.toContain('# {');
  });

  it('is absent for a trace that is not sampled', async () => {
    const { instance, own, scrape } = await answerOnce({ metrics: prometheus() }, [sampledOut]);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    const text = await scrape();
    expect(text).toMatch(/^lastchunk_time_to_first_chunk_seconds_count\{route="\/chat\/:id"\} 1$/m);
    expect(text).not.toContain('# {');
    expect(own()).toEqual([]);
  });
});
