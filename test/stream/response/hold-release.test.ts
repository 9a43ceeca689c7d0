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
import { createKept } from '../../support/kept.ts';
import { serve } from '../../support/site.ts';
import { createGate } from '../../support/tap.ts';
import { turns, until } from '../../support/until.ts';
import { visit, WAYS_TO_LEAVE } from '../../support/visitor.ts';

type Act = (req: IncomingMessage, res: ServerResponse) => void;
type Options = Parameters<typeof createKept>[0];

const FINISH = chatChunk({}, 'stop');
const DONE = 'data: [DONE]\n\n';

const answer: Act = (_, res) => {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content: 'hello' }));
  res.write(FINISH);
  res.end(DONE);
};

describe('a client that goes during a hold', () => {
  it.each(WAYS_TO_LEAVE)(
    'by %s changes nothing: completed, saved, nothing released',
    async (way) => {
      const told: string[] = [];
      const kept = await open({}, (_, res) => {
        res.on('close', () => told.push('close'));
        res.setHeader('content-type', 'text/event-stream');
        res.write(chatChunk({ content: 'hello' }));
        res.write(FINISH);
        res.end(DONE, () => told.push('callback'));
      });
      kept.store.hold();
      const { site, visitor } = await kept.ask();
      await visitor.sees('hello');
      await until('the store was asked', () => kept.store.waiting === 1);
      visitor[way]();
      await until('the server has met the close', () => site.closedSockets === 1);
      await turns();
      kept.store.answer();
      expect(await kept.witness.ended()).toMatchObject({
        outcome: 'completed',
        side: 'server',
        save: 'saved',
      });
      expect(visitor.text).not.toContain('finish_reason":"stop');
      expect(kept.witness.holds).toEqual(['client-gone']);
      expect(kept.store.row).toMatchObject({ text: 'hello', complete: true, revision: 0 });
      await until('the handler was told', () => told.length === 2);
      expect(told.toSorted()).toEqual(['callback', 'close']);
    },
  );

  it('after a plain end() leaves a complete answer too', async () => {
    const kept = await open({ policy: { disconnected: 'keep' } }, (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      res.end('two');
    });
    kept.store.hold();
    const { visitor } = await kept.ask();
    await visitor.sees('one ');
    await until('the store was asked', () => kept.store.waiting === 1);
    visitor.fin();
    await until('the client has gone', () => kept.witness.holds.length === 1);
    kept.store.answer();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
    expect(kept.store.row).toMatchObject({ text: 'one two', complete: true });
  });
});

describe('a store that does not answer', () => {
  it('delays the frame by confirmTimeoutMs, and the message is saved when it answers', async () => {
    const kept = await open({ confirmTimeoutMs: 30 }, answer);
    kept.store.hold();
    const { visitor } = await kept.ask();
    const reply = await visitor.over();
    expect(reply.whole).toBe(true);
    expect(reply.body.toString()).toContain(FINISH + DONE);
    expect(kept.witness.holds).toEqual(['unconfirmed']);
    expect(kept.witness.saves).toEqual([]);
    expect(kept.witness.ends).toEqual([]);
    expect(kept.logbook.errors()).not.toEqual([]);
    expect(kept.logbook.errors().join(' ')).not.toContain('hello');
    kept.store.answer();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(kept.store.row).toMatchObject({ text: 'hello', complete: true });
    expect(kept.witness.saves).toMatchObject([{ result: 'saved', kind: 'first' }]);
  });

  it('for missingAfterMs makes the message missing, and its late answer is counted as such', async () => {
    const kept = await open({ confirmTimeoutMs: 20, missingAfterMs: 1000 }, answer);
    kept.store.hold();
    await kept.ask();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'missing' });
    kept.store.answer();
    await until('the late answer', () => kept.witness.saves.length === 2);
    expect(kept.witness.saves).toMatchObject([
      { result: 'missing', kind: 'first' },
      { result: 'saved', kind: 'late' },
    ]);
    expect(kept.store.row.text).toBe('hello');
  });

  it('says nothing of a frame when nothing was held', async () => {
    const policy = { disconnected: 'keep' } as const;
    const kept = await open({ confirmTimeoutMs: 20, missingAfterMs: 1000, policy }, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'hello' }));
    });
    kept.store.hold();
    const { visitor } = await kept.ask();
    await visitor.sees('hello');
    visitor.fin();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', save: 'missing' });
    expect(kept.witness.holds).toEqual([]);
    expect(kept.logbook.errors().join()).not.toContain('before its message was safe');
  });

  it('but refuses, without a journal, leaves the message to be tried until it works', async () => {
    const kept = await open({ confirmTimeoutMs: 20 }, answer);
    kept.store.fail(coded('connect', 'ECONNREFUSED'));
    const { visitor } = await kept.ask();
    expect((await visitor.over()).whole).toBe(true);
    expect(kept.witness.holds).toEqual(['unconfirmed']);
    await until('it was tried again', () => kept.store.asked.length > 1);
    kept.store.fail(undefined);
    const ended = await kept.witness.ended();
    expect(ended).toMatchObject({ save: 'saved' });
    expect(ended.saveAttempts).toBeGreaterThan(1);
    expect(kept.store.row.text).toBe('hello');
  });

  it('and goes on refusing, without a journal, loses the message loudly', async () => {
    const kept = await open({ confirmTimeoutMs: 20, missingAfterMs: 1000 }, answer);
    kept.store.fail(coded('connect', 'ECONNREFUSED'));
    await kept.ask();
    expect(await kept.witness.ended()).toMatchObject({ save: 'lost', errorType: 'ECONNREFUSED' });
    expect(kept.logbook.errors().join(' ')).toContain('lost');
    expect(kept.logbook.errors().join(' ')).not.toContain('hello');
  });

  it('is no hindrance with a journal: the frame goes once the message is on disk', async () => {
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-hold-'));
    onTestFinished(() => rm(journal, { recursive: true, force: true }));
    const kept = await open({ confirmTimeoutMs: 30_000 }, answer, { journal });
    kept.store.fail(coded('connect', 'ECONNREFUSED'));
    const { visitor } = await kept.ask();
    expect((await visitor.over()).whole).toBe(true);
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'journaled' });
    expect(kept.witness.holds).toEqual(['journaled']);
    kept.store.fail(undefined);
    await until('it was replayed', () => kept.store.rows.size === 1);
    expect(kept.store.row).toMatchObject({ text: 'hello', complete: true });
  });
});

