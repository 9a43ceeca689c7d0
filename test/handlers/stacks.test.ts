/**
 * What stands around a handler: routers, the middleware that most apps have, transports, connections that serve many
 * requests, and processes that share a port.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Writable } from 'node:stream';
import compression from 'compression';
import cors from 'cors';
import express5, { type RequestHandler, type Router } from 'express';
import express4 from 'express4';
import rateLimit from 'express-rate-limit';
import session from 'express-session';
import helmet from 'helmet';
import morgan from 'morgan';
import { pinoHttp } from 'pino-http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createKept } from '../support/kept.ts';
import { serve, type Transport } from '../support/site.ts';
import { createTap } from '../support/tap.ts';
import { until } from '../support/until.ts';
import { dial, request, visit } from '../support/visitor.ts';

const nowhere = new Writable({ write: (_piece, _encoding, done) => done() });

/** Each in the place its documentation gives it: before the routes. */
const MIDDLEWARE: ReadonlyArray<readonly [name: string, make: () => readonly RequestHandler[]]> = [
  ['nothing', () => []],
  ['compression', () => [compression()]],
  ['helmet', () => [helmet()]],
  ['cors', () => [cors()]],
  [
    'express-session',
    () => [session({ secret: 'none', resave: true, saveUninitialized: true, rolling: true })],
  ],
  ['morgan', () => [morgan('combined', { stream: nowhere })]],
  ['pino-http', () => [pinoHttp({}, nowhere)]],
  ['express-rate-limit', () => [rateLimit({ limit: 100, standardHeaders: true })]],
  [
    'all of them',
    () => [
      helmet(),
      cors(),
      morgan('combined', { stream: nowhere }),
      pinoHttp({}, nowhere),
      session({ secret: 'none', resave: true, saveUninitialized: true }),
      rateLimit({ limit: 100 }),
      compression(),
    ],
  ],
];

describe.each([
  ['Express 4', express4],
  ['Express 5', express5],
] as const)('%s', (_version, express) => {
  describe.each(MIDDLEWARE)('behind %s', (_name, make) => {
    async function open() {
      const kept = createKept();
      const tap = createTap();
      const app = express().set('env', 'test');
      for (const one of make()) app.use(one);
      app.use(kept.keep.observe());
      app.get('/chat/:id', kept.keep.guard(), answerWith(tap));
      app.use(kept.keep.errorHandler());
      const client = await visit(await serve(app), '/chat/42');
      tap.push('one ');
      await client.sees('one');
      return { kept, tap, client };
    }

    it('an answer is whole and saved before its end', async () => {
      const { kept, tap, client } = await open();
      tap.push('two');
      tap.end();
      await client.sees('[DONE]');
      expect(kept.store.row).toMatchObject({ text: 'one two', complete: true });
      expect((await client.over()).whole).toBe(true);
      expect(await kept.witness.ended()).toMatchObject({
        route: '/chat/:id',
        outcome: 'completed',
      });
    });

    it('an answer whose client left is finished', async () => {
      const { kept, tap, client } = await open();
      client.rst();
      await until('the guard has noticed', () => kept.witness.finishing.length > 0);
      tap.push('two');
      tap.end();
      expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
      expect(kept.store.row).toMatchObject({ text: 'one two', complete: true });
    });
  });

  it('a router mounted under a parameter gives the pattern of the route, never the URL', async () => {
    const kept = createKept();
    const tap = createTap();
    const app = express();
    const router: Router = express.Router({ mergeParams: true });
    const message: RequestHandler = kept.keep.guard({
      message: (req) => ({ conversationId: `${req.params['tenant']}/${req.params['id']}` }),
    });
    router.get('/chat/:id', message, answerWith(tap));
    app.use('/t/:tenant', router);
    const client = await visit(await serve(app), '/t/acme/chat/42');
    tap.push('one');
    tap.end();
    await client.over();
    expect(await kept.witness.ended()).toMatchObject({ route: '/chat/:id' });
    expect(kept.store.row.conversationId).toBe('acme/42');
  });
});

describe.each(['http', 'https'] as const satisfies readonly Transport[])('over %s', (transport) => {
  it('requests on one connection, one after the other and piped, are streams of their own', async () => {
    const kept = createKept();
    const app = express5();
    app.get('/chat/:id', kept.keep.guard({ message: idOf }), (req, res) => {
      res.type('text/event-stream');
      res.write(frame(`answer ${req.params.id}`));
      res.end('data: [DONE]\n\n');
    });
    const client = await dial(await serve(app, transport));
    client.send(request('/chat/1'));
    await client.sees('answer 1');
    client.send(request('/chat/2') + request('/chat/3'));
    await until('all three are answered', () => client.raw.includes('answer 3'));
    await until('all three have ended', () => kept.witness.ends.length === 3);
    const rows = [...kept.store.rows.values()];
    expect(rows.map(({ conversationId, text }) => `${conversationId}: ${text}`).toSorted()).toEqual(
      ['1: answer 1', '2: answer 2', '3: answer 3'],
    );
    expect(kept.witness.ends.map(({ outcome }) => outcome)).toEqual(Array(3).fill('completed'));
  });
});

it('workers of a cluster keep what their clients saw, and each its own journal', async () => {
  const primary = fork(fileURLToPath(new URL('cluster-child.ts', import.meta.url)), {
    execArgv: ['--import', 'tsx'],
  });
  onTestFinished(() => void primary.kill('SIGKILL'));
  const [report] = (await once(primary, 'message')) as [unknown];
  expect(report).toEqual({ workers: 2, seen: 20, kept: 20, journals: 2 });
});

function answerWith(tap: ReturnType<typeof createTap>): RequestHandler {
  return async (_req, res) => {
    res.setHeader('content-type', 'text/event-stream');
    for await (const text of tap) {
      res.write(frame(text));
      // compression's, where it is there.
      (res as { flush?: () => void }).flush?.();
    }
    res.end('data: [DONE]\n\n');
  };
}

function idOf(req: { readonly params: Readonly<Record<string, string>> }) {
  return { conversationId: req.params['id'] };
}

function frame(content: string): string {
  return `data: ${JSON.stringify({ content })}\n\n`;
}
