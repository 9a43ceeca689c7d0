/** What stands around a guard in a real app: compression on either side of it, and a histogram of request latency. */
import { createGunzip } from 'node:zlib';
import { get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import compression from 'compression';
import type { RequestHandler, Response } from 'express';
import { Histogram, Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatChunk, readDeltas } from '../support/frames.ts';
import { createApp, createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { parseScrape } from '../support/scrape.ts';
import { serve, type TestServer } from '../support/test-server.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

const WHOLE = { outcome: 'completed', side: 'server', text: 'The answer', complete: true } as const;

describe('a client of a compressed answer', () => {
  it.each([
    ['is in front of the guard, and the handler flushes', true, ['compression', 'guard'], true],
    ['is not there, and neither is flush', false, ['guard'], true],
    ['is in front of the guard, and nobody flushes', true, ['compression', 'guard'], false],
    ['is behind the guard, and the handler flushes', true, ['guard', 'compression'], true],
  ] as const)(
    'receives each frame once it is flushed, and the row is complete, when compression() %s',
    async (_, compressed, order, frameByFrame) => {
      const fixture = await createFullFixture(database, spans);
      const go = createGate();
      const handler: RequestHandler = async (_req, res) => {
        const say = (frame: string): void => {
          res.write(frame);
          if (frameByFrame) flushOf(res)?.();
        };
        res.type('text/event-stream');
        say(chatChunk({ content: 'The ' }));
        await go.promise;
        say(chatChunk({ content: 'answer' }));
        say(chatChunk({}, 'stop'));
        say('data: [DONE]\n\n');
        res.end();
      };
      const layers = { compression: compression({ threshold: 0 }), guard: fixture.keep.guard({}) };
      const app = createApp();
      app.get('/', ...order.map((name) => layers[name]), handler);
      const reader = await read(await serve(app));
      expect(reader.encoding).toBe(compressed ? 'gzip' : undefined);
      if (frameByFrame) await until('the first frame is there', () => reader.text !== '');
      expect(readDeltas(reader.text)).toBe(frameByFrame ? 'The ' : '');
      go.open();
      await until('all of it is there', () => reader.over);
      expect(readDeltas(reader.text)).toBe('The answer');
      expect(reader.text.endsWith('data: [DONE]\n\n')).toBe(true);
      await fixture.agree(WHOLE);
      const warnings = fixture.logbook.lines.filter(({ level }) => level === 'warn');
      const isWrong = order[0] === 'guard' && order.length === 2;
      expect(warnings.filter(({ text }) => text.includes('compression()'))).toHaveLength(
        isWrong ? 1 : 0,
      );
    },
  );
});

describe("an app's own histogram of request latency", () => {
  it('can exclude streams, whose latency lastchunk measures separately', async () => {
    const fixture = await createFullFixture(database, spans);
    const registry = new Registry();
    const latency = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Of requests that are not streams.',
      registers: [registry],
    });
    const app = createApp();
    app.use((_, res, next) => {
      const stop = latency.startTimer();
      res.once('close', () => {
        if (!res.hasHeader('X-Stream-Id')) stop();
      });
      next();
    });
    app.get('/plain', fixture.keep.guard({}), (_, res) => void res.json({ ok: true }));
    app.get('/chat', fixture.keep.guard({ route: '/chat' }), (_, res) => {
      res.type('text/event-stream').write(chatChunk({ content: 'The answer' }));
      res.end(chatChunk({}, 'stop'));
    });
    const testServer = await serve(app);
    expect(await (await fetch(`${testServer.url}/plain`)).json()).toEqual({ ok: true });
    expect(readDeltas(await (await fetch(`${testServer.url}/chat`)).text())).toBe('The answer');
    await fixture.agree(WHOLE);
    const own = parseScrape(await registry.metrics());
    expect(own.sum('http_request_duration_seconds_count')).toBe(1);
    const ours = await fixture.scrape();
    expect(ours.sum('lastchunk_stream_duration_seconds_count', { route: '/chat' })).toBe(1);
    expect(ours.sum('lastchunk_stream_duration_seconds_count')).toBe(1);
    expect(ours.has('http_request_duration_seconds_count')).toBe(false);
  });
});

/** Present behind compression only. */
function flushOf(res: Response): (() => void) | undefined {
  const flush: unknown = Reflect.get(res, 'flush');
  return typeof flush === 'function' ? () => void Reflect.apply(flush, res, []) : undefined;
}

/** A client that unpacks what it gets as it gets it. */
async function read(testServer: TestServer) {
  const headers = { 'accept-encoding': 'gzip' };
  // `once` resolves to the arguments of the event: the response.
  const [reply] = (await once(get(testServer.url, { headers }), 'response')) as [IncomingMessage];
  const encoding = reply.headers['content-encoding'];
  const body = encoding === 'gzip' ? reply.pipe(createGunzip()) : reply;
  const reader = { encoding, text: '', over: false };
  body.setEncoding('utf8');
  body.on('data', (piece: string) => (reader.text += piece));
  body.on('end', () => (reader.over = true));
  return reader;
}
