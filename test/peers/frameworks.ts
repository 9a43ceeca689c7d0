/** What koa, fastify and the Node server of hono document. */
import { Readable } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import fastify, { type FastifyInstance } from 'fastify';
import { Hono } from 'hono';
import { streamSSE, stream as streamOf } from 'hono/streaming';
import Koa from 'koa';
import { casesOf, type Note, type PeerCase } from './peer-case.ts';
import type { RequestListener } from 'node:http';

function pieces(...texts: readonly string[]): Readable {
  return Readable.from(texts, { objectMode: false });
}

/** Gives its pieces, then fails. */
function failing(...texts: readonly string[]): Readable {
  const made = async function* (): AsyncGenerator<string> {
    yield* texts;
    await new Promise(setImmediate);
    throw new Error('source');
  };
  return Readable.from(made(), { objectMode: false });
}

function koa(handler: Koa.Middleware): (note: Note) => RequestListener {
  return (note) => {
    const app = new Koa();
    app.on('error', (error: Error) => note(`error ${error.message}`));
    app.use(handler);
    const callback = app.callback();
    return (req, res) => void callback(req, res);
  };
}

const KOA = casesOf('koa', {
  'a string, an object, bytes and nothing': {
    app: koa((ctx) => {
      if (ctx.path === '/string') ctx.body = 'string';
      if (ctx.path === '/object') ctx.body = { a: 1 };
      if (ctx.path === '/bytes') ctx.body = Buffer.from('bytes');
      if (ctx.path === '/nothing') ctx.body = null;
    }),
    asks: ['/string', '/object', '/bytes', '/nothing', '/unknown'].map((path) => ({ path })),
    sees: ['content-length: 6', '{"a":1}', 'application/octet-stream', '204', '404', 'Not Found'],
  },
  'a stream': {
    app: koa((ctx) => {
      ctx.type = 'text/event-stream';
      ctx.body = pieces('data: one\n\n', 'data: two\n\n');
    }),
    sees: ['data: one\n\ndata: two', 'whole'],
  },
  'a stream that fails after its first bytes': {
    app: koa((ctx) => {
      ctx.type = 'csv';
      ctx.body = failing('half');
    }),
    sees: ['half', 'cut, closed', 'error source'],
  },
  'ctx.throw(), and an error whose text is not sent': {
    app: koa((ctx) => {
      if (ctx.path === '/shown') ctx.throw(403, 'not yours');
      throw new Error('secret');
    }),
    asks: [{ path: '/shown' }, { path: '/hidden' }],
    sees: ['403', 'not yours', '500', 'Internal Server Error', 'error secret'],
  },
  'HEAD has the length of GET': {
    app: koa((ctx) => {
      ctx.body = 'string';
    }),
    asks: [{ method: 'HEAD' }],
    sees: ['content-length: 6'],
  },
  'ctx.respond = false leaves the response to its handler': {
    app: koa((ctx) => {
      ctx.respond = false;
      ctx.res.setHeader('content-type', 'text/event-stream');
      ctx.res.write('data: one\n\n');
      setImmediate(() => ctx.res.end('data: two\n\n'));
    }),
    sees: ['data: one\n\ndata: two'],
  },
  'a redirect, and a fresh request': {
    app: koa((ctx) => {
      if (ctx.path === '/go') return ctx.redirect('/there');
      ctx.set('etag', '"one"');
      ctx.body = 'text';
      if (ctx.fresh) ctx.status = 304;
    }),
    asks: [{ path: '/go' }, { headers: { 'if-none-match': '"one"' } }],
    sees: ['302', 'location: /there', '304'],
  },
});

function ofFastify(
  build: (app: FastifyInstance, note: Note) => void,
): (note: Note) => Promise<RequestListener> {
  return async (note) => {
    const app = fastify();
    app.addHook('onResponse', async (_, reply) => note(`onResponse ${reply.statusCode}`));
    build(app, note);
    await app.ready();
    return (req, res) => app.routing(req, res);
  };
}

