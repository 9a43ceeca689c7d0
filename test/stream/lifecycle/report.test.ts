/** What is reported of a stream when it is over. */
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

describe('onHold', () => {
  it('reports the duration of each hold, and the summary their sum', async () => {
    const instance = createInMemoryInstance();
    const { keep, store, recorded } = instance;
    const testServer = await serve((req, res) => {
      void keep.guard({ confirmTimeoutMs: 60_000 }, async () => {
        res.setHeader('content-type', 'text/event-stream');
        store.hold();
        res.write(chatChunk({ content: 'one' }) + chatChunk({}, 'stop'));
        await until('the first hold', () => store.waiting === 1);
        store.answer();
        await until('the first release', () => recorded.holds.length === 1);
        res.end(chatChunk({ content: ' two' }) + chatChunk({}, 'stop'));
      })(req, res);
    });
    await (await openClient(testServer, '/')).over();
    const { holdMs } = await recorded.ended();
    expect(recorded.holds).toEqual(['saved', 'saved']);
    const [first = 0, second = 0] = recorded.holdDurations;
    expect(first).toBeGreaterThan(0);
    expect(holdMs).toBeCloseTo(first + second, 5);
  });

  it('reports how long a frame was held for a client that left', async () => {
    const instance = createInMemoryInstance();
    const { keep, store, recorded } = instance;
    const testServer = await serve((req, res) => {
      void keep.guard({ confirmTimeoutMs: 60_000 }, () => {
        res.setHeader('content-type', 'text/event-stream');
        res.write(chatChunk({ content: 'one' }));
        store.hold();
        res.end(chatChunk({}, 'stop'));
      })(req, res);
    });
    const client = await openClient(testServer, '/');
    await until('the hold', () => store.waiting === 1);
    client.fin();
    await until('the release', () => recorded.holds.length === 1);
    store.answer();
    const { holdMs } = await recorded.ended();
    expect(recorded.holds).toEqual(['client-gone']);
    expect(recorded.holdDurations[0]).toBeGreaterThan(0);
    expect(holdMs).toBe(recorded.holdDurations[0]);
  });
});
