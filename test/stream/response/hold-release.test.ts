/** How a held frame gets free when all does not go well, and what happens to a stream that goes on after it. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { coded } from '../../support/errors.ts';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { turns, until } from '../../support/until.ts';
import { openClient, EXIT_MODES } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse) => void;
type Options = Parameters<typeof createInMemoryInstance>[0];

const FINISH = chatChunk({}, 'stop');
const DONE = 'data: [DONE]\n\n';

const answer: Act = (_, res) => {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content: 'hello' }));
  res.write(FINISH);
  res.end(DONE);
};

describe('a client that leaves during a hold', () => {
  it.each(EXIT_MODES)('by %s does not change the outcome: completed and saved', async (way) => {
    const told: string[] = [];
    const instance = await open({}, (_, res) => {
      res.on('close', () => told.push('close'));
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'hello' }));
      res.write(FINISH);
      res.end(DONE, () => told.push('callback'));
    });
    instance.store.hold();
    const { testServer, httpClient } = await instance.ask();
    await httpClient.sees('hello');
    await until('the store was asked', () => instance.store.waiting === 1);
    httpClient[way]();
    if (way === 'rst') {
      await until('the server has met the close', () => testServer.closedSockets === 1);
    }
    await turns();
    instance.store.answer();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'completed',
      side: 'server',
      save: 'saved',
    });
    expect(httpClient.text).not.toContain('finish_reason":"stop');
    // Who closes may still read; only a reset says that nobody does.
    expect(instance.recorded.holds).toEqual([way === 'rst' ? 'client-gone' : 'saved']);
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: true, revision: 0 });
    await until('the handler was told', () => told.length === 2);
    expect(told.toSorted()).toEqual(['callback', 'close']);
  });

  it('after a plain end() has a complete answer too', async () => {
    const instance = await open({ policy: { disconnected: 'keep' } }, (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      res.end('two');
    });
    instance.store.hold();
    const { httpClient } = await instance.ask();
    await httpClient.sees('one ');
    await until('the store was asked', () => instance.store.waiting === 1);
    httpClient.rst();
    await until('the client has gone', () => instance.recorded.holds.length === 1);
    instance.store.answer();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
    expect(instance.store.row).toMatchObject({ text: 'one two', complete: true });
  });
});

describe('a store that does not answer', () => {
  it('delays the frame by confirmTimeoutMs, and the message is saved when it answers', async () => {
    const instance = await open({ confirmTimeoutMs: 30 }, answer);
    instance.store.hold();
    const { httpClient } = await instance.ask();
    const reply = await httpClient.over();
    expect(reply.whole).toBe(true);
    expect(reply.body.toString()).toContain(FINISH + DONE);
    expect(instance.recorded.holds).toEqual(['unconfirmed']);
    expect(instance.recorded.saves).toEqual([]);
    expect(instance.recorded.ends).toEqual([]);
    expect(instance.logbook.errors()).not.toEqual([]);
    expect(instance.logbook.errors().join(' ')).not.toContain('hello');
    instance.store.answer();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: true });
    expect(instance.recorded.saves).toMatchObject([{ result: 'saved', kind: 'first' }]);
  });

  it('for missingAfterMs makes the message missing, and its late answer is counted as such', async () => {
    const instance = await open({ confirmTimeoutMs: 20, missingAfterMs: 1000 }, answer);
    instance.store.hold();
    await instance.ask();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'completed',
      save: 'missing',
    });
    instance.store.answer();
    await until('the late answer', () => instance.recorded.saves.length === 2);
    expect(instance.recorded.saves).toMatchObject([
      { result: 'missing', kind: 'first' },
      { result: 'saved', kind: 'late' },
    ]);
    expect(instance.store.row.text).toBe('hello');
  });

  it('leaves no report of a hold if nothing was held', async () => {
    const policy = { disconnected: 'keep' } as const;
    const instance = await open(
      { confirmTimeoutMs: 20, missingAfterMs: 1000, policy },
      (_, res) => {
        res.setHeader('content-type', 'text/event-stream');
        res.write(chatChunk({ content: 'hello' }));
      },
    );
    instance.store.hold();
    const { httpClient } = await instance.ask();
    await httpClient.sees('hello');
    httpClient.fin();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      save: 'missing',
    });
    expect(instance.recorded.holds).toEqual([]);
    expect(instance.logbook.errors().join()).not.toContain('before its message was safe');
  });

  it('but fails, without a journal: the message is tried again until it is saved', async () => {
    const instance = await open({ confirmTimeoutMs: 20 }, answer);
    instance.store.fail(coded('connect', 'ECONNREFUSED'));
    const { httpClient } = await instance.ask();
    expect((await httpClient.over()).whole).toBe(true);
    expect(instance.recorded.holds).toEqual(['unconfirmed']);
    await until('it was tried again', () => instance.store.asked.length > 1);
    instance.store.fail(undefined);
    const ended = await instance.recorded.ended();
    expect(ended).toMatchObject({ save: 'saved' });
    expect(ended.saveAttempts).toBeGreaterThan(1);
    expect(instance.store.row.text).toBe('hello');
  });

  it('and keeps failing, without a journal: the message is lost and logged', async () => {
    const instance = await open({ confirmTimeoutMs: 20, missingAfterMs: 1000 }, answer);
    instance.store.fail(coded('connect', 'ECONNREFUSED'));
    await instance.ask();
    expect(await instance.recorded.ended()).toMatchObject({
      save: 'lost',
      errorType: 'ECONNREFUSED',
    });
    expect(instance.logbook.errors().join(' ')).toContain('lost');
    expect(instance.logbook.errors().join(' ')).not.toContain('hello');
  });

  it('delays nothing with a journal: the frame is released once the message is on disk', async () => {
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-hold-'));
    onTestFinished(() => rm(journal, { recursive: true, force: true }));
    const instance = await open({ confirmTimeoutMs: 30_000 }, answer, { journal });
    instance.store.fail(coded('connect', 'ECONNREFUSED'));
    const { httpClient } = await instance.ask();
    expect((await httpClient.over()).whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'completed',
      save: 'journaled',
    });
    expect(instance.recorded.holds).toEqual(['journaled']);
    instance.store.fail(undefined);
    await until('it was replayed', () => instance.store.rows.size === 1);
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: true });
  });
});

describe('a stream that goes on after its terminal frame', () => {
  it('is reopened by more text: one row, revision 1, the last fact decides', async () => {
    const go = createGate();
    const instance = await open({}, async (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one ' }) + FINISH);
      await go.promise;
      res.write(chatChunk({ content: 'two' }));
      res.write(FINISH);
      res.end(DONE);
    });
    const { httpClient } = await instance.ask();
    await httpClient.sees(FINISH);
    expect(instance.store.row).toMatchObject({ text: 'one ', revision: 0, complete: true });
    expect(instance.recorded.ends).toEqual([]);
    go.open();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect((await httpClient.over()).whole).toBe(true);
    expect(instance.store.row).toMatchObject({ text: 'one two', revision: 1, complete: true });
    expect(instance.recorded.saves).toMatchObject([{ kind: 'first' }, { kind: 'revised' }]);
    expect(instance.recorded.dues).toBe(1);
    expect(instance.recorded.ends).toHaveLength(1);
  });

  it('is not reopened by frames without text', async () => {
    const go = createGate();
    const instance = await open({}, async (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one' }) + FINISH);
      await go.promise;
      res.write(': a comment\n\n');
      res.write(
        'data: {"object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":3}}\n\n',
      );
      res.end(DONE);
    });
    const { httpClient } = await instance.ask();
    await httpClient.sees(FINISH);
    go.open();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: 'one', revision: 0, complete: true });
    expect(instance.recorded.saves).toHaveLength(1);
  });

  it.each([
    [
      'a throw',
      (): never => {
        throw new Error('after the end');
      },
    ],
    ['destroy(error)', (res: ServerResponse): void => void res.destroy(new Error('after the end'))],
  ] as const)(
    'has failed by %s: revision 1, in the row and for the observer',
    async (_name, fail) => {
      const go = createGate();
      const instance = await open({}, async (_, res) => {
        res.setHeader('content-type', 'text/event-stream');
        res.write(chatChunk({ content: 'one' }) + FINISH);
        await go.promise;
        fail(res);
      });
      const { httpClient } = await instance.ask();
      await httpClient.sees(FINISH);
      go.open();
      expect(await instance.recorded.ended()).toMatchObject({
        outcome: 'failed',
        side: 'server',
        save: 'saved',
      });
      expect(instance.store.row).toMatchObject({
        text: 'one',
        revision: 1,
        complete: false,
        outcome: 'failed',
        side: 'server',
      });
      expect(instance.recorded.ends).toHaveLength(1);
      expect((await httpClient.over()).whole).toBe(false);
    },
  );
});

/** An app whose one route is wrapped in a guard; `ask` sends a request to it. */
async function open(
  options: GuardOptions,
  act: Act | ((...given: Parameters<Act>) => Promise<void>),
  all: Options = {},
) {
  const instance = createInMemoryInstance(all);
  const app = express().set('env', 'test');
  app.get('/', instance.keep.guard({ confirmTimeoutMs: 60_000, ...options }, act));
  const testServer = await serve(app);
  return {
    ...instance,
    ask: async () => ({ testServer, httpClient: await openClient(testServer, '/') }),
  };
}
