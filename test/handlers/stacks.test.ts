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
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { serve, serveHttp2, type Transport } from '../support/test-server.ts';
import { createControllableUpstream } from '../support/controllable-upstream.ts';
import { until } from '../support/until.ts';
import { dial, request, openClient } from '../support/http-client.ts';
import { MIDDLEWARE, type PLACES } from './stacks.ts';

const EXPRESSES = [
  ['Express 4', express4],
  ['Express 5', express5],
] as const;

describe.each(EXPRESSES)('%s', (_version, express) => {
  describe.each(MIDDLEWARE)('behind %s', (_name, make) => {
    async function open() {
      const instance = createInMemoryInstance();
      const upstream = createControllableUpstream();
      const app = express().set('env', 'test');
      for (const one of make()) app.use(one);
      app.use(instance.keep.observe());
      app.get('/chat/:id', instance.keep.guard(), answerWith(upstream));
      app.use(instance.keep.errorHandler());
      const client = await openClient(await serve(app), '/chat/42');
      upstream.push('one ');
      await client.sees('one');
      return { instance, upstream, client };
    }

    it('an answer is whole, and saved before its end', async () => {
      const { instance, upstream, client } = await open();
      upstream.push('two');
      upstream.end();
      await client.sees('[DONE]');
      expect(instance.store.row).toMatchObject({ text: 'one two', complete: true });
      expect((await client.over()).whole).toBe(true);
      expect(await instance.recorded.ended()).toMatchObject({
        route: '/chat/:id',
        outcome: 'completed',
      });
    });

    it('an answer whose client left is finished and saved', async () => {
      const { instance, upstream, client } = await open();
      client.rst();
      await until('the guard has noticed', () => instance.recorded.finishing.length > 0);
      upstream.push('two');
      upstream.end();
      expect(await instance.recorded.ended()).toMatchObject({
        outcome: 'disconnected',
        side: 'client',
      });
      expect(instance.store.row).toMatchObject({ text: 'one two', complete: true });
    });
  });
});

/** How each place is shown. */
const SHOWN: Readonly<Record<keyof typeof PLACES, () => Promise<void>>> = {
  router: async () => {
    for (const [, express] of EXPRESSES) {
      const instance = createInMemoryInstance();
      const upstream = createControllableUpstream();
      const app = express();
      const router: Router = express.Router({ mergeParams: true });
      const message: RequestHandler = instance.keep.guard({
        message: (req) => ({ conversationId: `${req.params['tenant']}/${req.params['id']}` }),
      });
      router.get('/chat/:id', message, answerWith(upstream));
      app.use('/t/:tenant', router);
      const client = await openClient(await serve(app), '/t/acme/chat/42');
      upstream.push('one');
      upstream.end();
      await client.over();
      expect(await instance.recorded.ended()).toMatchObject({ route: '/t/:tenant/chat/:id' });
      expect(instance.store.row.conversationId).toBe('acme/42');
    }
  },
  http: () => pipelined('http'),
  https: () => pipelined('https'),
  http2: async () => {
    const instance = createInMemoryInstance();
    const upstream = createControllableUpstream();
    const guarded = instance.keep.guard({}, async (_req, res) => {
      res.setHeader('content-type', 'text/event-stream');
      for await (const text of upstream) res.write(frame(text));
      res.end('data: [DONE]\n\n');
    });
    const { url } = await serveHttp2((req, res) => void guarded(req, res));
    const session = connect(url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    upstream.push('one');
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await until('the guard has noticed', () => instance.recorded.finishing.length > 0);
    upstream.push(' two');
    upstream.end();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({ text: 'one two', complete: true });
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
  const instance = createInMemoryInstance();
  const app = express5();
  app.get('/chat/:id', instance.keep.guard({ message: idOf }), (req, res) => {
    res.type('text/event-stream');
    res.write(frame(`answer ${req.params.id}`));
    res.end('data: [DONE]\n\n');
  });
  const client = await dial(await serve(app, transport));
  client.send(request('/chat/1'));
  await client.sees('answer 1');
  client.send(request('/chat/2') + request('/chat/3'));
  await until('all three are answered', () => client.raw.includes('answer 3'));
  await until('all three have ended', () => instance.recorded.ends.length === 3);
  const rows = [...instance.store.rows.values()];
  expect(rows.map(({ conversationId, text }) => `${conversationId}: ${text}`).toSorted()).toEqual([
    '1: answer 1',
    '2: answer 2',
    '3: answer 3',
  ]);
  expect(instance.recorded.ends.map(({ outcome }) => outcome)).toEqual(Array(3).fill('completed'));
}

function answerWith(upstream: ReturnType<typeof createControllableUpstream>): RequestHandler {
  return async (_req, res) => {
    res.setHeader('content-type', 'text/event-stream');
    for await (const text of upstream) {
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
