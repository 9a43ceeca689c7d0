/** lastchunk's own lines as an app reads them: through a real pino, from real streams. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import express from 'express';
import pino from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { lastchunk, type LastchunkOptions } from '../../src/index.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';
import { createRecordingObserver } from '../support/recording-observer.ts';

type Line = Readonly<Record<string, unknown>>;

const LEVEL = { debug: 20, info: 30, warn: 40, error: 50 } as const;
const SECRET = 'the colour of my grandmother’s front door';

/** One guarded route that says the secret, and everything that is logged about it. */
async function createAppWith(options: Omit<LastchunkOptions, 'logger' | 'observer' | 'store'>) {
  const printed: string[] = [];
  const into = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      printed.push(piece.toString());
      done();
    },
  });
  const store = createMemoryStore();
  const recorded = createRecordingObserver();
  const logger = pino({ level: 'debug' }, into);
  const keep = lastchunk({ ...options, store, logger, observer: recorded.observer });
  onTestFinished(async () => {
    store.fail(undefined);
    store.answer();
    await keep.close({ deadlineMs: 1000 });
  });
  const app = express();
  const guard = keep.guard({
    message: (req) => ({ id: 'm-1', conversationId: req.params['id'] }),
    confirmTimeoutMs: 200,
    missingAfterMs: 600,
  });
  app.post('/chat/:id', guard, (_req, res) => {
    res.type('text/event-stream');
    res.write(`data: ${JSON.stringify({ text: SECRET })}\n\n`);
    // Whoever says why the answer ends is as free in its words.
    const said = { choices: [{ delta: { content: '' }, finish_reason: SECRET }] };
    res.write(`data: ${JSON.stringify(said)}\n\n`);
    res.end('data: [DONE]\n\n');
  });
  const testServer = await serve(app);
  /** Asks once, and gives the lines once the stream's own is among them. */
  const ask = async (): Promise<readonly Line[]> => {
    const httpClient = await openClient(testServer, '/chat/c-1', { method: 'POST' });
    expect((await httpClient.over()).body.toString()).toContain(SECRET);
    await recorded.ended();
    return until('the line of the stream', () => {
      // Each piece that pino writes is one line of JSON.
      const all = printed.map((line) => JSON.parse(line) as Line);
      const lines = all.filter((line) => !('event' in line));
      return lines.some(({ msg }) => msg === 'lastchunk: stream ended') && lines;
    });
  };
  return { store, recorded, ask, printed };
}

async function aDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lastchunk-lines-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

it('a saved stream is logged once, at debug, with its outcome', async () => {
  const { ask, recorded, printed } = await createAppWith({ journal: false });
  const lines = await ask();
  const [end] = recorded.ends;
  expect(lines).toEqual([
    {
      level: LEVEL.debug,
      time: expect.any(Number),
      pid: process.pid,
      hostname: expect.any(String),
      msg: 'lastchunk: stream ended',
      streamId: end?.id,
      route: '/chat/:id',
      method: 'POST',
      guarded: true,
      format: 'openai',
      chunks: 3,
      bytes: end?.bytes,
      outcome: 'completed',
      side: 'server',
      durationMs: expect.any(Number),
      timeToFirstChunkMs: expect.any(Number),
      maxChunkGapMs: expect.any(Number),
      backpressureMs: 0,
      chunksAfterDisconnect: 0,
      holdMs: expect.any(Number),
      save: 'saved',
      saveAttempts: 1,
    },
  ]);
  expect(printed.join('')).not.toContain(SECRET);
});

it('a journaled save is logged additionally, at warn', async () => {
  const { store, ask, printed } = await createAppWith({ journal: await aDirectory() });
  store.hold();
  const lines = await ask();
  const saves = lines.filter(({ messageId }) => messageId === 'm-1');
  expect(saves).toMatchObject([
    {
      level: LEVEL.warn,
      msg: 'lastchunk: message in the journal, the store does not have it yet',
      streamId: expect.any(String),
      route: '/chat/:id',
      result: 'journaled',
      kind: 'first',
      durationMs: expect.any(Number),
    },
  ]);
  expect(lines.filter(({ msg }) => msg === 'lastchunk: stream ended')).toMatchObject([
    { level: LEVEL.debug, save: 'journaled', streamId: saves[0]?.['streamId'] },
  ]);
  expect(printed.join('')).not.toContain(SECRET);
});

it('a lost message is logged at error, with its id and the reason', async () => {
  const { store, ask, printed } = await createAppWith({ journal: false });
  const refused = new Error(`Key (content)=(${SECRET})`);
  store.fail(Object.assign(refused, { code: '23514', detail: SECRET }));
  const lines = await ask();
  const lost = lines.filter(({ msg }) => msg === 'lastchunk: message lost');
  expect(lost).toMatchObject([
    {
      level: LEVEL.error,
      messageId: 'm-1',
      streamId: expect.any(String),
      result: 'lost',
      kind: 'first',
      errorType: '23514',
    },
  ]);
  expect(lines.filter(({ msg }) => msg === 'lastchunk: stream ended')).toMatchObject([
    { level: LEVEL.debug, save: 'lost' },
  ]);
  expect(printed.join('')).not.toContain(SECRET);
});

it('a save without an answer of the store is logged at error', async () => {
  const { store, ask, printed } = await createAppWith({ journal: false });
  store.hold();
  const lines = await ask();
  expect(lines.filter(({ messageId }) => messageId === 'm-1')).toMatchObject([
    {
      level: LEVEL.error,
      msg: 'lastchunk: an answer was ended for its client before its message was safe',
    },
    { level: LEVEL.error, msg: 'lastchunk: no result of a save in time', result: 'missing' },
  ]);
  expect(printed.join('')).not.toContain(SECRET);
});
