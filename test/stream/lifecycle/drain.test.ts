/** `close()` with streams alive: half of the deadline to end by themselves, then interrupted, and everything kept. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse, instance: InMemoryInstance) => unknown;

describe('close()', () => {
  it('interrupts a stream that does not end, saves it, and cuts its client off', async () => {
    const said: unknown[] = [];
    const go = createGate();
    const { instance, httpClient } = await open(async (_, res, { keep }) => {
      const signal = keep.stream(res)?.signal;
      signal?.addEventListener('abort', () => said.push('abort'));
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      await go.promise;
      said.push(res.write('late'));
      res.end(() => said.push('callback'));
    });
    await httpClient.sees('one ');
    const report = await instance.keep.close({ deadlineMs: 200 });
    expect(report).toEqual({ saved: 1, journaled: 0, lost: 0, refused: 0 });
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'interrupted',
      side: 'server',
    });
    expect(instance.store.row).toMatchObject({ text: 'one ', complete: false, revision: 0 });
    expect((await httpClient.over()).whole).toBe(false);
    expect(instance.store.closed).toBe(true);
    go.open();
    await until('the handler is done', () => said.includes('callback'));
    expect(said).toEqual(['abort', true, 'callback']);
    expect(instance.store.row.text).toBe('one ');
    expect(instance.recorded.internalErrors).toEqual([]);
  });

  it.each([
    ['ends its answer regularly', (res: ServerResponse) => void res.end('late')],
    ['destroys its response', (res: ServerResponse) => void res.destroy()],
    ['rejects', () => Promise.reject(new Error('aborted'))],
  ])(
    'cuts a client off whose handler then %s: the client must not see a clean end',
    async (_, act) => {
      const { instance, httpClient } = await open(async (_req, res, { keep }) => {
        const signal = keep.stream(res)?.signal;
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        await new Promise<void>((resolve) => {
          signal?.addEventListener('abort', () => resolve());
        });
        return act(res);
      });
      await httpClient.sees('one ');
      instance.store.hold();
      const closing = instance.keep.close({ deadlineMs: 2000 });
      await until('its message is on its way', () => instance.store.waiting === 1);
      await turns();
      instance.store.answer();
      expect(await closing).toEqual({ saved: 1, journaled: 0, lost: 0, refused: 0 });
      expect(await instance.recorded.ended()).toMatchObject({
        outcome: 'interrupted',
        side: 'server',
      });
      expect((await httpClient.over()).whole).toBe(false);
      expect(httpClient.text).toBe('one ');
      expect(instance.store.row).toMatchObject({ text: 'one ', complete: false, revision: 0 });
    },
  );

  it('waits for a stream that ends by itself', async () => {
    const go = createGate();
    const { instance, httpClient } = await open(async (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      await go.promise;
      res.end('two');
    });
    await httpClient.sees('one ');
    const closing = instance.keep.close({ deadlineMs: 60_000 });
    go.open();
    expect(await closing).toEqual({ saved: 1, journaled: 0, lost: 0, refused: 0 });
    expect((await httpClient.over()).body.toString()).toBe('one two');
    expect(instance.store.row).toMatchObject({
      text: 'one two',
      complete: true,
      outcome: 'completed',
    });
  });

  it('waits for a save that holds a frame', async () => {
    const { instance, httpClient } = await open((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'one' }) + chatChunk({}, 'stop'));
    });
    instance.store.hold();
    await until('the store was asked', () => instance.store.waiting === 1);
    const closing = instance.keep.close({ deadlineMs: 60_000 });
    await turns();
    instance.store.answer();
    await closing;
    expect((await httpClient.over()).whole).toBe(true);
    expect(instance.store.row).toMatchObject({ text: 'one', complete: true, outcome: 'completed' });
    expect(instance.recorded.saves).toMatchObject([{ result: 'saved' }]);
  });

  it('returns the number of lost messages within its deadline, and never rejects', async () => {
    const { instance, httpClient } = await open((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
    });
    await httpClient.sees('one ');
    instance.store.fail(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
    expect(await instance.keep.close({ deadlineMs: 300 })).toEqual({
      saved: 0,
      journaled: 0,
      lost: 1,
      refused: 0,
    });
    expect(instance.recorded.saves).toMatchObject([{ result: 'lost' }]);
    expect(instance.logbook.errors().join(' ')).toContain('lost');
  });

  it('called twice closes once, and health is failing from the first call on', async () => {
    const instance = createInMemoryInstance();
    expect(instance.keep.health().status).toBe('healthy');
    const first = instance.keep.close();
    expect(instance.keep.health().status).toBe('failing');
    expect(await instance.keep.close()).toEqual(await first);
  });

  it('saves a stream that begins meanwhile', async () => {
    const { instance, testServer, httpClient } = await open((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
    });
    await httpClient.sees('one ');
    const closing = instance.keep.close({ deadlineMs: 1000 });
    const late = await openClient(testServer, '/');
    await late.sees('one ');
    expect(await closing).toEqual({ saved: 2, journaled: 0, lost: 0, refused: 0 });
    expect([...instance.store.rows.values()]).toMatchObject([
      { text: 'one ', outcome: 'interrupted' },
      { text: 'one ', outcome: 'interrupted' },
    ]);
  });

  it('answers 503 afterwards to what could not be kept', async () => {
    const { instance, testServer } = await open((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      res.end('two');
    });
    await instance.keep.close({ deadlineMs: 100 });
    const httpClient = await openClient(testServer, '/');
    const { status, body } = await httpClient.over();
    expect([status, body.toString()]).toEqual([503, '{"error":"shutting down"}']);
  });
});

it('flush() resolves when every due message has its result', async () => {
  const { instance, httpClient } = await open((_, res) => {
    res.setHeader('content-type', 'text/event-stream');
    res.end(chatChunk({ content: 'one' }) + chatChunk({}, 'stop'));
  });
  instance.store.hold();
  await until('the store was asked', () => instance.store.waiting === 1);
  let flushed = false;
  const flushing = instance.keep.flush().then(() => (flushed = true));
  await turns(20);
  expect(flushed).toBe(false);
  instance.store.answer();
  await flushing;
  expect(instance.recorded.saves).toMatchObject([{ result: 'saved' }]);
  await httpClient.over();
});

async function open(act: Act) {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard({ confirmTimeoutMs: 60_000 }, (req: IncomingMessage, res) =>
    act(req, res, instance),
  );
  const testServer = await serve((req, res) => {
    // What a handler rejects with is its app's to meet.
    Promise.resolve(guard(req, res)).catch(() => undefined);
  });
  return { instance, testServer, httpClient: await openClient(testServer, '/') };
}
