/** A detached response: what its handler does not see after the client has left, what it sees, how it ends. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { stream, type Act } from '../../support/leaver.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { request, openClient } from '../../support/http-client.ts';

const EVENTS: ReadonlyArray<readonly [of: 'req' | 'res', name: string]> = [
  ['res', 'finish'],
  ['res', 'close'],
  ['res', 'error'],
  ['req', 'aborted'],
  ['req', 'error'],
  ['req', 'close'],
];

describe('a handler whose client left under finish', () => {
  it('gets every event exactly once, after its own end', async () => {
    const told: string[] = [];
    let toldBeforeItsEnd: readonly string[] | undefined;
    const { leave, go, instance } = await stream({}, (req, res) => {
      for (const [of, name] of EVENTS) {
        (of === 'req' ? req : res).on(name, () => told.push(`${of} ${name}`));
      }
      res.write('one ');
      void go.promise.then(() => {
        res.write('two');
        toldBeforeItsEnd = [...told];
        res.end(() => told.push('callback'));
        return undefined;
      });
    });
    await leave();
    go.open();
    await until('the detached response has ended', () => told.includes('res close'));
    await turns();
    expect(toldBeforeItsEnd).toEqual([]);
    expect(told.slice(0, 2)).toEqual(['callback', 'res finish']);
    expect(told.slice(2).toSorted()).toEqual([
      'req aborted',
      'req close',
      'req error',
      'res close',
    ]);
    await instance.recorded.ended();
    expect(instance.store.row).toMatchObject({ text: 'one two', complete: true });
  });

  it('reads the same state as with a connected client', async () => {
    let during: unknown;
    let after: unknown;
    const { leave, go, instance } = await stream({}, (req, res) => {
      res.write('one ');
      void go.promise.then(() => {
        during = [stateOf(res), stateOf(req)];
        res.end(() => {
          after = stateOf(res);
        });
        return undefined;
      });
    });
    await leave();
    go.open();
    await instance.recorded.ended();
    expect(during).toMatchObject([
      {
        destroyed: false,
        closed: false,
        errored: null,
        writable: true,
        writableEnded: false,
        finished: false,
        writableFinished: false,
        writableNeedDrain: false,
        writableLength: 0,
      },
      { destroyed: false, closed: false, errored: null, aborted: false },
    ]);
    expect(after).toMatchObject({ writableEnded: true, finished: true, writableFinished: true });
  });

  it('has its writes accepted: true, and a callback without an error', async () => {
    const answers: unknown[] = [];
    const { leave, go, instance } = await stream({}, (_, res) => {
      res.write('one ');
      void go.promise.then(() => {
        answers.push(res.write('two ', (error) => answers.push(error ?? 'no error')));
        answers.push(res.write(Buffer.from('three')));
        res.end();
        return undefined;
      });
    });
    await leave();
    go.open();
    await instance.recorded.ended();
    expect(answers).toEqual([true, true, 'no error']);
    expect(instance.store.row.text).toBe('one two three');
  });

  it('reads a cork count of 0 after cork and uncork', async () => {
    const corked: unknown[] = [];
    const { leave, go, instance } = await stream({}, (_, res) => {
      res.write('one ');
      void go.promise.then(() => {
        res.cork();
        res.write('two');
        res.uncork();
        corked.push(res.writableCorked);
        res.end();
        return undefined;
      });
    });
    await leave();
    go.open();
    await instance.recorded.ended();
    expect(corked).toEqual([0]);
    expect(instance.store.row.text).toBe('one two');
  });

  it('can find and remove its deferred listeners', async () => {
    let calls = 0;
    let found: unknown;
    const hears = (): void => {
      calls += 1;
    };
    const { leave, go, instance } = await stream({}, (req, res) => {
      res.on('close', hears);
      res.once('close', hears);
      res.prependListener('close', hears);
      req.prependOnceListener('aborted', hears);
      req.addListener('close', hears);
      res.write('one ');
      void go.promise.then(() => {
        found = res.listeners('close').filter((listener) => listener === hears).length;
        for (let count = 0; count < 3; count += 1) res.off('close', hears);
        req.removeListener('aborted', hears);
        req.off('close', hears);
        res.end();
        return undefined;
      });
    });
    await leave();
    go.open();
    await instance.recorded.ended();
    await turns();
    expect(found).toBe(3);
    expect(calls).toBe(0);
  });

  it('has listeners that were added before the guard called at once', async () => {
    const told: string[] = [];
    const before: Act = (req, res) => {
      res.on('close', () => told.push('early res close'));
      req.on('aborted', () => told.push('early aborted'));
    };
    const { leave, go, instance } = await stream(
      {},
      (_, res) => {
        res.on('close', () => told.push('late res close'));
        res.write('one ');
        void go.promise.then(() => res.end());
      },
      before,
    );
    await leave();
    expect(told.toSorted()).toEqual(['early aborted', 'early res close']);
    go.open();
    await instance.recorded.ended();
    await until('the held event', () => told.includes('late res close'));
    expect(told).toHaveLength(3);
  });
});

describe('an event that is not the client leaving', () => {
  it('is the close of a request whose body was read', async () => {
    const told: string[] = [];
    const instance = createInMemoryInstance();
    const app = express();
    app.post('/answer', instance.keep.guard({}), express.json(), (req, res) => {
      req.on('close', () => told.push('req close'));
      res.type('text/plain').write('one ');
      setImmediate(() => {
        told.push('end');
        res.end('two');
      });
    });
    const testServer = await serve(app);
    const headers = { 'content-type': 'application/json' };
    const httpClient = await openClient(testServer, '/answer', {
      method: 'POST',
      headers,
      body: '{}',
    });
    expect((await httpClient.over()).body.toString()).toBe('one two');
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
    expect(told.toSorted()).toEqual(['end', 'req close']);
  });
});

it('a connection that serves one request after the other keeps no listener', async () => {
  const instance = createInMemoryInstance();
  const counts: unknown[] = [];
  const app = express();
  app.get(
    '/answer',
    (req, _, next) => {
      const names = req.socket.eventNames();
      counts.push(Object.fromEntries(names.map((name) => [name, req.socket.listenerCount(name)])));
      next();
    },
    instance.keep.guard({}),
    (_, res) => {
      res.type('text/plain').write('one ');
      setImmediate(() => res.end('two'));
    },
  );
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/answer');
  for (let count = 1; count <= 4; count += 1) {
    await instance.recorded.ended(count);
    httpClient.send(request('/answer'));
  }
  await instance.recorded.ended(5);
  expect(testServer.sockets).toHaveLength(1);
  expect(counts).toEqual(counts.map(() => counts[0]));
});

function stateOf(message: IncomingMessage | ServerResponse): Record<string, unknown> {
  const names = [
    'destroyed',
    'closed',
    'errored',
    'aborted',
    'writable',
    'writableEnded',
    'finished',
    'writableFinished',
    'writableNeedDrain',
    'writableLength',
  ];
  return Object.fromEntries(
    names.filter((name) => name in message).map((name) => [name, Reflect.get(message, name)]),
  );
}
