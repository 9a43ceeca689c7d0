/** What an app without a logger of its own prints while its store is away and when it is back. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { expect, it, onTestFinished, vi } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';

it('an outage is logged in one line for all messages, then its end, with the number of suppressed lines', async () => {
  const printed: string[] = [];
  for (const level of ['warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((line) => void printed.push(String(line)));
  }
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-outage-'));
  const store = createMemoryStore();
  const keep = lastchunk({ store, journal });
  onTestFinished(async () => {
    vi.restoreAllMocks();
    await rm(journal, { recursive: true, force: true });
  });
  const app = express();
  app.get('/chat', keep.guard(), (_req, res) => {
    res.setHeader('content-type', 'text/event-stream');
    res.end('data: hello\n\n');
  });
  const { url } = await serve(app);
  const lines = (text: string): readonly string[] => printed.filter((line) => line.includes(text));

  store.fail(Object.assign(new Error('away'), { code: 'ECONNREFUSED' }));
  for (let time = 0; time < 5; time += 1) await (await fetch(`${url}/chat`)).text();
  expect(lines('message in the journal, the store does not have it yet')).toHaveLength(1);
  expect(lines('the store is away, messages wait')).toHaveLength(1);

  store.fail(undefined);
  await until('the store answers', () => lines('lastchunk info: the store answers again')[0]);
  await keep.close({ deadlineMs: 2_000 });
  const [first, rest, ...more] = lines('message in the journal');
  expect(first).not.toContain('untold');
  expect(rest).toContain('untold=3');
  expect(more).toEqual([]);
});
