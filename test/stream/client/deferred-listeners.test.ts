/** Listeners under `finish`: who is held back when a client leaves, who is not, and that each is told exactly once. */
import { EventEmitter, once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream';
import express from 'express';
import { expect, it } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { stream } from '../../support/leaver.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

it('a guard replaces no listener method on a request or a response whose client is connected', async () => {
  const before: unknown[] = [];
  const after: unknown[] = [];
  const { leave, go, instance } = await stream(
    {},
    (req, res) => {
      after.push(...METHODS.map((name) => [Object.hasOwn(req, name), Object.hasOwn(res, name)]));
      res.write('one ');
      void go.promise.then(() => res.end());
    },
    (req, res) => {
      before.push(...METHODS.map((name) => [Object.hasOwn(req, name), Object.hasOwn(res, name)]));
    },
  );
  await leave();
  go.open();
  await instance.recorded.ended();
  expect(after).toEqual(before);
});

it('a deferred listener is called once, in its position, however it was added', async () => {
  const told: string[] = [];
  const hears = (name: string) => () => void told.push(name);
  const { leave, go, instance } = await stream({}, (_, res) => {
    res.on('close', hears('on'));
    res.once('close', hears('once'));
    res.prependOnceListener('close', hears('prependOnce'));
    EventEmitter.prototype.addListener.call(res, 'close', hears('past the methods'));
    EventEmitter.prototype.on.call(new Proxy(res, {}), 'close', hears('by a proxy'));
    finished(res, hears('finished'));
    void once(res, 'close').then(hears('events.once'));
    res.write('one ');
    void go.promise.then(() => {
      told.push('end');
      res.end();
      return undefined;
    });
  });
  await leave();
  expect(told).toEqual([]);
  go.open();
  await instance.recorded.ended();
  await until('the events have come', () => told.includes('events.once'));
  expect(told.toSorted()).toEqual(
    [
      'by a proxy',
      'end',
      'events.once',
      'finished',
      'on',
      'once',
      'past the methods',
      'prependOnce',
    ].toSorted(),
  );
  expect(told.filter((name) => CLOSE_ORDER.includes(name))).toEqual(CLOSE_ORDER);
});

it('a deferred listener can be found, counted and removed like any other', async () => {
  let calls = 0;
  const seen: unknown[] = [];
  const hears = (): void => void (calls += 1);
  const look = (res: ServerResponse): void => {
    const mine = res.rawListeners('close').filter((raw) => raw === hears || of(raw) === hears);
    seen.push([res.listenerCount('close'), res.listenerCount('close', hears), mine.length]);
  };
  const { leave, go, instance } = await stream({}, (_, res) => {
    res.on('close', hears).once('close', hears);
    look(res);
    res.write('one ');
    void go.promise.then(() => {
      look(res);
      res.off('close', hears);
      res.off('close', hears);
      look(res);
      res.end();
      return undefined;
    });
  });
  await leave();
  go.open();
  await instance.recorded.ended();
  await turns();
  expect(seen[1]).toEqual(seen[0]);
  expect(seen[2]).toMatchObject([expect.anything(), 0, 0]);
  expect(calls).toBe(0);
});

it('a function that was added before and after the guard is called at once and again later', async () => {
  let calls = 0;
  const hears = (): void => void (calls += 1);
  const { leave, go, instance } = await stream(
    {},
    (_, res) => {
      res.on('close', hears);
      res.write('one ');
      void go.promise.then(() => res.end());
    },
    (_, res) => void res.on('close', hears),
  );
  await leave();
  expect(calls).toBe(1);
  go.open();
  await instance.recorded.ended();
  await until('the held one is told', () => calls === 2);
});

it('listeners that are added after the client left are deferred too', async () => {
  const told: string[] = [];
  const { leave, go, instance } = await stream({}, (_, res) => {
    res.write('one ');
    void go.promise.then(() => {
      res.once('finish', () => told.push('finish'));
      res.write('two');
      told.push('end');
      res.end();
      return undefined;
    });
  });
  await leave();
  go.open();
  await instance.recorded.ended();
  await until('the finish has come', () => told.includes('finish'));
  expect(told).toEqual(['end', 'finish']);
});

it.each(['finish', 'keep'] as const)(
  'a close listener that is added after the end of a response is called, under %s',
  async (disconnected) => {
    let closes = 0;
    const { leave, go, instance } = await stream({ policy: { disconnected } }, (_, res) => {
      res.write('one ');
      void go.promise.then(() => {
        res.on('close', () => (closes += 1));
        res.end('two');
        return undefined;
      });
    });
    await leave();
    go.open();
    await instance.recorded.ended();
    await turns();
    expect(closes).toBe(disconnected === 'finish' ? 1 : 0);
  },
);

it('a stop calls listeners that wait for the close of the request, but none that was called before', async () => {
  const told: string[] = [];
  const instance = createInMemoryInstance();
  const app = express();
  app.post('/', express.json(), instance.keep.guard({}), async (req, res) => {
    req.on('close', () => told.push('early'));
    res.on('close', () => told.push('response'));
    res.type('text/plain').write('one ');
    await until('the request has closed', () => told.length === 1);
    req.on('close', () => told.push('late'));
    instance.keep.stream(res)?.stop();
    told.push('stopped');
    res.end();
  });
  const headers = { 'content-type': 'application/json' };
  const httpClient = await openClient(await serve(app), '/', {
    method: 'POST',
    headers,
    body: '{}',
  });
  await httpClient.over();
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped' });
  await turns();
  expect(told).toEqual(['early', 'response', 'late', 'stopped']);
});

it('a close event that the app emits itself reaches all listeners at once', async () => {
  const told: string[] = [];
  const instance = createInMemoryInstance();
  const app = express();
  app.get('/', instance.keep.guard({}), (req: IncomingMessage, res) => {
    res.on('close', () => told.push('close'));
    res.type('text/plain').write('one ');
    req.socket.once('end', () => {
      res.emit('close');
      told.push('by hand');
      res.end('two');
    });
  });
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/');
  await httpClient.sees('one ');
  httpClient.fin();
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'disconnected' });
  await until('the connection is closed', () => testServer.closedSockets === 1);
  await turns();
  expect(told).toEqual(['close', 'by hand', 'close']);
  expect(instance.store.row.text).toBe('one two');
});

