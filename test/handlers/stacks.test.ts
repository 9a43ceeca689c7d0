/**
 * What stands around a handler: routers, the middleware that most apps have, transports, connections that serve many
 * requests, and processes that share a port.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { fileURLToPath } from 'node:url';
import express5, { type RequestHandler, type Router } from 'express';
import express4 from 'express4';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createKept } from '../support/kept.ts';
import { serve, serveHttp2, type Transport } from '../support/site.ts';
import { createTap } from '../support/tap.ts';
import { until } from '../support/until.ts';
import { dial, request, visit } from '../support/visitor.ts';
import { MIDDLEWARE, type PLACES } from './stacks.ts';

const EXPRESSES = [
  ['Express 4', express4],
  ['Express 5', express5],
] as const;

describe.each(EXPRESSES)('%s', (_version, express) => {
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
});

/** How each place is shown. */
const SHOWN: Readonly<Record<keyof typeof PLACES, () => Promise<void>>> = {
  router: async () => {
    for (const [, express] of EXPRESSES) {
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
    }
  },
  http: () => pipelined('http'),
  https: () => pipelined('https'),
  http2: async () => {
    const kept = createKept();
    const tap = createTap();
    const guarded = kept.keep.guard({}, async (_req, res) => {
      res.setHeader('content-type', 'text/event-stream');
      for await (const text of tap) res.write(frame(text));
      res.end('data: [DONE]\n\n');
    });
    const { url } = await serveHttp2((req, res) => void guarded(req, res));
    const session = connect(url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    tap.push('one');
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await until('the guard has noticed', () => kept.witness.finishing.length > 0);
    tap.push(' two');
    tap.end();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(kept.store.row).toMatchObject({ text: 'one two', complete: true });
  },
  cluster: async () => {
    const primary = fork(fileURLToPath(new URL('cluster-child.ts', import.meta.url)), {
      execArgv: ['--import', 'tsx'],
    });
    onTestFinished(() => void primary.kill('SIGKILL'));
    const [report] = (await once(primary, 'message')) as [unknown];
    // Every answer that was seen is kept, and each worker has a journal of its own.
    expect(report).toEqual({ workers: 2, seen: 20, kept: 20, journals: 2 });
  },
};

it.each(Object.entries(SHOWN))('%s', async (_place, expectIt) => {
  await expectIt();
});

/** Requests on one connection are streams of their own. */
async function pipelined(transport: Transport): Promise<void> {
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
  expect(rows.map(({ conversationId, text }) => `${conversationId}: ${text}`).toSorted()).toEqual([
    '1: answer 1',
    '2: answer 2',
    '3: answer 3',
  ]);
  expect(kept.witness.ends.map(({ outcome }) => outcome)).toEqual(Array(3).fill('completed'));
}

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
