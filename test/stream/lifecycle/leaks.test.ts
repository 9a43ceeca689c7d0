/** What an ended stream leaves behind: nothing. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk, type Observer, type StreamView } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

setFlagsFromString('--expose-gc');
// The flag adds this function to every context that is made after it.
const collectGarbage = runInNewContext('gc') as () => void;

const STREAMS = 200;

const options = {
  confirmTimeoutMs: 60_000,
  missingAfterMs: 3_600_000,
  idleTimeoutMs: 3_600_000,
  stallTimeoutMs: 3_600_000,
};

describe('after many streams', () => {
  it.each([
    ['that ended', 'finish', false],
    ['whose client left, under finish', 'finish', true],
    ['whose client left, under keep', 'keep', true],
    ['whose client left, under discard', 'discard', true],
  ] as const)('%s no response and no timer is retained', async (_, disconnected, leaves) => {
    const instance = createInMemoryInstance();
    const responses: Array<WeakRef<object>> = [];
    const app = express();
    const guard = instance.keep.guard({ ...options, policy: { disconnected } });
    app.get('/', instance.keep.observe(), guard, (req, res) => {
      responses.push(new WeakRef(res), new WeakRef(req));
      res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
      const end = (): void => void res.end(chatChunk({}, 'stop'));
      if (leaves) req.socket.once('close', () => setImmediate(end));
      else setImmediate(end);
    });
    const testServer = await serve(app);
    const before = timers();
    for (let count = 0; count < STREAMS; count += 20) {
      const httpClients = await Promise.all(
        Array.from({ length: 20 }, () => openClient(testServer, '/')),
      );
      for (const httpClient of httpClients) {
        await httpClient.sees('hello');
        httpClient[count % 40 === 0 ? 'fin' : 'rst']();
      }
    }
    await instance.recorded.ended(STREAMS);
    await until('the connections are closed', () => testServer.closedSockets === STREAMS);
    testServer.forgetSockets();
    await until('no timer is left', () => timers() <= before);
    await until('the responses are collected', () => {
      collectGarbage();
      return responses.every((one) => one.deref() === undefined);
    });
    expect(instance.recorded.ends).toHaveLength(STREAMS);
    expect(instance.recorded.internalErrors).toEqual([]);
  });
});

describe('an observer that retains a stream', () => {
  const BYTES = 16 * 1024 * 1024;

  it.each([
    ['frames', (text: string) => chatChunk({ content: text })],
    ['frames that differ', (text: string) => chatChunk({ content: `"${text}` })],
  ])('does not retain its answer, in %s', async (_, frame) => {
    const views: StreamView[] = [];
    let ended = 0;
    const observer: Observer = {
      onStart: (view) => void views.push(view),
      onEnd: () => void (ended += 1),
    };
    const keep = lastchunk({
      store: { save: async () => {}, close: async () => {} },
      journal: false,
      observer,
    });
    onTestFinished(async () => void (await keep.close()));
    const guard = keep.guard({ maxBytes: 4 * BYTES });
    const testServer = await serve((req, res) => {
      const handler = (): void => {
        res.setHeader('content-type', 'text/event-stream');
        const count = BYTES / 1024;
        for (let at = 0; at < count; at++) res.write(frame(String(at).padStart(1024, '.')));
        res.end(chatChunk({}, 'stop'));
      };
      void guard(req, res, handler);
    });
    const heapAfter = async (streams: number): Promise<number> => {
      const httpClient = await openClient(testServer, '/');
      expect((await httpClient.over()).whole).toBe(true);
      await until('it has ended', () => ended === streams);
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const first = await heapAfter(1);
    expect((await heapAfter(2)) - first).toBeLessThan(BYTES / 4);
    expect(views.map(({ bytes }) => bytes > BYTES)).toEqual([true, true]);
  });
});

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}
