/** What each outcome's policy does, error frames, and handlers that fail after their client has gone. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { GuardOptions, Outcome } from '../../src/index.ts';
import { coded } from '../support/errors.ts';
import { chatChunk, family, line, sse, type Family } from '../support/frames.ts';
import { createInMemoryInstance, type InMemoryInstance } from '../support/in-memory-instance.ts';
import { serve } from '../support/test-server.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

type Options = GuardOptions<IncomingMessage>;
type Act = (req: IncomingMessage, res: ServerResponse, instance: InMemoryInstance) => unknown;

const chat = (res: ServerResponse): void => {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content: 'hello' }));
};

/** How a server-side end of each kind comes about. */
const ENDINGS: ReadonlyArray<readonly [Outcome, Options, Act]> = [
  ['completed', {}, (_, res) => void (chat(res), res.end(chatChunk({}, 'stop')))],
  ['truncated', {}, (_, res) => void (chat(res), res.end())],
  ['failed', {}, (_, res) => void (chat(res), setImmediate(() => res.destroy(new Error('no'))))],
  ['timed-out', { idleTimeoutMs: 50 }, (_, res) => chat(res)],
  [
    'stopped',
    {},
    (_, res, { keep }) => {
      chat(res);
      const handle = keep.stream(res);
      handle?.signal.addEventListener('abort', () => res.end());
      setImmediate(() => handle?.stop());
    },
  ],
];

describe("the policy 'discard'", () => {
  it.each(ENDINGS)('stores nothing of a stream that is %s', async (outcome, options, act) => {
    const { instance, httpClient } = await open(
      { ...options, policy: { [outcome]: 'discard' } },
      act,
    );
    expect(await instance.recorded.ended()).toMatchObject({ outcome, save: 'discarded' });
    await httpClient.over();
    expect(instance.store.asked).toEqual([]);
    expect(instance.recorded.skips).toEqual(['discarded']);
    expect(instance.recorded.dues).toBe(0);
    expect(instance.recorded.holds).toEqual([]);
  });

  it.each(ENDINGS)(
    'is not the default: a stream that is %s is stored',
    async (outcome, options, act) => {
      const { instance, httpClient } = await open(options, act);
      expect(await instance.recorded.ended()).toMatchObject({ outcome, save: 'saved' });
      await httpClient.over();
      expect(instance.store.row).toMatchObject({ text: 'hello', outcome });
      expect(instance.store.row.complete).toBe(outcome === 'completed');
    },
  );
});

describe('an error frame', () => {
  const FRAMES: ReadonlyArray<readonly [Family, string]> = [
    [family('OpenAI chat completions'), sse({ error: { message: 'overloaded', code: 500 } })],
    [
      family('Anthropic messages'),
      sse({ type: 'error', error: { type: 'overloaded_error', message: 'no' } }, 'error'),
    ],
    [family('the AI SDK'), sse({ type: 'error', errorText: 'no' })],
    [
      family('OpenAI Responses'),
      sse({ type: 'response.failed', response: { status: 'failed' } }, 'response.failed'),
    ],
    [family('Ollama'), line({ error: 'out of memory' })],
  ];

  it.each(FRAMES)('of $name gives the outcome failed by the upstream', async (known, frame) => {
    const { instance, httpClient } = await open({}, (_, res) => {
      res.setHeader('content-type', known.contentType);
      res.write(known.delta('hello'));
      res.write(frame);
      res.end();
    });
    expect((await httpClient.over()).body.toString()).toBe(known.delta('hello') + frame);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed', side: 'upstream' });
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: false, outcome: 'failed' });
    expect(instance.recorded.saves).toHaveLength(1);
  });

  it.each(FRAMES)('of $name is not undone by a later finish marker', async (known, frame) => {
    const { instance } = await open({}, (_, res) => {
      res.setHeader('content-type', known.contentType);
      res.write(known.delta('hello') + frame);
      res.end(known.finish + known.after);
    });
    expect((await instance.recorded.ended()).save).toBe('saved');
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: false });
  });
});

describe('a handler that fails after its client has left, under finish', () => {
  it.each([
    ['destroys the response', (res: ServerResponse) => void res.destroy()],
    ['destroys it with an error', (res: ServerResponse) => void res.destroy(new Error('no'))],
    [
      'throws',
      () => {
        throw coded('other side closed', 'UND_ERR_SOCKET');
      },
    ],
  ])('(it %s) is disconnected, and not complete', async (_, fail) => {
    const told: string[] = [];
    const go = createGate();
    const { instance, httpClient, testServer } = await open({}, async (_req, res) => {
      res.on('close', () => told.push('close'));
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      await go.promise;
      res.write('two');
      fail(res);
    });
    await httpClient.sees('one ');
    httpClient.fin();
    await until('the server has met the close', () => testServer.closedSockets === 1);
    go.open();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({ text: 'one two', complete: false, revision: 0 });
    await until('the handler is told', () => told.length > 0);
    expect(told).toEqual(['close']);
    expect(instance.recorded.finishing).toEqual([true, false]);
  });

  it('(it rejects, in front of errorHandler()) is saved at once', async () => {
    const instance = createInMemoryInstance();
    const go = createGate();
    const app = express().set('env', 'test');
    app.get('/', instance.keep.guard({}), async (_, res) => {
      res.type('text/plain').write('one ');
      await go.promise;
      throw new Error('no');
    });
    app.use(instance.keep.errorHandler());
    const testServer = await serve(app);
    const httpClient = await openClient(testServer, '/');
    await httpClient.sees('one ');
    httpClient.fin();
    await until('the server has met the close', () => testServer.closedSockets === 1);
    go.open();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({ text: 'one ', complete: false });
    expect(instance.logbook.errors()).toEqual([]);
  });
});

describe('a client that leaves while it sends its request body', () => {
  it.each(['finish', 'keep'] as const)(
    'does not leave a handler reading the body for ever, under %s',
    async (disconnected) => {
      const instance = createInMemoryInstance();
      let outcome: string | undefined;
      const guard = instance.keep.guard(
        { policy: { disconnected } },
        async (req: IncomingMessage, res) => {
          try {
            for await (const _ of req) outcome = 'reading';
            outcome = 'read';
          } catch (error) {
            outcome = error instanceof Error ? error.message : 'thrown';
          }
          res.end();
        },
      );
      const testServer = await serve((req, res) => void guard(req, res));
      const headers = { 'content-length': '100' };
      const httpClient = await openClient(testServer, '/', { method: 'POST', headers });
      httpClient.send('ten bytes.');
      await until('the body is being read', () => outcome === 'reading');
      httpClient.fin();
      await until('the reader is told', () => outcome !== 'reading');
      expect(outcome).toBe('aborted');
      expect(instance.recorded.told).toEqual([]);
    },
  );
});

async function open(options: Options, act: Act) {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard(options, (req: IncomingMessage, res) =>
    act(req, res, instance),
  );
  const testServer = await serve((req, res) => {
    // Without a router a failure comes back to whoever called.
    Promise.resolve(guard(req, res)).catch(() => res.destroy());
  });
  return { instance, testServer, httpClient: await openClient(testServer, '/') };
}
