/** The wall clock is set while an answer streams: its row ends when it ended, not before it began. */
import express from 'express';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

test.each([-3_600_000, 3_600_000])(
  'a message has the duration of its stream if the clock is set by %i ms',
  async (byMs) => {
    const instance = createInMemoryInstance();
    onTestFinished(() => void vi.useRealTimers());
    const app = express();
    app.get('/', instance.keep.guard(), (_req, res) => {
      res.type('text/event-stream');
      res.write('data: one\n\n');
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs });
      // The message is made here; what the test waits with needs the real clock.
      res.end();
      vi.useRealTimers();
    });
    const client = await openClient(await serve(app), '/');
    await client.over();
    const { durationMs } = await instance.recorded.ended();
    const { startedAt, endedAt } = instance.store.row;
    expect(endedAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
    expect(endedAt.getTime() - startedAt.getTime()).toBeLessThanOrEqual(Math.ceil(durationMs));
  },
);