const FASTIFY = casesOf('fastify', {
  'an object, a string and a path without a route': {
    app: ofFastify((app) => {
      app.get('/object', () => ({ a: 1 }));
      app.get('/string', (_, reply) => reply.send('string'));
    }),
    asks: ['/object', '/string', '/none'].map((path) => ({ path })),
    sees: ['{"a":1}', 'string', '404', 'Route GET:/none not found', 'onResponse 404'],
  },
  'a stream': {
    app: ofFastify((app) => {
      app.get('/', (_, reply) =>
        reply.type('text/event-stream').send(pieces('data: one\n\n', 'data: two\n\n')),
      );
    }),
    sees: ['data: one\n\ndata: two', 'whole', 'onResponse 200'],
  },
  'a stream that fails after its first bytes': {
    app: ofFastify((app) => {
      app.get('/', (_, reply) => reply.type('text/csv').send(failing('half')));
    }),
    sees: ['half', 'cut, closed'],
  },
  'reply.hijack() leaves the response to its handler': {
    app: ofFastify((app) => {
      app.get('/', (_, reply) => {
        reply.hijack();
        reply.raw.setHeader('content-type', 'text/event-stream');
        reply.raw.write('data: one\n\n');
        setImmediate(() => reply.raw.end('data: two\n\n'));
      });
    }),
    sees: ['data: one\n\ndata: two', 'onResponse 200'],
  },
  'an error, and an error handler': {
    app: ofFastify((app) => {
      app.get('/', () => Promise.reject(new Error('broken')));
      app.setErrorHandler((_error, _request, reply) => reply.code(418).send('handled'));
    }),
    sees: ['418', 'handled', 'onResponse 418'],
  },
  'HEAD of a route': {
    app: ofFastify((app) => {
      app.get('/', (_, reply) => reply.send('string'));
    }),
    asks: [{ method: 'HEAD' }],
    sees: ['content-length: 6'],
  },
  'onRequestAbort when its client leaves': {
    app: ofFastify((app, note) => {
      app.addHook('onRequestAbort', async (request) => note(`onRequestAbort ${request.method}`));
      app.get('/', (_, reply) => {
        reply.hijack();
        reply.raw.setHeader('content-type', 'text/csv');
        reply.raw.write('half');
      });
    }),
    asks: [{ leavesAt: 'half' }],
    sees: ['onRequestAbort'],
  },
});

function hono(build: (app: Hono, note: Note) => void): (note: Note) => RequestListener {
  return (note) => {
    const app = new Hono();
    build(app, note);
    const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
    return (req, res) => void listener(req, res);
  };
}

const HONO = casesOf('@hono/node-server', {
  'JSON, text and a path without a route': {
    app: hono((app) => {
      app.get('/json', (c) => c.json({ a: 1 }));
      app.get('/text', (c) => c.text('text'));
    }),
    asks: ['/json', '/text', '/none'].map((path) => ({ path })),
    sees: ['{"a":1}', 'text/plain', '404 Not Found'],
  },
  'streamSSE()': {
    app: hono((app) => {
      app.get('/', (c) =>
        streamSSE(c, async (sse) => {
          await sse.writeSSE({ data: 'one', event: 'piece', id: '1' });
          await sse.writeSSE({ data: 'two' });
        }),
      );
    }),
    sees: ['text/event-stream', 'event: piece', 'data: two', 'whole'],
  },
  'a stream over several turns': {
    app: hono((app) => {
      app.get('/', (c) => {
        c.header('content-type', 'text/plain');
        return streamOf(c, async (body) => {
          for (const piece of ['one ', 'two ', 'three']) {
            await body.write(piece);
            await new Promise(setImmediate);
          }
        });
      });
    }),
    sees: ['one two three', 'whole'],
  },
  'onError(), and a status': {
    app: hono((app) => {
      app.get('/error', () => {
        throw new Error('broken');
      });
      app.get('/status', (c) => c.body('short', 202));
      app.onError((error, c) => c.text(`handled ${error.message}`, 500));
    }),
    asks: [{ path: '/error' }, { path: '/status' }],
    sees: ['500', 'handled broken', '202', 'short'],
  },
  'onAbort() when its client leaves': {
    app: hono((app, note) => {
      app.get('/', (c) => {
        c.header('content-type', 'text/csv');
        return streamOf(c, async (body) => {
          const left = new Promise<void>((resolve) => {
            body.onAbort(() => {
              note('onAbort');
              resolve();
            });
          });
          await body.write('half');
          await left;
        });
      });
    }),
    asks: [{ leavesAt: 'half' }],
    sees: ['onAbort'],
  },
  'HEAD of a route': {
    app: hono((app) => {
      app.get('/', (c) => c.text('text'));
    }),
    asks: [{ method: 'HEAD' }],
    sees: ['200'],
  },
});

export const FRAMEWORK_CASES: readonly PeerCase[] = [...KOA, ...FASTIFY, ...HONO];
