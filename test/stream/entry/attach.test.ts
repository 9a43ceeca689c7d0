/** What a guard does where it cannot do its work as usual: strange responses, silent sockets, an instance that closes. */
import { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

describe('a response that cannot be guarded', () => {
  it('is answered by the app unguarded, and counted', async () => {
    const { keep, recorded, logbook } = createInMemoryInstance();
    const guard = keep.guard();
    const testServer = await serve((req, res) => {
      void guard(Object.freeze(Object.create(req)), Object.freeze(Object.create(res)), () =>
        res.end('fine'),
      );
    });
    for (let count = 0; count < 2; count += 1) {
      const { body, status } = await (await openClient(testServer, '/')).over();
      expect([status, body.toString()]).toEqual([200, 'fine']);
    }
    expect(recorded.internalErrors.map(({ where }) => where)).toEqual(['stream', 'stream']);
    const told = logbook.lines.filter(({ text }) => text.includes('could not be guarded'));
    expect(told).toHaveLength(1);
  });
});

describe('a response whose write cannot be assigned', () => {
  const { prototype } = ServerResponse;
  const accessor = { get: () => prototype.write, set: () => {}, configurable: true };
  const readOnly = { value: prototype.write, writable: false, configurable: true };
  it.each([
    ['a setter of its class', (res: object) => inherit(res, accessor)],
    ['a read-only method of its class', (res: object) => inherit(res, readOnly)],
    ['a setter of its own', (res: object) => Object.defineProperty(res, 'write', accessor)],
    [
      'a read-only method of its own',
      (res: object) => Object.defineProperty(res, 'write', readOnly),
    ],
  ])('is guarded nevertheless: %s', async (_, make) => {
    const { keep, store, recorded } = createInMemoryInstance();
    const guard = keep.guard();
    const testServer = await serve((req, res) => {
      make(res);
      void guard(req, res, () => {
        res.setHeader('content-type', 'text/event-stream');
        res.write(chatChunk({ content: 'one' }));
        res.end(chatChunk({}, 'stop'));
      });
    });
    await (await openClient(testServer, '/')).over();
    await recorded.ended();
    expect(store.row).toMatchObject({ text: 'one', complete: true });
  });

  function inherit(res: object, write: PropertyDescriptor): void {
    Object.setPrototypeOf(res, Object.create(prototype, { write }));
  }
});

describe('a handler that removes all close listeners from its socket', () => {
  it('has its client noticed as gone at its next write', async () => {
    const { keep, store, recorded } = createInMemoryInstance();
    const testServer = await serve((req, res) => {
      const guard = keep.guard({ policy: { disconnected: 'keep' } }, async () => {
        req.socket.removeAllListeners('close');
        res.setHeader('content-type', 'text/event-stream');
        res.write(chatChunk({ content: 'one' }));
        await until('the client has left', () => req.socket.destroyed);
        await delay(1);
        res.write(chatChunk({ content: ' two' }));
        res.end(chatChunk({}, 'stop'));
      });
      void guard(req, res);
    });
    const client = await openClient(testServer, '/');
    await client.sees('one');
    client.rst();
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(store.row).toMatchObject({ text: 'one', complete: false });
  });

  it('has its client noticed as gone even if it never writes again', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const { keep, recorded } = createInMemoryInstance();
      let gone = false;
      const testServer = await serve((req, res) => {
        const guard = keep.guard({ policy: { disconnected: 'keep' } }, async () => {
          req.socket.removeAllListeners('close');
          res.setHeader('content-type', 'text/event-stream');
          res.write(chatChunk({ content: 'one' }));
          await until('the client has left', () => req.socket.destroyed);
          gone = true;
        });
        void guard(req, res);
      });
      const client = await openClient(testServer, '/');
      await client.sees('one');
      client.fin();
      await until('the client has left', () => gone);
      expect(recorded.ends).toEqual([]);
      vi.advanceTimersByTime(5_000);
      expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('a guard after close()', () => {
  it('answers 503 before the first byte, and calls no handler', async () => {
    const { keep } = createInMemoryInstance();
    let called = 0;
    const guard = keep.guard({}, (_, res) => {
      called += 1;
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'one' }, 'stop'));
    });
    const testServer = await serve((req, res) => void guard(req, res));
    expect((await (await openClient(testServer, '/')).over()).status).toBe(200);
    await keep.close({ deadlineMs: 100 });
    const { status, headers } = await (await openClient(testServer, '/')).over();
    expect(status).toBe(503);
    expect(headers).toMatchObject({ connection: 'close', 'retry-after': '1' });
    expect(called).toBe(1);
  });
});
