/** One decision for an error and its stream, wherever it is asked for; and what is told of it. */
import { setTimeout as delay } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, it } from 'vitest';
import { followStreams } from '../../src/core/current-stream.ts';
import { lastchunk, type Noise, type Observer } from '../../src/index.ts';
import { noiseOf } from '../../src/noise/decide.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { NOISE_REASONS } from '../../src/core/names/labels.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { parseScrape } from '../support/scrape.ts';
import { serve } from '../support/test-server.ts';
import { installTracing } from '../support/tracing.ts';
import { soon, turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

const spans = installTracing();
const abortError = (): unknown => AbortSignal.abort().reason;

/** An instance, and everything it says of noise. */
function createNoisy(options: Parameters<typeof lastchunk>[0] = {}) {
  const told: Array<Noise & { readonly streamId: string }> = [];
  const observer: Observer = {
    onNoise: ({ id }, noise) => void told.push({ ...noise, streamId: id }),
  };
  const metrics = prometheus({ registry: new Registry() });
  const keep = lastchunk({ journal: false, ...options, observer, metrics });
  const scrape = async () => parseScrape(await metrics.registry.metrics());
  return { keep, told, scrape };
}

type Act = (res: Parameters<Parameters<typeof serve>[0]>[1], left: Promise<void>) => Promise<void>;

/** A stream whose client leaves; resolves when `act`, which runs in the handler, has. */
async function withLeaver(
  middleware: ReturnType<ReturnType<typeof lastchunk>['observe']>,
  act: Act,
): Promise<void> {
  let done: Promise<void> | undefined;
  const testServer = await serve((req, res) => {
    const left = until('the close', () => req.socket.destroyed).then(() => turns());
    void middleware(req, res, () => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('one ');
      done = act(res, left);
    });
  });
  const httpClient = await openClient(testServer, '/');
  await httpClient.sees('one ');
  httpClient.fin();
  await soon('the handler', done ?? Promise.reject(new Error('no handler')));
}

describe('streams before the first use of noise', () => {
  it('are unknown without a response, and known from the first call on', async () => {
    const { keep } = createNoisy();
    const answers: boolean[] = [];
    const ask: Act = async (_, left) => {
      await left;
      answers.push(keep.classify(abortError()).noise);
    };
    await withLeaver(keep.observe(), ask);
    await withLeaver(keep.observe(), ask);
    expect(answers).toEqual([false, true]);
  });
});

describe('an error of a stream whose client left', () => {
  beforeAll(followStreams);

  it('is counted and logged once, for any number of callers', async () => {
    const { keep, told, scrape } = createNoisy();
    let id = '';
    await withLeaver(keep.observe(), async (res, left) => {
      id = keep.stream(res)?.id ?? '';
      await left;
      const error = abortError();
      const found = { reason: 'abort-error', signature: 'AbortError 20', streamId: id };
      expect(noiseOf(error, res)).toEqual(found);
      expect(noiseOf(error)).toEqual(found);
      expect(keep.classify(error)).toEqual({
        noise: true,
        reason: 'abort-error',
        signature: 'AbortError 20',
      });
      expect(noiseOf(abortError())).toEqual(found);
    });
    expect(told.map(({ reason, streamId }) => ({ reason, streamId }))).toEqual([
      { reason: 'abort-error', streamId: id },
      { reason: 'abort-error', streamId: id },
    ]);
    expect((await scrape()).sum('lastchunk_noise_total', { reason: 'abort-error' })).toBe(2);
    expect((await scrape()).sum('lastchunk_noise_total')).toBe(2);
  });

  it('stays a failure if it was one before', async () => {
    const { keep, told } = createNoisy();
    await withLeaver(keep.observe(), async (res, left) => {
      const [early, late] = [abortError(), abortError()];
      expect(noiseOf(early, res)).toBeUndefined();
      await left;
      expect(noiseOf(early, res)).toBeUndefined();
      expect(noiseOf(late, res)).toBeDefined();
    });
    expect(told).toHaveLength(1);
  });

  it('stays a failure if the handler had thrown it before', async () => {
    const { keep, told } = createNoisy({ store: createMemoryStore() });
    const error = abortError();
    let asked: Promise<boolean> | undefined;
    const guarded = keep.guard({ format: 'text' }, async (req, res) => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('one ');
      asked = until('the close', () => req.socket.destroyed).then(
        () => keep.classify(error, res).noise,
      );
      throw error;
    });
    let hasThrown = false;
    const testServer = await serve((req, res) => {
      void Promise.resolve(guarded(req, res)).catch(() => {
        hasThrown = true;
      });
    });
    const httpClient = await openClient(testServer, '/');
    await httpClient.sees('one ');
    await until('the handler has thrown', () => hasThrown);
    httpClient.fin();
    expect(await asked).toBe(false);
    expect(told).toEqual([]);
  });

  it('is recognised in what the handler awaits, under a guard that replaced observe()', async () => {
    const { keep, told } = createNoisy({ store: createMemoryStore() });
    const [observe, guard] = [keep.observe(), keep.guard({ format: 'text' })];
    const both: typeof observe = (req, res, next) =>
      observe(req, res, () => void guard(req, res, next));
    await withLeaver(both, async (res, left) => {
      await left;
      await delay(0);
      expect(noiseOf(abortError())?.streamId).toBe(keep.stream(res)?.id);
      res.end();
    });
    expect(told).toHaveLength(1);
  });

  it('is an attribute on the span of the stream, while the span is open', async () => {
    const { keep } = createNoisy({ store: createMemoryStore() });
    let id = '';
    await withLeaver(keep.guard({ format: 'text' }), async (res, left) => {
      id = keep.stream(res)?.id ?? '';
      await left;
      noiseOf(abortError(), res);
      res.end();
      await keep.flush();
      noiseOf(abortError(), res);
    });
    const span = await until('the span has ended', () =>
      spans().find(
        ({ name, attributes }) =>
          name.startsWith('stream') && attributes['lastchunk.stream.id'] === id,
      ),
    );
    expect(span.attributes['lastchunk.noise.reason']).toBe('abort-error');
    expect(span.attributes['lastchunk.outcome']).toBe('disconnected');
    expect('error.type' in span.attributes).toBe(false);
  });
});

