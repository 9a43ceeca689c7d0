/** The route label: the whole pattern, whatever stands above the route, and never a word of a client. */
import express, { type Express, type RequestHandler, Router } from 'express';
import express4 from 'express4';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

const CHAT: RequestHandler = (_req, res) => {
  res.type('text/event-stream');
  res.end('data: {"text":"hello"}\n\ndata: [DONE]\n\n');
};

type Build = (app: Express, guard: RequestHandler, make: typeof Router) => void;

const CASES: readonly (readonly [label: string, path: string, build: Build])[] = [
  ['/', '/', (app, guard) => app.post('/', guard, CHAT)],
  ['/chat/:id', '/chat/42', (app, guard) => app.post('/chat/:id', guard, CHAT)],
  [
    '/api/chat',
    '/api/chat',
    (app, guard, make) => app.use('/api/chat', make().post('/', guard, CHAT)),
  ],
  [
    '/api/rooms/:room/stream',
    '/api/rooms/42/stream',
    (app, guard, make) => app.use('/api/rooms/:room', make().post('/stream', guard, CHAT)),
  ],
  [
    '/rooms/:room/stream/:id',
    '/rooms/rooms/stream/stream',
    (app, guard, make) => app.use('/rooms/:room', make().post('/stream/:id', guard, CHAT)),
  ],
  [
    '/a/:a/b/:b/c',
    '/a/1/b/2/c',
    (app, guard, make) => app.use('/a/:a', make().use('/b/:b', make().post('/c', guard, CHAT))),
  ],
  [
    '/v1/chat',
    '/v1/chat',
    (app, guard, make) => app.use('/v1', make().use(make().post('/chat', guard, CHAT))),
  ],
  ['/chat/:id', '/chat/42', (app, guard) => app.use('/chat/:id', guard, CHAT)],
  ['/chat', '/chat/anything/below', (app, guard) => app.use('/chat', guard, CHAT)],
  ['unmatched', '/whatever', (app, guard) => app.use(guard, CHAT)],
  ['/chat', '/chat', (app, guard) => app.use(guard).use('/chat', CHAT)],
  ['/one,/two', '/two', (app, guard) => app.post(['/one', '/two'], guard, CHAT)],
  [
    '/api/one,/api/two',
    '/api/two',
    (app, guard, make) => app.use('/api', make().post(['/one', '/two'], guard, CHAT)),
  ],
  [
    '/api/rooms/:room',
    '/api/rooms/a%20b%2Fc',
    (app, guard, make) => app.use('/api/rooms/:room', make().post('/', guard, CHAT)),
  ],
];

describe.each([
  ['Express 5', express, Router],
  [
    'Express 4',
    express4 as unknown as typeof express,
    (express4 as unknown as typeof express).Router,
  ],
])('the route label under %s', (_, framework, make) => {
  it.each(CASES)('is %s for %s', async (label, path, build) => {
    const { keep, recorded } = createInMemoryInstance();
    const app = framework().set('env', 'test');
    build(app, keep.guard() as RequestHandler, make);
    const { url } = await serve(app);
    await (await fetch(url + path, { method: 'POST' })).text();
    expect((await recorded.ended()).route).toBe(label);
    expect(recorded.saves).toMatchObject([{ route: label }]);
  });

  it('has the path of a mounted app, with the names of its parameters', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const inner = framework().set('env', 'test');
    inner.use('/rooms/:room', make().post('/chat', keep.guard() as RequestHandler, CHAT));
    const { url } = await serve(framework().set('env', 'test').use('/tenants/:tenant', inner));
    await (await fetch(`${url}/tenants/t1/rooms/r1/chat`, { method: 'POST' })).text();
    expect((await recorded.ended()).route).toBe('/tenants/:tenant/rooms/:room/chat');
  });

  it('is the same for all values of a parameter', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const app = framework().set('env', 'test');
    app.use('/rooms/:room', make().post('/:id', keep.guard() as RequestHandler, CHAT));
    const { url } = await serve(app);
    const values = ['1', 'rooms', ':room', '%25', 'a.b', 'lastchunk-probe', '-'];
    for (const value of values) {
      await (await fetch(`${url}/rooms/${value}/${value}`, { method: 'POST' })).text();
    }
    await recorded.ended(values.length);
    expect(new Set(recorded.ends.map(({ route }) => route))).toEqual(new Set(['/rooms/:room/:id']));
  });
});

