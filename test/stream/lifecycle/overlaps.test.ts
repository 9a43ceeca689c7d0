/** Two things at once: `observe()` with a guard, a stop with a full client, a failure with a held end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { createKept, type Kept } from '../../support/kept.ts';
import { serve } from '../../support/site.ts';
import { until } from '../../support/until.ts';
import { visit, type Visitor } from '../../support/visitor.ts';

const SSE = 'text/event-stream';
const DONE = 'data: [DONE]\n\n';
const MIB = 1024 * 1024;

type Act = (req: IncomingMessage, res: ServerResponse, kept: Kept) => unknown;

describe('observe() in front of a guard', () => {
  it('leaves a stream that outlives its client to close()', async () => {
    const { kept, visitor } = await open((_, res) => {
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
    });
    await visitor.sees('one');
    visitor.fin();
    await until('it outlives its client', () => kept.witness.finishing.length === 1);
    expect(await kept.keep.close({ deadlineMs: 100 })).toMatchObject({ saved: 1 });
    expect(kept.store.row).toMatchObject({ outcome: 'disconnected', text: 'one' });
  });

  it('lets a held end look like an end', async () => {
    const said: unknown[] = [];
    const { kept, visitor } = await open((_, res, { store }) => {
      store.hold();
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
      res.end(DONE);
      said.push(res.writableEnded, res.writableFinished);
    });
    await until('the store was asked', () => kept.store.waiting === 1);
    kept.store.answer();
    await visitor.over();
    expect(said).toEqual([true, false]);
  });
});

describe('a stop', () => {
  it('before the first byte counts when the stream begins', async () => {
    const { kept, visitor } = await open((_, res, { keep }) => {
      keep.stream(res)?.stop();
      res.setHeader('content-type', SSE);
      res.write('data: one\n\n');
    });
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'stopped', side: 'server' });
    expect((await visitor.over()).body.toString()).toContain('one');
  });

  it('holds the finish marker that the handler answers it with', async () => {
    const { kept, visitor } = await open((_, res, { keep, store }) => {
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
    await until('the store was asked', () => kept.store.waiting === 1);
    await visitor.sees('one');
    expect(visitor.text).not.toContain('[DONE]');
    kept.store.answer();
    expect((await visitor.over()).body.toString()).toContain('[DONE]');
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'stopped' });
  });

  it('lets a handler go on that waits for a client which takes nothing', async () => {
    let drained = false;
    const { kept } = await open(async (_, res, { keep }) => {
      res.setHeader('content-type', SSE);
      for (let i = 0; i < 20; i += 1) res.write(`data: ${'x'.repeat(MIB)}\n\n`);
      keep.stream(res)?.stop();
      await once(res, 'drain');
      drained = true;
    }, true);
    await until('the handler goes on', () => drained);
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'stopped' });
  });
});

it('a handler that rejects while its end is held cuts nobody off', async () => {
  const { kept, visitor } = await open(async (_, res, { store }) => {
    store.hold();
    res.setHeader('content-type', SSE);
    res.write('data: one\n\n');
    res.end(DONE);
    await until('the store was asked', () => store.waiting === 1);
    setTimeout(() => store.answer(), 20);
    throw new Error('after the end');
  });
  expect((await visitor.over()).whole).toBe(true);
  expect(visitor.text).toContain('[DONE]');
  expect(await kept.witness.ended()).toMatchObject({ outcome: 'failed', side: 'server' });
});

it('a client that reads nothing is cut after end() too', async () => {
  const { kept } = await open((_, res) => {
    res.setHeader('content-type', SSE);
    for (let i = 0; i < 20; i += 1) res.write(`data: ${'x'.repeat(MIB)}\n\n`);
    res.end(DONE);
  }, true);
  expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed' });
});

it('a close() ends what is whole and never ends by itself', async () => {
  const { kept, visitor } = await open((_, res) => {
    res.setHeader('content-type', SSE);
    res.write('data: one\n\n');
    res.write(DONE);
  });
  await visitor.sees('[DONE]');
  await kept.keep.close({ deadlineMs: 100 });
  expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
});

it('a handler that fails after the FIN of its client has nothing left that could be finished', async () => {
  const { kept, visitor } = await open(async (req, res) => {
    res.setHeader('content-type', SSE);
    res.write('data: one\n\n');
    await once(req.socket, 'end');
    throw new Error('the model broke');
  });
  await visitor.sees('one');
  visitor.fin();
  expect(await kept.witness.ended()).toMatchObject({ outcome: 'failed', save: 'saved' });
  expect(kept.witness.finishing).toEqual([]);
  expect(kept.store.row).toMatchObject({ outcome: 'failed', text: 'one', complete: false });
});

async function open(act: Act, deaf = false): Promise<{ kept: Kept; visitor: Visitor }> {
  const kept = createKept();
  const app = express();
  app.set('env', 'test');
  app.use(kept.keep.observe());
  app.get(
    '/',
    kept.keep.guard({ stallTimeoutMs: 300 }, (req: IncomingMessage, res: ServerResponse) =>
      act(req, res, kept),
    ),
  );
  const visitor = await visit(await serve(app), '/');
  if (deaf) visitor.pause();
  return { kept, visitor };
}