describe('an error that reports the disconnect itself', () => {
  it.each(['fin', 'rst'] as const)(
    'is noise before the response closes, after a %s',
    async (how) => {
      const { keep } = createNoisy();
      const observe = keep.observe();
      const answers: unknown[] = [];
      const testServer = await serve((req, res) => {
        req.on('error', () => {
          // Reading a body that does not come whole.
        });
        void observe(req, res, () => {
          testServer.server.once('clientError', (error, socket) => {
            answers.push(res.closed, keep.classify(error, res));
            socket.destroy();
          });
          res.writeHead(200, { 'content-type': 'text/plain' });
          res.write('one ');
        });
      });
      const asking = { method: 'POST', headers: { 'content-length': '100' }, body: 'half' };
      const httpClient = await openClient(testServer, '/', asking);
      await httpClient.sees('one ');
      httpClient[how]();
      await until('the parser has said so', () => answers.length > 0);
      const reason = how === 'fin' ? 'invalid-eof' : 'connection-reset';
      expect(answers).toEqual([false, expect.objectContaining({ noise: true, reason })]);
    },
  );
});

describe('a stream that timed out', () => {
  it('has no noise, even if its client leaves afterwards', async () => {
    const { keep, told } = createNoisy({ store: createMemoryStore() });
    const answers: boolean[] = [];
    let done = false;
    const guard = keep.guard({ format: 'text', idleTimeoutMs: 20 });
    const testServer = await serve((req, res) => {
      const act = async (): Promise<void> => {
        res.writeHead(200, { 'content-type': 'text/plain' });
        res.write('one ');
        const signal = keep.stream(res)?.signal;
        await until('the time-out', () => signal?.aborted === true);
        answers.push(keep.classify(signal?.reason, res).noise);
        httpClient.fin();
        await until('the close', () => req.socket.destroyed);
        await turns();
        answers.push(keep.classify(abortError(), res).noise);
        done = true;
      };
      void guard(req, res, () => void act());
    });
    const httpClient = await openClient(testServer, '/');
    await until('the handler is through', () => done);
    expect(answers).toEqual([false, false]);
    expect(told).toEqual([]);
  });
});

describe('an error of a save', () => {
  it('is not attributed to the stream that it saves', async () => {
    followStreams();
    const store = createMemoryStore();
    const found: unknown[] = [];
    const { keep, told } = createNoisy({
      store: {
        save: async (messages) => {
          found.push(noiseOf(abortError()));
          await store.save(messages);
        },
        close: () => store.close(),
      },
    });
    const guard = keep.guard({ format: 'text', policy: { disconnected: 'keep' } });
    await withLeaver(guard, async (_, left) => {
      await left;
      await until('the message is saved', () => store.rows.size === 1);
    });
    expect(found).toEqual([undefined]);
    expect(told).toEqual([]);
  });
});

it('without a stream no error is noise', () => {
  const { keep, told } = createNoisy();
  expect(keep.classify(abortError())).toEqual({ noise: false });
  expect(noiseOf(abortError(), {})).toBeUndefined();
  expect(told).toEqual([]);
});

it('the counter of every kind of noise is at 0 from the start', async () => {
  const { scrape } = createNoisy();
  const series = await scrape();
  const missing = NOISE_REASONS.filter(
    (reason) => !series.has('lastchunk_noise_total', { reason }),
  );
  expect(missing).toEqual([]);
  expect(series.sum('lastchunk_noise_total')).toBe(0);
});
