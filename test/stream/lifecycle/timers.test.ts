/** Streams that a clock ends: silent handlers, clients that take nothing; and when the clocks stand still. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { soon, turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse, instance: InMemoryInstance) => unknown;

const MIB = 1024 * 1024;

describe('idleTimeoutMs', () => {
  it('ends a stream whose handler writes nothing, and reports it by signal and close', async () => {
    const told: string[] = [];
    const { instance, httpClient } = await open({ idleTimeoutMs: 50 }, (_, res, { keep }) => {
      const signal = keep.stream(res)?.signal;
      signal?.addEventListener('abort', () => told.push('abort'));
      res.on('close', () => told.push('close'));
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
    });
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'timed-out',
      side: 'upstream',
    });
    expect(instance.store.row).toMatchObject({ text: 'one ', complete: false, revision: 0 });
    expect((await httpClient.over()).whole).toBe(false);
    expect(new Set(told)).toEqual(new Set(['abort', 'close']));
    expect(told).toHaveLength(2);
  });

  it('accepts writes after the grace period without sending them, and calls back', async () => {
    const go = createGate();
    const said: unknown[] = [];
    const { instance, httpClient } = await open({ idleTimeoutMs: 50 }, async (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      await go.promise;
      said.push(res.write('late', (error) => said.push(error ?? 'no error')));
      res.end(() => said.push('callback'));
    });
    await instance.recorded.ended();
    go.open();
    await until('the handler is done', () => said.length === 3);
    expect(said).toEqual([true, 'no error', 'callback']);
    expect((await httpClient.over()).body.toString()).toBe('one ');
    expect(instance.store.row.text).toBe('one ');
  });

  it('is paused during a hold and after end()', async () => {
    const { instance, httpClient } = await open({ idleTimeoutMs: 50 }, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one' }));
      res.write(chatChunk({}, 'stop'));
      setTimeout(() => res.end('data: [DONE]\n\n'), 200);
    });
    instance.store.hold();
    await until('the store was asked', () => instance.store.waiting === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(instance.recorded.ends).toEqual([]);
    instance.store.answer();
    expect((await httpClient.over()).whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
    expect(instance.store.row).toMatchObject({ complete: true, revision: 0 });
  });

  it('is paused while the client reads nothing', async () => {
    const { instance, httpClient, testServer } = await open(
      { idleTimeoutMs: 100 },
      async (_, res) => {
        res.setHeader('content-type', 'text/plain');
        if (!res.write('x'.repeat(14 * MIB))) await once(res, 'drain');
        res.end('end');
      },
    );
    httpClient.pause();
    await until('the socket is full', () => testServer.sockets[0]?.writableNeedDrain === true);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(instance.recorded.ends).toEqual([]);
    httpClient.resume();
    expect((await httpClient.over()).whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
  });

  it('continues after the client left: disconnected, and not complete', async () => {
    const { instance, httpClient } = await open(
      { idleTimeoutMs: 200 },
      async (_, res, { recorded }) => {
        res.setHeader('content-type', 'text/plain');
        // Never silent before the client has left, however slow the machine is.
        while (recorded.finishing.length === 0) {
          res.write('one ');
          await sleep(5);
        }
      },
    );
    await httpClient.sees('one ');
    httpClient.fin();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({
      text: expect.stringMatching(/^(?:one )+$/) as string,
      complete: false,
    });
    expect(instance.recorded.finishing).toEqual([true, false]);
  });
});

describe('stallTimeoutMs', () => {
  it.each(['finish', 'keep'] as const)(
    'treats a client that reads nothing as one that left, under %s',
    async (disconnected) => {
      const returned = createGate();
      const options = { stallTimeoutMs: 100, policy: { disconnected } } as const;
      const big = 'x'.repeat(14 * MIB);
      const { instance, httpClient, testServer } = await open(options, async (_, res) => {
        res.setHeader('content-type', 'text/plain');
        if (!res.write(big)) await once(res, 'drain');
        res.end('end');
        returned.open();
      });
      httpClient.pause();
      const ended = await instance.recorded.ended();
      expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'saved' });
      await soon('the handler', returned.promise);
      await until('the socket is closed', () => testServer.closedSockets === 1);
      const finished = disconnected === 'finish';
      expect(instance.store.row.complete).toBe(finished);
      expect(instance.store.row.text.length).toBe(big.length + (finished ? 3 : 0));
    },
  );

  it('does not end a stream that is read slowly', async () => {
    const { instance, httpClient } = await open({ stallTimeoutMs: 400 }, async (_, res) => {
      res.setHeader('content-type', 'text/plain');
      if (!res.write('x'.repeat(14 * MIB))) await once(res, 'drain');
      res.end('end');
    });
    while (httpClient.reply?.whole !== true && !httpClient.gone) {
      httpClient.pause();
      await new Promise((resolve) => setTimeout(resolve, 20));
      httpClient.resume();
      await turns(2);
    }
    expect(httpClient.reply?.whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
  });
});

describe('stop()', () => {
  it('on the handle gives the outcome stopped by the server, once', async () => {
    const answers: unknown[] = [];
    const { instance, httpClient } = await open({}, (_, res, { keep }) => {
      const handle = keep.stream(res);
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      handle?.signal.addEventListener('abort', () => res.end());
      setImmediate(() => answers.push(handle?.stop('enough'), handle?.stop('again')));
    });
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped', side: 'server' });
    expect(instance.store.row).toMatchObject({ text: 'one ', complete: false, outcome: 'stopped' });
    expect(answers[0]).toBe(true);
    await httpClient.over();
  });

  it('changes nothing after the finish marker', async () => {
    let stopped: unknown;
    const { instance, httpClient } = await open({}, (_, res, { keep }) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one' }));
      res.write(chatChunk({}, 'stop'));
      stopped = keep.stream(res)?.stop();
      res.end();
    });
    expect((await httpClient.over()).whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
    expect(instance.store.row).toMatchObject({ text: 'one', complete: true, revision: 0 });
    expect(stopped).toBe(false);
  });
});

async function open(options: GuardOptions<IncomingMessage>, act: Act) {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard(
    { confirmTimeoutMs: 60_000, maxBytes: 64 * MIB, finish: { maxBytes: 64 * MIB }, ...options },
    (req: IncomingMessage, res) => act(req, res, instance),
  );
  const testServer = await serve((req, res) => void guard(req, res));
  return { instance, testServer, httpClient: await openClient(testServer, '/') };
}