describe.each([
  ['Express 5', express, Router],
  [
    'Express 4',
    express4 as unknown as typeof express,
    (express4 as unknown as typeof express).Router,
  ],
])('a path of a client under %s', (_, framework, make) => {
  /** Posts to each path and returns the labels, in turn. */
  async function labelsOf(
    paths: readonly string[],
    build: (guard: RequestHandler) => Express,
  ): Promise<readonly string[]> {
    const { keep, recorded } = createInMemoryInstance();
    const { url } = await serve(build(keep.guard() as RequestHandler));
    for (const path of paths) await (await fetch(url + path, { method: 'POST' })).text();
    await recorded.ended(paths.length);
    return recorded.ends.map(({ route }) => route);
  }

  it('in another case has the same label if the mount path is matched in any case', async () => {
    const paths = [
      '/api/rooms/a/chat',
      '/API/ROOMS/A/CHAT',
      '/Api/Rooms/b/chat',
      '/apI/rooms/B/Chat',
    ];
    const labels = await labelsOf(paths, (guard) =>
      framework()
        .set('env', 'test')
        .use('/api/rooms/:room', make().post('/chat', guard, CHAT)),
    );
    expect(new Set(labels)).toEqual(new Set(['/api/rooms/:room/chat']));
  });

  it('has its own case in the label if routing is case-sensitive', async () => {
    const labels = await labelsOf(['/Api/chat'], (guard) => {
      const app = framework().set('env', 'test').enable('case sensitive routing');
      return app.use('/Api', make().post('/chat', guard, CHAT));
    });
    expect(labels).toEqual(['/Api/chat']);
  });

  it('under a mount path with a pattern makes at most twenty labels of a route', async () => {
    const paths = Array.from({ length: 30 }, (_value, at) => `/t-${at}/chat`);
    const labels = await labelsOf([...paths, '/t-0/chat'], (guard) =>
      framework()
        .set('env', 'test')
        .use(/^\/t-\w+/, make().post('/chat', guard, CHAT)),
    );
    expect(labels.slice(0, 20)).toEqual(paths.slice(0, 20));
    expect(new Set(labels.slice(20, 30))).toEqual(new Set(['other']));
    expect(labels[30]).toBe('/t-0/chat');
  });

  it('is searched for its mount path once', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const app = framework().set('env', 'test');
    app.use('/rooms/:room', make().post('/chat', keep.guard() as RequestHandler, CHAT));
    type Layers = { stack: { match(path: string): unknown }[] };
    const of = app as unknown as { _router?: Layers; router?: Layers };
    let asked = 0;
    for (const layer of (of._router ?? of.router)?.stack ?? []) {
      const match = layer.match.bind(layer);
      layer.match = (path) => {
        asked += 1;
        return match(path);
      };
    }
    const { url } = await serve(app);
    const counts: number[] = [];
    for (const room of ['1', '2', '3']) {
      asked = 0;
      await (await fetch(`${url}/rooms/${room}/chat`, { method: 'POST' })).text();
      await recorded.ended(counts.length + 1);
      counts.push(asked);
    }
    expect(counts[1]).toBeLessThan(counts[0] ?? 0);
    expect(counts[2]).toBe(counts[1]);
    expect(new Set(recorded.ends.map(({ route }) => route))).toEqual(
      new Set(['/rooms/:room/chat']),
    );
  });
});

it('the route label is the pattern of the route alone if no router can be inspected', async () => {
  const { keep, recorded } = createInMemoryInstance();
  const guard = keep.guard(undefined, (_req, res) => {
    res.setHeader('content-type', 'text/event-stream');
    res.end('data: {"text":"hello"}\n\ndata: [DONE]\n\n');
  });
  const { url } = await serve((req, res) => {
    Object.assign(req, { baseUrl: '/rooms/42', route: { path: '/chat' } });
    void guard(req, res);
  });
  await (await fetch(url, { method: 'POST' })).text();
  expect((await recorded.ended()).route).toBe('/chat');
});
