/** What is Koa's own: routes that are only observed, patterns of a router, and errors of a broken connection. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import Koa from 'koa';
import { expect, it, onTestFinished } from 'vitest';
import { koaGuard, koaObserve } from '../../src/frameworks/koa.ts';
import { lastchunk } from '../../src/index.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';
import { createRecordingObserver } from '../support/recording-observer.ts';

async function open(prepare: (app: Koa, keep: ReturnType<typeof lastchunk>) => void) {
  const store = createMemoryStore();
  const recorded = createRecordingObserver();
  const keep = lastchunk({ store, journal: false, observer: recorded.observer });
  const app = new Koa();
  const errors: unknown[] = [];
  app.on('error', (error) => errors.push(error));
  prepare(app, keep);
  const answer = app.callback();
  const server = createServer((req, res) => void answer(req, res));
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await keep.close({ deadlineMs: 1000 });
  });
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo;
  const client = await openClient({ port, transport: 'http' }, '/chat/42');
  return { store, recorded, errors, client };
}

/** What @koa/router leaves on the context. */
function matched(pattern: string): Koa.Middleware {
  return (ctx, next) => {
    Object.assign(ctx, { _matchedRoute: pattern });
    return next();
  };
}

it('observes under the pattern of the router, and saves no message', async () => {
  const { store, recorded, client } = await open((app, keep) => {
    app.use(matched('/chat/:id'));
    app.use(koaObserve(keep));
    app.use((ctx) => {
      ctx.type = 'text/event-stream';
      ctx.body = Readable.from(['data: hi\n\n']);
    });
  });
  expect((await client.over()).body.toString()).toBe('data: hi\n\n');
  expect(await recorded.ended()).toMatchObject({ route: '/chat/:id', outcome: 'completed' });
  expect(store.asked).toEqual([]);
});

it('leaves errors before a stream to Koa, those of ctx.throw included', async () => {
  const { recorded, errors, client } = await open((app, keep) => {
    app.use(koaGuard(keep));
    app.use((ctx) => ctx.throw(503, 'busy', { expose: true }));
  });
  expect(await client.over()).toMatchObject({ status: 503 });
  expect([errors, recorded.starts]).toEqual([[expect.objectContaining({ status: 503 })], 0]);
});

it('destroys the body when the rest of it is not needed any more', async () => {
  const body = new Readable({ read: () => undefined });
  body.push('data: one\n\n');
  const { store, recorded, client } = await open((app, keep) => {
    app.use(koaGuard(keep, { finish: { timeoutMs: 1000 } }));
    app.use((ctx) => {
      ctx.type = 'text/event-stream';
      ctx.body = body;
    });
  });
  await client.sees('one');
  client.rst();
  await until('the guard has noticed', () => recorded.finishing.length > 0);
  expect(body.destroyed).toBe(false);
  expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
  await until('the body is let go', () => body.destroyed);
  expect(store.row).toMatchObject({ text: 'one', complete: false });
});
