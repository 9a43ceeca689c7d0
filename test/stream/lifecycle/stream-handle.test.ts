/** What an app can know of its streams: the handle, the route's label, and figures that are right. */
import express, { Router } from 'express';
import { describe, expect, it } from 'vitest';
import { createKept } from '../../support/kept.ts';
import { chatChunk } from '../../support/frames.ts';
import { serve } from '../../support/site.ts';
import { turns, until } from '../../support/until.ts';
import { request, visit } from '../../support/visitor.ts';

describe('keep.stream(res)', () => {
  it('is undefined where there is no guard', async () => {
    const kept = createKept();
    let handle: unknown = 'unset';
    const site = await serve((_, res) => {
      handle = kept.keep.stream(res);
      res.end();
    });
    await (await visit(site, '/')).over();
    expect(handle).toBeUndefined();
  });

  it('has no outcome while it streams, and the right one afterwards', async () => {
    const kept = createKept();
    const seen: unknown[] = [];
    const app = express();
    app.get('/', kept.keep.guard({}), (_, res) => {
      const handle = kept.keep.stream(res);
      res.type('text/plain').write('one');
      seen.push(handle?.outcome, handle?.side, handle?.signal.aborted);
      res.on('close', () => seen.push(handle?.outcome, handle?.side, handle?.signal.aborted));
      setImmediate(() => res.end());
    });
    const site = await serve(app);
    await (await visit(site, '/')).over();
    await until('the close', () => seen.length === 6);
    expect(seen).toEqual([undefined, undefined, false, 'completed', 'server', false]);
  });
});

describe('req.signal, where this Node has it', () => {
  it('is that of the stream, also on an object that inherits from the request', async () => {
    const kept = createKept();
    const seen: unknown[] = [];
    const app = express();
    app.use((req, _, next) => {
      seen.push('signal' in req);
      next();
    });
    app.get('/', kept.keep.guard({}), (req, res) => {
      const requests: unknown[] = [req, Object.create(req), new Proxy(req, {})];
      const signals = requests.map((one) => (one as { signal?: AbortSignal }).signal);
      const own = kept.keep.stream(res)?.signal;
      seen.push(signals[0] === own, signals[1] === own, signals[2] instanceof AbortSignal);
      res.end();
    });
    await (await visit(await serve(app), '/')).over();
    expect(seen).toEqual(Array.from({ length: 4 }, () => seen[0]));
  });
});

describe('the route', () => {
  it('is the pattern of the router, or the option, and never the URL', async () => {
    const kept = createKept();
    const app = express();
    const answer: express.RequestHandler = (_, res) => {
      res.type('text/plain').write('hello');
      res.end();
    };
    const router = Router({ mergeParams: true });
    router.get('/chat/:id', kept.keep.guard({}), answer);
    app.use('/t/:tenant', router);
    app.get('/plain/:id', kept.keep.guard({}), answer);
    app.get('/named/:id', kept.keep.guard({ route: 'mine' }), answer);
    app.use('/loose', kept.keep.guard({}), answer);
    const site = await serve(app);
    const paths = [
      '/t/secret1/chat/secret2',
      '/plain/secret3?q=secret4',
      '/named/secret5',
      '/loose/secret6',
    ];
    for (const path of paths) await (await visit(site, path)).over();
    await kept.witness.ended(4);
    const routes = kept.witness.ends.map(({ route }) => route);
    expect(routes.join(' ')).not.toContain('secret');
    expect(routes[0]).toContain('/chat/:id');
    expect(routes.slice(1, 3)).toEqual(['/plain/:id', 'mine']);
    expect(routes[3]).toBe('unmatched');
  });
});

describe('the figures of a stream', () => {
  it('count body writes and their bytes, also in the last call', async () => {
    const kept = createKept();
    const guard = kept.keep.guard({}, (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('naïve');
      res.write(Buffer.from('12345'));
      res.write('');
      setImmediate(() => res.end('ff00', 'hex'));
    });
    const site = await serve((req, res) => void guard(req, res));
    await (await visit(site, '/')).over();
    const ended = await kept.witness.ended();
    expect(ended.bytes).toBe(6 + 5 + 2);
    expect(ended.chunks).toBeGreaterThanOrEqual(3);
    expect(kept.store.row).toMatchObject({ bytes: 13, chunks: ended.chunks, droppedBytes: 0 });
    expect(ended.timeToFirstChunkMs).toBeGreaterThanOrEqual(0);
    expect(ended.maxChunkGapMs).toBeGreaterThanOrEqual(0);
    expect(ended.durationMs).toBeGreaterThanOrEqual(ended.timeToFirstChunkMs ?? 0);
    expect(kept.store.row.endedAt.getTime()).toBeGreaterThanOrEqual(
      kept.store.row.startedAt.getTime(),
    );
  });

  it('are told in an order that makes sense', async () => {
    const kept = createKept();
    const guard = kept.keep.guard({}, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'hello' }));
      res.end(chatChunk({}, 'stop'));
    });
    const site = await serve((req, res) => void guard(req, res));
    await (await visit(site, '/')).over();
    await kept.witness.ended();
    await turns(20);
    expect(kept.witness.told.filter((name) => name !== 'onMessage')).toEqual([
      'onStart',
      'onFirstChunk',
      'onDue',
      'onSave',
      'onHold',
      'onEnd',
    ]);
  });
});

it('serves pipelined requests in order, each with a row of its own', async () => {
  const kept = createKept();
  const app = express();
  app.get('/:name', kept.keep.guard({}), (req, res) => {
    res.type('text/plain').write(String(req.params['name']));
    setTimeout(() => res.end('.'), req.params['name'] === 'first' ? 50 : 1);
  });
  const site = await serve(app);
  const visitor = await visit(site, '/first');
  visitor.send(request('/second') + request('/third'));
  await kept.witness.ended(3);
  const texts = [...kept.store.rows.values()].map(({ text }) => text);
  expect(new Set(texts)).toEqual(new Set(['first.', 'second.', 'third.']));
  await until('all answers', () => visitor.raw.toString().includes('third'));
  expect(visitor.raw.toString()).toMatch(/first[\s\S]*second[\s\S]*third/);
  expect(kept.witness.ends.map(({ outcome }) => outcome)).toEqual(Array(3).fill('completed'));
});