it('many deferred listeners cause only one MaxListenersExceededWarning', async () => {
  const warnings: string[] = [];
  const warned = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', warned);
  const { leave, go, instance } = await stream({}, (_, res) => {
    for (let count = 0; count < 20; count += 1) res.on('close', () => {});
    res.write('one ');
    void go.promise.then(() => res.end());
  });
  await leave();
  go.open();
  await instance.recorded.ended();
  await turns();
  process.off('warning', warned);
  expect(warnings).toEqual(['MaxListenersExceededWarning']);
});

const METHODS = ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'] as const;

/** The order in which the listeners of one event are called. */
const CLOSE_ORDER = ['prependOnce', 'on', 'once', 'past the methods', 'by a proxy'];

/** The function that somebody gave, behind what was registered for it. */
function of(raw: unknown): unknown {
  return (raw as { listener?: unknown }).listener;
}

it('a stop ends the answer even if tracing has bound every listener to its context', async () => {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard({}, (_req, res: ServerResponse) => {
    res.setHeader('content-type', 'text/event-stream');
    res.write(': one\n\n');
    const { signal } = instance.keep.stream(res) ?? {};
    signal?.addEventListener('abort', () => setImmediate(() => res.end()));
    setImmediate(() => instance.keep.stream(res)?.stop());
  });
  const testServer = await serve((req, res) => {
    for (const emitter of [req, res]) bindListeners(emitter);
    void guard(req, res);
  });
  const httpClient = await openClient(testServer, '/');
  expect((await httpClient.over()).whole).toBe(true);
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped' });
});

/** As a context manager of OpenTelemetry does it: what is registered is a function around the listener. */
function bindListeners(emitter: EventEmitter): void {
  for (const name of METHODS) {
    const method = emitter[name].bind(emitter);
    const value = (type: string, listener: (...args: unknown[]) => void): EventEmitter =>
      method(type, (...args) => Reflect.apply(listener, emitter, args));
    Object.defineProperty(emitter, name, { value, configurable: true, writable: true });
  }
}
