/** Health, metrics, status, stop and resume as routes of each framework: the answers of Node's own handlers, and a request that can be authorized. */
import { serve as serveHono } from '@hono/node-server';
import type { IncomingMessage } from 'node:http';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fastifyHandler, fastifyRequestOf } from '../../src/frameworks/fastify.ts';
import { fetchHandler, fetchRequestOf } from '../../src/frameworks/fetch.ts';
import { koaContextOf, koaHandler } from '../../src/frameworks/koa.ts';
import type { NodeHandler } from '../../src/frameworks/node-handler.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { chatChunk } from '../support/frames.ts';
import { openClient } from '../support/http-client.ts';
import { beginChat, relayed } from '../support/replicas.ts';
import { until } from '../support/until.ts';

interface Routes {
  readonly '/health': NodeHandler;
  readonly '/metrics': NodeHandler;
  readonly '/status': NodeHandler;
  readonly '/status/*': NodeHandler;
  readonly '/streams/:streamId': NodeHandler;
}

/** A port that serves these handlers, for every method. */
type Serve = (routes: Routes) => Promise<number>;

/** How each framework serves them, and how `authorize` finds who asks. */
const FRAMEWORKS: Readonly<
  Record<string, { serve: Serve; whoAsks: (req: IncomingMessage) => unknown }>
> = {
  fastify: {
    serve: async (routes) => {
      const app = fastify();
      app.addHook('onRequest', async (_request, reply) => void reply.header('x-plugin', 'yes'));
      for (const [url, handler] of Object.entries(routes)) {
        app.route({ method: ['GET', 'DELETE'], url, handler: fastifyHandler(handler) });
      }
      await app.listen({ port: 0, host: 'localhost' });
      onTestFinished(() => app.close());
      return portOf(app.server.address());
    },
    whoAsks: (req) =>
      (fastifyRequestOf(req) as { headers?: Record<string, unknown> } | undefined)?.headers?.[
        'x-user'
      ],
  },
  koa: {
    serve: async (routes) => {
      const app = new Koa();
      app.use((ctx, next) => {
        ctx.set('x-plugin', 'yes');
        return next();
      });
      app.use((ctx) => koaHandler(handlerFor(routes, ctx.path))(ctx));
      const server = app.listen(0, 'localhost');
      onTestFinished(() => void server.close());
      await new Promise((resolve) => server.once('listening', resolve));
      return portOf(server.address());
    },
    whoAsks: (req) => (koaContextOf(req) as Koa.Context | undefined)?.get('x-user'),
  },
  'hono, by the Fetch API': {
    serve: (routes) => {
      const app = new Hono();
      for (const [path, handler] of Object.entries(routes)) {
        const answer = fetchHandler(handler);
        app.all(path, async (c) => {
          c.header('x-plugin', 'yes');
          const response = await answer(c.req.raw);
          response.headers.set('x-plugin', 'yes');
          return response;
        });
      }
      return new Promise((resolve) => {
        const server = serveHono({ fetch: app.fetch, port: 0, hostname: 'localhost' }, ({ port }) =>
          resolve(port),
        );
        onTestFinished(() => void server.close());
      });
    },
    whoAsks: (req) => fetchRequestOf(req)?.headers.get('x-user'),
  },
};

function handlerFor(routes: Routes, path: string): NodeHandler {
  if (path === '/health' || path === '/metrics' || path === '/status') return routes[path];
  if (path.startsWith('/status/')) return routes['/status/*'];
  return routes['/streams/:streamId'];
}

function portOf(address: unknown): number {
  // A TCP server that listens has an address object.
  return (address as { port: number }).port;
}

describe.each(Object.keys(FRAMEWORKS))('under %s', (name) => {
  const framework = FRAMEWORKS[name];
  if (framework === undefined) throw new Error('it is in the table');
  const { serve, whoAsks } = framework;

  async function open() {
    const all = await beginChat();
    const { keep } = all.here;
    const metrics = prometheus();
    const authorize = (req: IncomingMessage): boolean => whoAsks(req) === 'ann';
    const stop = keep.stopHandler<IncomingMessage>({ authorize });
    const resume = keep.resumeHandler<IncomingMessage>({ authorize });
    const status = keep.statusHandler<IncomingMessage>({ authorize });
    const port = await serve({
      '/status': status,
      '/status/*': status,
      '/health': keep.healthHandler(),
      '/metrics': metrics.handler(),
      '/streams/:streamId': (req, res) =>
        req.method === 'GET' ? resume(req, res) : stop(req, res),
    });
    const ask = (path: string, method = 'GET', user = 'ann'): Promise<Response> =>
      fetch(`http://localhost:${port}${path}`, { method, headers: { 'x-user': user } });
    return { ...all, port, ask };
  }

  it('answers its health, with the headers that were set before', async () => {
    const { ask } = await open();
    const response = await ask('/health');
    expect([response.status, response.headers.get('x-plugin')]).toEqual([200, 'yes']);
    expect(await response.json()).toMatchObject({ status: 'healthy' });
  });

  it('answers its metrics', async () => {
    const { ask } = await open();
    const response = await ask('/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(await response.text()).toContain('# TYPE ');
  });

  it('answers its status to an authorized client: page, JSON, runbooks and events', async () => {
    const { ask, port } = await open();
    expect((await ask('/status', 'GET', 'bob')).status).toBe(404);
    const page = await ask('/status');
    expect([page.status, page.headers.get('x-plugin')]).toEqual([200, 'yes']);
    expect(await page.text()).toContain('<title>lastchunk status</title>');
    const headers = { 'x-user': 'ann', accept: 'application/json' };
    const json = await fetch(`http://localhost:${port}/status`, { headers });
    expect(await json.json()).toMatchObject({ health: { status: 'healthy' } });
    expect(await (await ask('/status/README.md')).text()).toContain('<h1>Runbooks</h1>');
    const viewer = await openClient({ port, transport: 'http' }, '/status', {
      headers: { 'x-user': 'ann', accept: 'text/event-stream' },
    });
    await until('two states are there', () => (viewer.text.match(/data: /g) ?? []).length > 1);
    viewer.fin();
  });

  it('stops a stream for an authorized client, and for no other', async () => {
    const { ask, talk } = await open();
    talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    const path = `/streams/${talk.streamId}`;
    expect((await ask(path, 'DELETE', 'bob')).status).toBe(404);
    const stopped = await ask(path, 'DELETE');
    expect(await stopped.json()).toMatchObject({ outcome: 'stopped', save: 'saved' });
  });

  it('resumes a stream: past bytes, then new bytes, then the end', async () => {
    const { port, talk, shared, ask } = await open();
    const begun = chatChunk({ content: 'hello' });
    talk.res.type('text/event-stream').write(begun);
    await relayed(shared, talk.streamId, begun);
    const path = `/streams/${talk.streamId}`;
    expect((await ask(path, 'GET', 'bob')).status).toBe(404);
    const reader = await openClient({ port, transport: 'http' }, path, {
      headers: { 'x-user': 'ann' },
    });
    await reader.sees('hello');
    const rest = chatChunk({}, 'stop');
    talk.res.end(rest);
    const reply = await reader.over();
    expect([reply.status, reply.whole, reply.body.toString()]).toEqual([200, true, begun + rest]);
    expect(reply.headers['x-stream-offset']).toBe('0');
  });
});
