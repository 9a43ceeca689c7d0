/**
 * The page in a browser: drawn without a violation of its policy, live, in light and dark and on a phone, true while the database is
 * away, and safe whatever a route, a conversation or an error is called.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk, type LastchunkOptions, type StatusOptions } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { findChromium, startChromium } from '../browser/program.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const path = findChromium();
const inCi = process.env['CI'] === 'true';
if (path === undefined && !inCi) console.log('skipped: the status page, which needs Chromium');

describe.skipIf(path === undefined && !inCi)('the status page', () => {
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

  it.each([
    ['light', 1_200],
    ['dark', 1_200],
    ['light', 390],
    ['dark', 320],
  ] as const)(
    'is drawn in %s at %i pixels, without horizontal scrolling',
    async (scheme, width) => {
      const { page, complaints, chat } = await open({ scheme, width });
      await chat('a');
      await page.getByText('100%', { exact: true }).waitFor();
      expect(await page.getByRole('status').textContent()).toBe('Healthy');
      await page.getByText('alerts watch this').click();
      await page.getByText('threshold').first().click();
      const widths = 'document.documentElement.scrollWidth - innerWidth';
      expect(await page.evaluate(widths)).toBe(0);
      const back = await page.evaluate('getComputedStyle(document.body).backgroundColor');
      expect(back).toBe(scheme === 'light' ? 'rgb(246, 247, 249)' : 'rgb(15, 19, 25)');
      expect(complaints).toEqual([]);
    },
  );

  it('has texts for screen readers', async () => {
    const { page, chat } = await open();
    await chat('a');
    await page.getByRole('img', { name: /never below 100 percent; 1 message\./ }).waitFor();
    for (const name of ['Store', 'Journal', 'Live streams', 'Last failures', 'Connection pools']) {
      expect(await page.getByRole('region', { name, exact: true }).count(), name).toBe(1);
    }
    expect(await page.getByText('Nothing has failed since this process began.').count()).toBe(1);
    expect(await page.getByText('No stream is on its way.').count()).toBe(1);
  });

  it('shows a stream without a reload', async () => {
    const { page, talks, begin } = await open();
    await page.getByText('No stream is on its way.').waitFor();
    await begin('/chat/live');
    talks[0]?.type('text/event-stream').write('data: {"text":"hi"}\n\n');
    const streams = page.getByRole('table', { name: 'Live streams' });
    await streams.getByRole('cell', { name: 'streaming' }).waitFor();
    expect(await streams.getByText('live').count()).toBe(0);
    talks[0]?.end('data: [DONE]\n\n');
    await page.getByText('No stream is on its way.').waitFor();
    await page.getByText('100%', { exact: true }).waitFor();
  });

  it('shows that the database is unavailable, where messages are, and when it is back', async () => {
    const connectionString = database.connectionString;
    const home = mkdtempSync(join(tmpdir(), 'lastchunk-status-'));
    onTestFinished(() => rmSync(home, { recursive: true, force: true }));
    const store = postgres({ connectionString, migrate: true });
    const { page, chat, complaints } = await open({ store, journal: join(home, 'journal') });
    const verdict = page.getByRole('status');
    await chat('before');
    await page.getByText('100%', { exact: true }).waitFor();
    await database.stop();
    await chat('meanwhile');
    await until('it is degraded', async () => (await verdict.textContent()) === 'Degraded');
    await page.getByText(/The store does not answer.*messages wait in the journal/).waitFor();
    await page.getByRole('cell', { name: /A write to the store failed/ }).waitFor();
    expect(await page.locator('#results .journaled dd').textContent()).toBe('1');
    // Nothing is lost.
    expect(await page.locator('#figure').textContent()).toBe('100%');
    await database.start();
    await until('it is healthy', async () => (await verdict.textContent()) === 'Healthy');
    await until('it is replayed', async () =>
      (await page.locator('#results').textContent())?.includes('Replayed1'),
    );
    expect(complaints).toEqual([]);
  }, 60_000);

  it('shows hostile names as text, and runs no script in them', async () => {
    const evil = '</script><img src=x onerror="window.hurt=1"><script>window.hurt=1</script>';
    const store = createMemoryStore();
    store.fail(Object.assign(new Error(evil), { code: evil }));
    const { page, begin, talks, complaints } = await open({ store, route: `/${evil}` });
    await begin(`/chat/${encodeURIComponent(evil)}`);
    talks[0]?.type('text/event-stream').write('data: {"text":"hi"}\n\n');
    await page.reload();
    const streams = page.getByRole('table', { name: 'Live streams' });
    await until('the route is shown', async () =>
      (await streams.textContent())?.includes(`/${evil}`),
    );
    expect(await streams.textContent()).toContain(`${evil}streaming`);
    talks[0]?.end('data: [DONE]\n\n');
    await page.getByRole('table', { name: 'Last failures' }).waitFor();
    expect(await page.evaluate('[window.hurt, document.images.length]')).toEqual([undefined, 0]);
    expect(complaints).toEqual([]);
  });

  it('links to runbooks, from one to another, and back', async () => {
    const { page, url } = await open();
    await page.getByText('alerts watch this').click();
    await page.getByRole('link', { name: 'LastchunkSavesStalled' }).click();
    await page.getByRole('heading', { name: 'LastchunkSavesStalled' }).waitFor();
    await page.getByRole('link', { name: 'LastchunkJournalDegraded' }).click();
    await page.getByRole('heading', { name: 'LastchunkJournalDegraded' }).waitFor();
    await page.getByRole('link', { name: 'Status' }).click();
    await page.getByRole('status').waitFor();
    await page.goto(`${url}/LastchunkSavesStalled.md`);
    await page.getByRole('link', { name: 'LastchunkJournalDegraded' }).click();
    await page.getByRole('heading', { name: 'LastchunkJournalDegraded' }).waitFor();
    await page.getByRole('link', { name: 'Status' }).click();
    await page.getByRole('status').waitFor();
    expect(new URL(page.url()).pathname).toBe('/status/');
  });

  it('shows an unknown status when the instance does not answer, and continues when it is back', async () => {
    const { page, server, port } = await open();
    const verdict = page.getByRole('status');
    await until('it is drawn', async () => (await verdict.textContent()) === 'Healthy');
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await until('it is unknown', async () => (await verdict.textContent())?.startsWith('Unknown'));
    expect(await page.getByText('The instance does not answer. It was healthy').count()).toBe(1);
    server.listen(port, '127.0.0.1');
    await until('it is healthy', async () => (await verdict.textContent()) === 'Healthy');
  }, 60_000);

  it('polls for its data if there are too many viewers', async () => {
    const { page, url, chat } = await open({ status: { maxViewers: 1 } });
    const second = await newPage({ scheme: 'light', width: 800 });
    const refused = second.page.waitForResponse((response) => response.status() === 503);
    await second.page.goto(url);
    expect((await refused).headers()['retry-after']).toBe('5');
    await chat('a');
    await second.page.getByText('100%', { exact: true }).waitFor();
    await page.getByText('100%', { exact: true }).waitFor();
  });

  interface Opening extends Pick<LastchunkOptions, 'store' | 'journal'> {
    readonly scheme?: 'light' | 'dark';
    readonly width?: number;
    readonly route?: string;
    readonly status?: Partial<StatusOptions>;
  }

  async function newPage({ scheme, width }: { scheme: 'light' | 'dark'; width: number }) {
    const page: Page = await chromium.context.newPage();
    onTestFinished(() => page.close());
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme: scheme });
    const complaints: string[] = [];
    page.on('console', (said) => {
      // Chromium tells of each connection that an EventSource loses.
      if (!said.text().includes('net::ERR_')) complaints.push(said.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    return { page, complaints };
  }

  /** An app, and a page that shows its status. */
  async function open(opening: Opening = {}) {
    const {
      scheme = 'light',
      width = 1_200,
      store = createMemoryStore(),
      journal = false,
    } = opening;
    const keep = lastchunk({ store, journal, logger: false });
    const talks: express.Response[] = [];
    const app = express().set('env', 'test');
    const status = { authorize: () => true, conversations: opening.route !== undefined };
    app.use('/status', keep.statusHandler({ ...status, ...opening.status }));
    const guard = keep.guard({
      message: (req) => ({ conversationId: req.params['id'] }),
      ...(opening.route !== undefined && { route: opening.route }),
    });
    app.post('/chat/:id', guard, (_req, res) => void talks.push(res));
    const server: Server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A TCP server that listens has an AddressInfo.
    const { port } = server.address() as AddressInfo;
    const origin = `http://127.0.0.1:${port}`;
    onTestFinished(async () => {
      server.closeAllConnections();
      server.close();
      await keep.close({ deadlineMs: 1_000 });
    });
    const begin = async (target: string): Promise<void> => {
      const known = talks.length;
      // What becomes of the answer is seen on the page.
      fetch(`${origin}${target}`, { method: 'POST' })
        .then((reply) => reply.text())
        .catch(() => undefined);
      await until('the handler runs', () => talks.length > known);
    };
    const chat = async (id: string): Promise<void> => {
      await begin(`/chat/${id}`);
      const res = talks.at(-1);
      res?.type('text/event-stream').write('data: {"text":"hi"}\n\n');
      res?.end('data: [DONE]\n\n');
      await keep.flush();
    };
    const url = `${origin}/status`;
    const { page, complaints } = await newPage({ scheme, width });
    await page.goto(url);
    return { page, complaints, talks, begin, chat, server, port, url };
  }
});
