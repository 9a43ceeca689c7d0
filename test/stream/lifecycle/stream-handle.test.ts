/** What an app can know of its streams: the handle, the route's label, and figures that are right. */
import express, { Router } from 'express';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { chatChunk } from '../../support/frames.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { request, openClient } from '../../support/http-client.ts';

describe('keep.stream(res)', () => {
  it('is undefined without a guard', async () => {
    const instance = createInMemoryInstance();
    let handle: unknown = 'unset';
    const testServer = await serve((_, res) => {
      handle = instance.keep.stream(res);
      res.end();
    });
    await (await openClient(testServer, '/')).over();
    expect(handle).toBeUndefined();
  });

  it('has no outcome while it streams, and the right one afterwards', async () => {
    const instance = createInMemoryInstance();
    const seen: unknown[] = [];
    const app = express();
    app.get('/', instance.keep.guard({}), (_, res) => {
      const handle = instance.keep.stream(res);
      res.type('text/plain').write('one');
      seen.push(handle?.outcome, handle?.side, handle?.signal.aborted);
      res.on('close', () => seen.push(handle?.outcome, handle?.side, handle?.signal.aborted));
      setImmediate(() => res.end());
    });
    const testServer = await serve(app);
    await (await openClient(testServer, '/')).over();
    await until('the close', () => seen.length === 6);
    expect(seen).toEqual([undefined, undefined, false, 'completed', 'server', false]);
  });
});

describe('req.signal, if this Node has it', () => {
  it('is the signal of the stream, also on an object that inherits from the request', async () => {
    const instance = createInMemoryInstance();
    const seen: unknown[] = [];
    const app = express();
    app.use((req, _, next) => {
      seen.push('signal' in req);
      next();
    });
    app.get('/', instance.keep.guard({}), (req, res) => {
      const requests: unknown[] = [req, Object.create(req), new Proxy(req, {})];
      const signals = requests.map((one) => (one as { signal?: AbortSignal }).signal);
      const own = instance.keep.stream(res)?.signal;
      seen.push(signals[0] === own, signals[1] === own, signals[2] instanceof AbortSignal);
      res.end();
    });
    await (await openClient(await serve(app), '/')).over();
    expect(seen).toEqual(Array.from({ length: 4 }, () => seen[0]));
  });
});

describe('the route', () => {
  it('is the pattern of the router, or of the option, and never the URL', async () => {
    const instance = createInMemoryInstance();
    const app = express();
    const answer: express.RequestHandler = (_, res) => {
      res.type('text/plain').write('hello');
      res.end();
    };
    const router = Router({ mergeParams: true });
    router.get('/chat/:id', instance.keep.guard({}), answer);
    app.use('/t/:tenant', router);
    app.get('/plain/:id', instance.keep.guard({}), answer);
    app.get('/named/:id', instance.keep.guard({ route: 'mine' }), answer);
    app.use('/loose', instance.keep.guard({}), answer);
    const testServer = await serve(app);
    const paths = [
      '/t/secret1/chat/secret2',
      '/plain/secret3?q=secret4',
      '/named/secret5',
      '/loose/secret6',
    ];
    for (const path of paths) await (await openClient(testServer, path)).over();
    await instance.recorded.ended(4);
    const routes = instance.recorded.ends.map(({ route }) => route);
    expect(routes.join(' ')).not.toContain('secret');
    expect(routes[0]).toBe('/t/:tenant/chat/:id');
    expect(routes.slice(1, 3)).toEqual(['/plain/:id', 'mine']);
    expect(routes[3]).toBe('/loose');
  });
});

describe('the counts of a stream', () => {
  it('include body writes and their bytes, also of the last call', async () => {
    const instance = createInMemoryInstance();
    const guard = instance.keep.guard({}, (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('naïve');
      res.write(Buffer.from('12345'));
      res.write('');
      setImmediate(() => res.end('ff00', 'hex'));
    });
    const testServer = await serve((req, res) => void guard(req, res));
    await (await openClient(testServer, '/')).over();
    const ended = await instance.recorded.ended();
    expect(ended.bytes).toBe(6 + 5 + 2);
    expect(ended.chunks).toBeGreaterThanOrEqual(3);
    expect(instance.store.row).toMatchObject({ bytes: 13, chunks: ended.chunks, droppedBytes: 0 });
    expect(ended.timeToFirstChunkMs).toBeGreaterThanOrEqual(0);
    expect(ended.maxChunkGapMs).toBeGreaterThanOrEqual(0);
    expect(ended.durationMs).toBeGreaterThanOrEqual(ended.timeToFirstChunkMs ?? 0);
    expect(instance.store.row.endedAt.getTime()).toBeGreaterThanOrEqual(
      instance.store.row.startedAt.getTime(),
    );
  });

  it('are reported to the observer in the order of the events', async () => {
    const instance = createInMemoryInstance();
    const guard = instance.keep.guard({}, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'hello' }));
      res.end(chatChunk({}, 'stop'));
    });
    const testServer = await serve((req, res) => void guard(req, res));
    await (await openClient(testServer, '/')).over();
    await instance.recorded.ended();
    await turns(20);
    expect(instance.recorded.told.filter((name) => name !== 'onMessage')).toEqual([
      'onStart',
      'onFirstChunk',
      'onDue',
      'onSave',
      'onHold',
      'onEnd',
    ]);
  });
});

it('pipelined requests are answered in order, each with a row of its own', async () => {
  const instance = createInMemoryInstance();
  const app = express();
  app.get('/:name', instance.keep.guard({}), (req, res) => {
    res.type('text/plain').write(String(req.params['name']));
    setTimeout(() => res.end('.'), req.params['name'] === 'first' ? 50 : 1);
  });
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/first');
  httpClient.send(request('/second') + request('/third'));
  await instance.recorded.ended(3);
  const texts = [...instance.store.rows.values()].map(({ text }) => text);
  expect(new Set(texts)).toEqual(new Set(['first.', 'second.', 'third.']));
  await until('all answers', () => httpClient.raw.toString().includes('third'));
  expect(httpClient.raw.toString()).toMatch(/first[\s\S]*second[\s\S]*third/);
  expect(instance.recorded.ends.map(({ outcome }) => outcome)).toEqual(Array(3).fill('completed'));
});
