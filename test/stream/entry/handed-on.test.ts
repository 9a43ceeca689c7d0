/** What a handler hands on: to the next one, to the router, to the error handlers; and responses that were never its own. */
import type { ServerResponse } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import express4 from 'express4';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { turns, until } from '../../support/until.ts';
import { request, openClient } from '../../support/http-client.ts';

const FRAMEWORKS = [
  ['Express 5', express],
  ['Express 4', express4],
] as const;

describe.each(FRAMEWORKS)('a guarded handler of %s', (_, framework) => {
  it.each([
    ['nothing', undefined, 'second'],
    ['null', null, 'second'],
    ["'route'", 'route', 'other route'],
    ["'router'", 'router', 'other router'],
  ] as const)(
    'that begins and calls next with %s does not fail the stream: %s',
    async (_what, word, end) => {
      const instance = createInMemoryInstance();
      const ends = (text: string) => (_req: Request, res: Response) => void res.end(text);
      const router = framework.Router();
      router.get(
        '/',
        instance.keep.guard({}, (_req, res: ServerResponse, next) => {
          res.setHeader('content-type', 'text/plain');
          res.write('one ');
          next(word);
        }),
        ends('second'),
      );
      router.get('/', ends('other route'));
      const app = framework().set('env', 'test').use(router).get('/', ends('other router'));
      app.use(instance.keep.errorHandler());
      const { body, whole } = await (await openClient(await serve(app), '/')).over();
      expect([whole, body.toString()]).toEqual([true, `one ${end}`]);
      expect(await instance.recorded.ended()).toMatchObject({
        outcome: 'completed',
        side: 'server',
      });
      expect(instance.store.row).toMatchObject({ text: `one ${end}`, complete: true, revision: 0 });
    },
  );

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['false', false],
    ['an empty string', ''],
  ])('that rejects with %s has failed, and its client is cut off', async (_what, reason) => {
    const instance = createInMemoryInstance();
    const met: unknown[] = [];
    const app = framework().set('env', 'test');
    app.get(
      '/',
      instance.keep.guard({}, (_req, res: ServerResponse) => {
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        return Promise.reject(reason);
      }),
    );
    app.use(instance.keep.errorHandler());
    app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      met.push(error);
      res.destroy();
    });
    const httpClient = await openClient(await serve(app), '/');
    expect((await httpClient.over()).whole).toBe(false);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed', side: 'server' });
    expect(instance.store.row).toMatchObject({ text: 'one ', complete: false });
    expect(met).toHaveLength(1);
    expect(met[0]).toBeInstanceOf(Error);
  });
});

describe('a guard on a response that has already ended', () => {
  it.each(['json', 'text/event-stream'])('does not touch it: %s', async (type) => {
    const instance = createInMemoryInstance();
    const later: unknown[] = [];
    const app = express();
    app.use((_req, res, next) => {
      res.type(type).end('data: all\n\n');
      next();
    });
    app.get('/', instance.keep.guard({}), (_req, res) => {
      later.push(
        instance.keep.stream(res)?.outcome,
        res.writableEnded,
        res.write('late', () => {}),
      );
      res.on('error', (error) => later.push(error.message));
    });
    const reply = await (await openClient(await serve(app), '/')).over();
    expect(reply.body.toString()).toBe('data: all\n\n');
    expect(reply.headers['x-stream-id']).toBeUndefined();
    await until('the handler has met the error', () => later.length === 4);
    expect(later).toEqual([undefined, true, false, 'write after end']);
    expect(instance.recorded.told.filter((name) => name !== 'onRoute')).toEqual([]);
  });
});

describe("write('') after the client has left", () => {
  it.each(['finish', 'keep'] as const)(
    'is accepted without an error, under %s',
    async (disconnected) => {
      const instance = createInMemoryInstance();
      const go = createGate();
      const said: unknown[] = [];
      const guard = instance.keep.guard(
        { route: '/', policy: { disconnected } },
        async (_req, res: ServerResponse) => {
          res.setHeader('content-type', 'text/plain');
          res.write('one ');
          await go.promise;
          said.push(res.write('', (error) => said.push(error ?? 'no error')));
          said.push(res.write(new Uint8Array(), (error) => said.push(error ?? 'no error')));
          res.end('', () => said.push('ended'));
        },
      );
      const testServer = await serve((req, res) => void guard(req, res));
      const httpClient = await openClient(testServer, '/');
      await httpClient.sees('one ');
      httpClient.fin();
      await until('the server has met the close', () => testServer.closedSockets === 1);
      await turns();
      go.open();
      await until('the handler is done', () => said.length === 5);
      expect(said).toEqual([true, true, 'no error', 'no error', 'ended']);
      expect(await instance.recorded.ended()).toMatchObject({ outcome: 'disconnected' });
      expect(instance.store.row).toMatchObject({
        text: 'one ',
        complete: disconnected === 'finish',
      });
    },
  );
});

it('fifty answers on one connection add no more listeners than one', async () => {
  const instance = createInMemoryInstance();
  const counts: unknown[] = [];
  const app = express();
  app.use((req, _res, next) => {
    const { socket } = req;
    const names = socket.eventNames();
    counts.push(Object.fromEntries(names.map((name) => [name, socket.listenerCount(name)])));
    next();
  });
  const guard = instance.keep.guard({ stallTimeoutMs: 60_000, idleTimeoutMs: 60_000 });
  app.get('/', instance.keep.observe(), guard, (_req, res) => {
    res.type('text/plain').write('one ');
    setImmediate(() => res.end('two'));
  });
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/');
  for (let count = 1; count <= 50; count += 1) {
    await instance.recorded.ended(count);
    httpClient.send(request('/'));
  }
  await instance.recorded.ended(51);
  expect(testServer.sockets).toHaveLength(1);
  expect(counts).toHaveLength(51);
  expect(counts).toEqual(counts.map(() => counts[0]));
});