describe('a stream that goes on after its terminal frame', () => {
  it('is reopened by more text: one row, revision 1, the last fact wins', async () => {
    const go = createGate();
    const kept = await open({}, async (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one ' }) + FINISH);
      await go.promise;
      res.write(chatChunk({ content: 'two' }));
      res.write(FINISH);
      res.end(DONE);
    });
    const { visitor } = await kept.ask();
    await visitor.sees(FINISH);
    expect(kept.store.row).toMatchObject({ text: 'one ', revision: 0, complete: true });
    expect(kept.witness.ends).toEqual([]);
    go.open();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect((await visitor.over()).whole).toBe(true);
    expect(kept.store.row).toMatchObject({ text: 'one two', revision: 1, complete: true });
    expect(kept.witness.saves).toMatchObject([{ kind: 'first' }, { kind: 'revised' }]);
    expect(kept.witness.dues).toBe(1);
    expect(kept.witness.ends).toHaveLength(1);
  });

  it('is not reopened by what carries no text', async () => {
    const go = createGate();
    const kept = await open({}, async (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one' }) + FINISH);
      await go.promise;
      res.write(': a comment\n\n');
      res.write(
        'data: {"object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":3}}\n\n',
      );
      res.end(DONE);
    });
    const { visitor } = await kept.ask();
    await visitor.sees(FINISH);
    go.open();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(kept.store.row).toMatchObject({ text: 'one', revision: 0, complete: true });
    expect(kept.witness.saves).toHaveLength(1);
  });

  it.each([
    [
      'a throw',
      (): never => {
        throw new Error('after the end');
      },
    ],
    ['destroy(error)', (res: ServerResponse): void => void res.destroy(new Error('after the end'))],
  ] as const)('has failed by %s: revision 1, and everything agrees', async (_name, fail) => {
    const go = createGate();
    const kept = await open({}, async (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one' }) + FINISH);
      await go.promise;
      fail(res);
    });
    const { visitor } = await kept.ask();
    await visitor.sees(FINISH);
    go.open();
    expect(await kept.witness.ended()).toMatchObject({
      outcome: 'failed',
      side: 'server',
      save: 'saved',
    });
    expect(kept.store.row).toMatchObject({
      text: 'one',
      revision: 1,
      complete: false,
      outcome: 'failed',
      side: 'server',
    });
    expect(kept.witness.ends).toHaveLength(1);
    expect((await visitor.over()).whole).toBe(false);
  });
});

/** An app whose one route is wrapped in a guard; `ask` sends a request to it. */
async function open(
  options: GuardOptions,
  act: Act | ((...given: Parameters<Act>) => Promise<void>),
  all: Options = {},
) {
  const kept = createKept(all);
  const app = express().set('env', 'test');
  app.get('/', kept.keep.guard({ confirmTimeoutMs: 60_000, ...options }, act));
  const site = await serve(app);
  return { ...kept, ask: async () => ({ site, visitor: await visit(site, '/') }) };
}
