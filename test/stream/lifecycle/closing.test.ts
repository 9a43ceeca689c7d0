/** `close()` with streams alive: half of the deadline to end by themselves, then interrupted, and everything kept. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { createKept, type Kept } from '../../support/kept.ts';
import { serve } from '../../support/site.ts';
import { createGate } from '../../support/tap.ts';
import { turns, until } from '../../support/until.ts';
import { visit } from '../../support/visitor.ts';

type Act = (req: IncomingMessage, res: ServerResponse, kept: Kept) => unknown;

describe('close()', () => {
  it('interrupts what does not end, keeps it, and cuts its client off', async () => {
    const said: unknown[] = [];
    const go = createGate();
    const { kept, visitor } = await open(async (_, res, { keep }) => {
      const signal = keep.stream(res)?.signal;
      signal?.addEventListener('abort', () => said.push('abort'));
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      await go.promise;
      said.push(res.write('late'));
      res.end(() => said.push('callback'));
    });
    await visitor.sees('one ');
    const report = await kept.keep.close({ deadlineMs: 200 });
    expect(report).toEqual({ saved: 1, journaled: 0, lost: 0 });
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'interrupted', side: 'server' });
    expect(kept.store.row).toMatchObject({ text: 'one ', complete: false, revision: 0 });
    expect((await visitor.over()).whole).toBe(false);
    expect(kept.store.closed).toBe(true);
    go.open();
    await until('the handler is done', () => said.includes('callback'));
    expect(said).toEqual(['abort', true, 'callback']);
    expect(kept.store.row.text).toBe('one ');
    expect(kept.witness.internalErrors).toEqual([]);
  });

  it.each([
    ['ends its answer tidily', (res: ServerResponse) => void res.end('late')],
    ['destroys its response', (res: ServerResponse) => void res.destroy()],
    ['rejects', () => Promise.reject(new Error('aborted'))],
  ])(
    'cuts a client off whose handler, told of it, %s: no clean end says that it was all',
    async (_, act) => {
      const { kept, visitor } = await open(async (_req, res, { keep }) => {
        const signal = keep.stream(res)?.signal;
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        await new Promise<void>((resolve) => {
          signal?.addEventListener('abort', () => resolve());
        });
        return act(res);
      });
      await visitor.sees('one ');
      kept.store.hold();
      const closing = kept.keep.close({ deadlineMs: 2000 });
      await until('its message is on its way', () => kept.store.waiting === 1);
      await turns();
      kept.store.answer();
      expect(await closing).toEqual({ saved: 1, journaled: 0, lost: 0 });
      expect(await kept.witness.ended()).toMatchObject({ outcome: 'interrupted', side: 'server' });
      expect((await visitor.over()).whole).toBe(false);
      expect(visitor.text).toBe('one ');
      expect(kept.store.row).toMatchObject({ text: 'one ', complete: false, revision: 0 });
    },
  );

  it('waits for a stream that ends by itself', async () => {
    const go = createGate();
    const { kept, visitor } = await open(async (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      await go.promise;
      res.end('two');
    });
    await visitor.sees('one ');
    const closing = kept.keep.close({ deadlineMs: 60_000 });
    go.open();
    expect(await closing).toEqual({ saved: 1, journaled: 0, lost: 0 });
    expect((await visitor.over()).body.toString()).toBe('one two');
    expect(kept.store.row).toMatchObject({ text: 'one two', complete: true, outcome: 'completed' });
  });

  it('waits for a save that holds a frame', async () => {
    const { kept, visitor } = await open((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'one' }) + chatChunk({}, 'stop'));
    });
    kept.store.hold();
    await until('the store was asked', () => kept.store.waiting === 1);
    const closing = kept.keep.close({ deadlineMs: 60_000 });
    await turns();
    kept.store.answer();
    await closing;
    expect((await visitor.over()).whole).toBe(true);
    expect(kept.store.row).toMatchObject({ text: 'one', complete: true, outcome: 'completed' });
    expect(kept.witness.saves).toMatchObject([{ result: 'saved' }]);
  });

  it('says what is lost, within its deadline, and never rejects', async () => {
    const { kept, visitor } = await open((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
    });
    await visitor.sees('one ');
    kept.store.fail(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }));
    expect(await kept.keep.close({ deadlineMs: 300 })).toEqual({ saved: 0, journaled: 0, lost: 1 });
    expect(kept.witness.saves).toMatchObject([{ result: 'lost' }]);
    expect(kept.logbook.errors().join(' ')).toContain('lost');
  });

  it('called twice closes once, and health is failing from the first moment', async () => {
    const kept = createKept();
    expect(kept.keep.health().status).toBe('healthy');
    const first = kept.keep.close();
    expect(kept.keep.health().status).toBe('failing');
    expect(await kept.keep.close()).toEqual(await first);
  });

  it('keeps a stream that comes meanwhile', async () => {
    const { kept, site, visitor } = await open((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
    });
    await visitor.sees('one ');
    const closing = kept.keep.close({ deadlineMs: 1000 });
    const late = await visit(site, '/');
    await late.sees('one ');
    expect(await closing).toEqual({ saved: 2, journaled: 0, lost: 0 });
    expect([...kept.store.rows.values()]).toMatchObject([
      { text: 'one ', outcome: 'interrupted' },
      { text: 'one ', outcome: 'interrupted' },
    ]);
  });

  it('lets what comes afterwards pass, untouched', async () => {
    const { kept, site } = await open((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      res.end('two');
    });
    await kept.keep.close({ deadlineMs: 100 });
    const visitor = await visit(site, '/');
    expect((await visitor.over()).body.toString()).toBe('one two');
  });
});

it('flush() resolves when every message that is due has its result', async () => {
  const { kept, visitor } = await open((_, res) => {
    res.setHeader('content-type', 'text/event-stream');
    res.end(chatChunk({ content: 'one' }) + chatChunk({}, 'stop'));
  });
  kept.store.hold();
  await until('the store was asked', () => kept.store.waiting === 1);
  let flushed = false;
  const flushing = kept.keep.flush().then(() => (flushed = true));
  await turns(20);
  expect(flushed).toBe(false);
  kept.store.answer();
  await flushing;
  expect(kept.witness.saves).toMatchObject([{ result: 'saved' }]);
  await visitor.over();
});

async function open(act: Act) {
  const kept = createKept();
  const guard = kept.keep.guard({ confirmTimeoutMs: 60_000 }, (req: IncomingMessage, res) =>
    act(req, res, kept),
  );
  const site = await serve((req, res) => {
    // What a handler rejects with is its app's to meet.
    Promise.resolve(guard(req, res)).catch(() => undefined);
  });
  return { kept, site, visitor: await visit(site, '/') };
}
