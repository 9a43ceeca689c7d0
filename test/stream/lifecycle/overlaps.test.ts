/** Two things at once: `observe()` with a guard, a stop with a full client, a failure with a held end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import { openClient, type HttpClient } from '../../support/http-client.ts';

const SSE = 'text/event-stream';
const DONE = 'data: [DONE]\n\n';
const MIB = 1024 * 1024;

type Act = (req: IncomingMessage, res: ServerResponse, instance: InMemoryInstance) => unknown;

describe('observe() in front of a guard', () => {
  it('has a stream that outlives its client ended by close()', async () => {
    const { instance, httpClient } = await open((_, res) => {
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
    });
    await httpClient.sees('one');
    httpClient.fin();
    await until('it outlives its client', () => instance.recorded.finishing.length === 1);
    expect(await instance.keep.close({ deadlineMs: 100 })).toMatchObject({ saved: 1 });
    expect(instance.store.row).toMatchObject({ outcome: 'disconnected', text: 'one' });
  });

  it('shows a held end as an end', async () => {
    const said: unknown[] = [];
    const { instance, httpClient } = await open((_, res, { store }) => {
      store.hold();
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
      res.end(DONE);
      said.push(res.writableEnded, res.writableFinished);
    });
    await until('the store was asked', () => instance.store.waiting === 1);
    instance.store.answer();
    await httpClient.over();
    expect(said).toEqual([true, false]);
  });
});

describe('a stop', () => {
  it('before the first byte takes effect when the stream begins', async () => {
    const { instance, httpClient } = await open((_, res, { keep }) => {
      keep.stream(res)?.stop();
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
    });
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped', side: 'server' });
    expect((await httpClient.over()).body.toString()).toContain('one');
  });

  it('holds the finish marker that the handler writes after it', async () => {
    const { instance, httpClient } = await open((_, res, { keep, store }) => {
      store.hold();
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
      keep.stream(res)?.signal.addEventListener('abort', () => {
        res.write(DONE);
        res.write(': flushed?\n\n');
        res.end();
      });
      setImmediate(() => keep.stream(res)?.stop());
    });
    await until('the store was asked', () => instance.store.waiting === 1);
    await httpClient.sees('one');
    expect(httpClient.text).not.toContain('[DONE]');
    instance.store.answer();
    expect((await httpClient.over()).body.toString()).toContain('[DONE]');
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped' });
  });

  it('unblocks a handler whose client reads nothing', async () => {
    let drained = false;
    const { instance } = await open(async (_, res, { keep }) => {
      res.setHeader('content-type', SSE);
      for (let i = 0; i < 20; i += 1) res.write(`data: ${'x'.repeat(MIB)}\n\n`);
      keep.stream(res)?.stop();
      await once(res, 'drain');
      drained = true;
    }, true);
    await until('the handler goes on', () => drained);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped' });
  });
});

it('a handler that rejects while its end is held does not cut its client off', async () => {
  const { instance, httpClient } = await open(async (_, res, { store }) => {
    store.hold();
    res.setHeader('content-type', SSE);
    res.write('data: one\n\n');
    res.end(DONE);
    await until('the store was asked', () => store.waiting === 1);
    setTimeout(() => store.answer(), 20);
    throw new Error('after the end');
  });
  expect((await httpClient.over()).whole).toBe(true);
  expect(httpClient.text).toContain('[DONE]');
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed', side: 'server' });
});

it('a client that reads nothing is closed after end() too', async () => {
  const { instance } = await open((_, res) => {
    res.setHeader('content-type', SSE);
    for (let i = 0; i < 20; i += 1) res.write(`data: ${'x'.repeat(MIB)}\n\n`);
    res.end(DONE);
  }, true);
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
});

it('close() ends a stream that is whole and never ends by itself', async () => {
  const { instance, httpClient } = await open((_, res) => {
    res.setHeader('content-type', SSE);
    res.write('data: one\n\n');
    res.write(DONE);
  });
  await httpClient.sees('[DONE]');
  await instance.keep.close({ deadlineMs: 100 });
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
});

it('a handler that fails after the FIN of its client ends the stream as failed at once', async () => {
  const { instance, httpClient } = await open(async (req, res) => {
    res.setHeader('content-type', SSE);
    res.write('data: one\n\n');
    await once(req.socket, 'end');
    throw new Error('the model broke');
  });
  await httpClient.sees('one');
  httpClient.fin();
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed', save: 'saved' });
  expect(instance.recorded.finishing).toEqual([]);
  expect(instance.store.row).toMatchObject({ outcome: 'failed', text: 'one', complete: false });
});

async function open(
  act: Act,
  deaf = false,
): Promise<{ instance: InMemoryInstance; httpClient: HttpClient }> {
  const instance = createInMemoryInstance();
  const app = express();
  app.set('env', 'test');
  app.use(instance.keep.observe());
  app.get(
    '/',
    instance.keep.guard({ stallTimeoutMs: 300 }, (req: IncomingMessage, res: ServerResponse) =>
      act(req, res, instance),
    ),
  );
  const httpClient = await openClient(await serve(app), '/');
  if (deaf) httpClient.pause();
  return { instance, httpClient };
}
