/** One chat route in every framework, written as its users write it, and the server that serves it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { serve as serveHono } from '@hono/node-server';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { onTestFinished } from 'vitest';
import { fastifyLastchunk } from '../../src/frameworks/fastify.ts';
import { fetchGuard } from '../../src/frameworks/fetch.ts';
import { koaGuard } from '../../src/frameworks/koa.ts';
import type { GuardOptions, Lastchunk } from '../../src/index.ts';

/** What the route answers with: a body, or a failure before there is one. */
export type Answer = () => AsyncIterable<string>;

/** Options that mean the same in every framework. */
export type CommonOptions = Pick<GuardOptions, 'policy' | 'route'>;

/** The port of a server whose `/chat/:id` is guarded by `keep` and answers with `answer`; `/error` is its error path. */
export type Framework = (
  keep: Lastchunk,
  answer: Answer,
  options: CommonOptions,
) => Promise<number>;

const STREAM = 'text/event-stream';

/** By name, for tables of tests. */
export const FRAMEWORKS: Readonly<Record<string, Framework>> = {
  'node:http': async (keep, answer, options) => {
    const guarded = keep.guard(
      { ...options, message: ({ url = '' }) => ({ conversationId: lastOf(url) }) },
      async (_req, res) => {
        const body = answer();
        res.setHeader('content-type', STREAM);
        for await (const piece of body) if (!res.write(piece)) await once(res, 'drain');
        res.end();
      },
    );
    return listen(async (req, res) => {
      try {
        await guarded(req, res);
      } catch {
        // What a server without a framework does about a handler that failed.
        if (res.headersSent) res.destroy();
        else res.writeHead(500).end('{"error":"internal"}');
      }
    });
  },
  fastify: async (keep, answer, options) => {
    const app = fastify();
    await app.register(fastifyLastchunk, { keep });
    app.setErrorHandler((_error, _request, reply) => reply.code(500).send({ error: 'internal' }));
    const lastchunk = {
      ...options,
      message: ({ params }: { params: { id: string } }) => ({ conversationId: params.id }),
    };
    app.get('/chat/:id', { config: { lastchunk } as object }, (_request, reply) => {
      const body = answer();
      return reply.header('content-type', STREAM).send(Readable.from(body));
    });
    await app.listen({ port: 0, host: 'localhost' });
    onTestFinished(() => {
      app.server.closeAllConnections();
      return app.close();
    });
    return portOf(app.server.address());
  },
  koa: (keep, answer, options) => {
    const app = new Koa();
    app.silent = true;
    app.use(
      koaGuard(keep, {
        ...options,
        message: ({ req }) => ({ conversationId: lastOf(req.url ?? '') }),
      }),
    );
    app.use((ctx) => {
      const body = answer();
      ctx.type = STREAM;
      ctx.body = Readable.from(body);
    });
    return listen(app.callback());
  },
  'hono, by Response': async (keep, answer, options) => {
    const guard = fetchGuard(keep, {
      ...options,
      message: ({ url }) => ({ conversationId: lastOf(url) }),
    });
    const app = new Hono();
    app.onError((_error, c) => c.json({ error: 'internal' }, 500));
    app.get('/chat/:id', (c) =>
      guard(c.req.raw, () => {
        const body = answer();
        // A web stream of bytes, in Node's own typing of it.
        const stream = Readable.toWeb(Readable.from(encoded(body))) as ReadableStream<Uint8Array>;
        return new Response(stream, { headers: { 'content-type': STREAM } });
      }),
    );
    const port = await new Promise<number>((resolve) => {
      const server = serveHono({ fetch: app.fetch, port: 0, hostname: 'localhost' }, (info) =>
        resolve(info.port),
      );
      onTestFinished(() => {
        server.close();
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
    });
    return port;
  },
};

async function* encoded(pieces: AsyncIterable<string>): AsyncIterable<Uint8Array> {
  for await (const piece of pieces) yield Buffer.from(piece);
}

function lastOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

async function listen(
  answer: (req: IncomingMessage, res: ServerResponse) => Promise<void>,
): Promise<number> {
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return portOf(server.address());
}

/** A TCP server that listens has an address object. */
function portOf(address: AddressInfo | string | null): number {
  return (address as AddressInfo).port;
}
