/**
 * What a person's browser does: it closes an EventSource at the last frame and reads the history at once, goes back,
 * reloads, loses its network, closes the tab. What it has shown is in the database.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type express from 'express';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp, createFullFixture, type FullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { serve } from '../support/test-server.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';
import { findChromium, startChromium } from './program.ts';

const path = findChromium();
const inCi = process.env['CI'] === 'true';
if (path === undefined && !inCi) console.log('skipped: the browser tests, which need Chromium');

describe.skipIf(path === undefined && !inCi)('a browser', () => {
  const spans = installTracing();
  let database: TestPostgres;
  let chromium: Awaited<ReturnType<typeof startChromium>>;

  beforeAll(async () => {
    if (path === undefined) throw new Error('Chromium is not installed');
    database = await startPostgres();
    chromium = await startChromium(path);
  });

  afterAll(async () => {
    await chromium.close();
    await database.remove();
  });

  it.each(['eventSource', 'fetchReader'] as const)(
    'that reads the history at the last frame finds the message, with %s',
    async (reader) => {
      const { page } = await open();
      const guarded = await ask(page, { route: 'guarded', reader, times: 20 });
      expect(guarded).toEqual(Array(20).fill(`${WORDS.join('')}.`));
      // The same handler without the guard, as the app's own save would have it.
      const naive = await ask(page, { route: 'naive', reader, times: 20 });
      expect(naive).not.toEqual(guarded);
    },
  );

  it.each([
    ['reloads', (page: Page) => page.reload()],
    ['goes back', (page: Page) => page.goBack()],
    ['closes its tab', (page: Page) => page.close()],
    [
      'loses its network',
      async (page: Page) => {
        await page.context().setOffline(true);
        await page.context().setOffline(false);
      },
    ],
  ])(
    'that %s in the middle of an answer has what it showed stored, and the rest of the answer',
    async (_way, leave) => {
      const { page, fixture, testServer } = await open();
      await page.goto(`${testServer.url}/page?next`);
      let shown = '';
      await page.exposeFunction('show', (word: string) => (shown += word));
      await page.evaluate(`
      const source = new EventSource('/slow/left');
      source.onmessage = ({ data }) => show(JSON.parse(data));
    `);
      await until('it shows the first words', () => shown.includes(WORDS[1]));
      await leave(page);
      const row = await until('the answer is stored', async () => (await fixture.rows())[0]);
      expect(row.content.startsWith(shown)).toBe(true);
      const [ended] = fixture.recorded.ends;
      // An EventSource that has only lost its network goes on listening if the connection survived that.
      expect(['disconnected', 'completed']).toContain(ended?.outcome);
      expect(row).toMatchObject({ content: `${WORDS.join('')}.`, complete: true });
    },
  );

  /** A page, and the app it is of. */
  async function open() {
    const fixture = await createFullFixture(database, spans);
    const testServer = await serve(chatApp(fixture));
    const page = await chromium.context.newPage();
    await page.goto(`${testServer.url}/page`);
    return { fixture, testServer, page };
  }
});

const WORDS = ['The', ' last', ' chunk', ' is', ' here'] as const;

function chatApp(fixture: FullFixture): express.Express {
  const app = createApp();
  const naive = new Map<string, string>();
  const guard = fixture.keep.guard({
    message: ({ params }) => ({ conversationId: params['id'] }),
  });
  const answer =
    (pauseMs: number, save?: (id: string, text: string) => void): express.RequestHandler =>
    async (req, res) => {
      res.type('text/event-stream').flushHeaders();
      for (const word of WORDS) {
        res.write(`data: ${JSON.stringify(word)}\n\n`);
        await sleep(pauseMs);
      }
      res.write(`data: "."\n\ndata: [DONE]\n\n`);
      res.end();
      // What most apps do: the save comes after the last frame, and takes as long as an insert does.
      await sleep(5);
      save?.(String(req.params['id']), `${WORDS.join('')}.`);
    };
  app.get('/guarded/:id', guard, answer(2));
  app.get('/slow/:id', guard, answer(100));
  app.get(
    '/naive/:id',
    answer(2, (id, text) => naive.set(id, text)),
  );
  app.get('/history/guarded/:id', async (req, res) => {
    const query = 'SELECT content FROM lastchunk_messages WHERE conversation_id = $1';
    const { rows } = await fixture.reader.query<{ content: string }>(query, [req.params.id]);
    res.json(rows[0]?.content ?? null);
  });
  app.get('/history/naive/:id', (req, res) => {
    res.json(naive.get(req.params.id) ?? null);
  });
  app.get('/page', (_req, res) => {
    res.type('html').send('<!doctype html><title>chat</title>');
  });
  return app;
}

interface Asking {
  readonly route: 'guarded' | 'naive';
  readonly reader: 'eventSource' | 'fetchReader';
  readonly times: number;
}

/** Runs `asked` in the page; as text, because the types of a page are not those of Node. */
function ask(page: Page, asking: Asking): Promise<unknown> {
  return page.evaluate(`(${asked.toString()})(${JSON.stringify(asking)})`);
}

/** Runs in the page: asks so often, one after the other, and gives what the history said at each last frame. */
async function asked({ route, reader, times }: Asking): Promise<unknown[]> {
  const byEventSource = (url: string): Promise<void> =>
    new Promise((resolve) => {
      const source = new EventSource(url);
      source.addEventListener('message', ({ data }) => {
        if (data !== '[DONE]') return;
        source.close();
        resolve();
      });
    });
  const byFetch = async (url: string): Promise<void> => {
    const body = (await fetch(url)).body?.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ''; !text.includes('[DONE]');) {
      const piece = await body?.read();
      if (piece === undefined || piece.done) return;
      text += piece.value;
    }
    await body?.cancel();
  };
  const found: unknown[] = [];
  for (let i = 0; i < times; i += 1) {
    const id = `${reader}-${i}`;
    await (reader === 'eventSource' ? byEventSource : byFetch)(`/${route}/${id}`);
    found.push(await (await fetch(`/history/${route}/${id}`)).json());
  }
  return found;
}
