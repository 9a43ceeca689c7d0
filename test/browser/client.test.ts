/** `lastchunk/client` in a browser: its network is off and on again, and the rest comes from another origin. */
import { join } from 'node:path';
import { build } from 'esbuild';
import cors from 'cors';
import type express from 'express';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { ROOT } from '../support/imports.ts';
import { createShared, relayed, type Replica, startReplica } from '../support/replicas.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { findChromium, startChromium } from './program.ts';

const path = findChromium();
const inCi = process.env['CI'] === 'true';
if (path === undefined && !inCi)
  console.log('skipped: the client in a browser, which needs Chromium');

const EXPOSED = ['X-Stream-Id', 'X-Stream-Offset'];

describe.skipIf(path === undefined && !inCi)('resumingFetch in a browser', () => {
  let chromium: Awaited<ReturnType<typeof startChromium>>;
  let script = '';

  beforeAll(async () => {
    if (path === undefined) throw new Error('Chromium is not installed');
    const { outputFiles } = await build({
      entryPoints: [join(ROOT, 'src/client.ts')],
      bundle: true,
      write: false,
      format: 'esm',
    });
    script = outputFiles[0]?.text ?? '';
    chromium = await startChromium(path);
  });

  afterAll(() => chromium.close());

  it('resumes at once when the network is back, in the same body', async () => {
    const { here, there, page, proxy } = await open();
    // No pause ever ends by itself: what goes on is woken.
    await page.evaluate('globalThis.timers = 0; globalThis.setTimeout = () => ++timers');
    const { res, shown } = await begin(page, here, there.server.url, proxy.url);
    res.write('one ');
    await until('it is shown', () => shown.text === 'one ');
    await page.context().setOffline(true);
    proxy.cut();
    res.write('two ');
    // The limit of all tries, and the pause before the first.
    await until('it waits', () => page.evaluate('timers >= 2'));
    expect(shown).toEqual({ text: 'one ', end: '' });
    await page.context().setOffline(false);
    res.end('three');
    await until('it is over', () => shown.end !== '');
    expect(shown).toEqual({ text: 'one two three', end: 'well' });
  });

  it('resumes at another origin, whose headers CORS exposes', async () => {
    const { here, there, page, proxy } = await open();
    const { res, shown } = await begin(page, here, there.server.url, proxy.url);
    res.write('one ');
    await until('it is shown', () => shown.text === 'one ');
    proxy.cut();
    res.end('two');
    await until('it is over', () => shown.end !== '');
    expect(shown).toEqual({ text: 'one two', end: 'well' });
  });

  it('fails as fetch does if no instance has the rest', async () => {
    const { here, page, proxy } = await open();
    const { res, shown } = await begin(page, here, `${here.server.url}/nowhere`, proxy.url);
    res.write('one ');
    await until('it is shown', () => shown.text === 'one ');
    proxy.cut();
    await until('it is over', () => shown.end !== '');
    expect(shown).toEqual({ text: 'one ', end: 'TypeError: network error' });
  });

  it('is not needed by an EventSource whose frames have ids', async () => {
    const { here, page, proxy } = await open({ ids: true });
    const asked = fetch(`${here.server.url}/chat/c`, { method: 'POST' });
    const { res, streamId } = await until('the handler runs', () => here.talks[0]);
    res.type('text/event-stream').write('data: one\n\n: ping\n\n');
    const shown: string[] = [];
    await page.exposeFunction('show', (data: string) => shown.push(data));
    await page.evaluate(`
      globalThis.source = new EventSource('${proxy.url}/streams/${streamId}');
      source.onmessage = ({ data }) => show(data);
    `);
    await until('it is shown', () => shown.length === 1);
    proxy.cut();
    res.write('data: two\n\n');
    await until('it has come again', () => shown.length === 2);
    proxy.cut();
    res.end('data: three\n\n');
    // A regular end is one more reason to connect again, and then it is told that this was all.
    await until('it is closed', () => page.evaluate('source.readyState === EventSource.CLOSED'));
    expect(shown).toEqual(['one', 'two', 'three']);
    expect((await asked).status).toBe(200);
  });

  it('is not needed by an EventSource that connects again while the relay is unavailable', async () => {
    const { shared, here, there, page } = await open({ ids: true });
    const asked = fetch(`${here.server.url}/chat/c`, { method: 'POST' });
    const { res, streamId } = await until('the handler runs', () => here.talks[0]);
    res.type('text/event-stream').write('data: one\n\n');
    await relayed(shared, streamId, 'data: one\nid: 18\n\n');
    const shown: string[] = [];
    await page.exposeFunction('show', (data: string) => shown.push(data));
    await page.evaluate(`
      globalThis.source = new EventSource('${there.server.url}/streams/${streamId}');
      source.onmessage = ({ data }) => show(data);
    `);
    await until('the first frame is shown', () => shown.length === 1);
    shared.relay.fail(new Error('away'));
    there.server.server.closeAllConnections();
    await until('the stream cannot be resumed', () =>
      there.logbook.lines.some(({ text }) => text.includes('could not be resumed')),
    );
    shared.relay.fail(undefined);
    res.end('data: two\n\n');
    await until('it is closed', () => page.evaluate('source.readyState === EventSource.CLOSED'));
    expect(shown).toEqual(['one', 'two']);
    expect((await asked).status).toBe(200);
  });

  /** A page of the first of two replicas, which can be reached by a proxy as well. */
  async function open(guard: GuardOptions = {}) {
    const shared = createShared();
    const before = (app: express.Express): void => {
      app.use(cors({ exposedHeaders: EXPOSED }));
      app.get('/client.js', (_req, res) => void res.type('js').send(script));
      app.get(
        '/page',
        (_req, res) => void res.type('html').send('<!doctype html><title>chat</title>'),
      );
    };
    const here = await startReplica(shared, { before, guard });
    const there = await startReplica(shared, { before });
    const proxy = await startTcpProxy(here.server.port, 'localhost');
    onTestFinished(() => proxy.close());
    const page = await chromium.context.newPage();
    onTestFinished(() => page.close());
    await page.goto(`${here.server.url}/page`);
    return {
      shared,
      here,
      there,
      page,
      proxy: Object.assign(proxy, { url: `http://127.0.0.1:${proxy.port}` }),
    };
  }
});

/** The page asks, and shows what it reads. */
async function begin(page: Page, here: Replica, rest: string, from = here.server.url) {
  const shown = { text: '', end: '' };
  await page.exposeFunction('show', (text: string) => (shown.text += text));
  await page.exposeFunction('over', (end: string) => (shown.end = end));
  await page.evaluate(`void (async () => {
    const { resumingFetch } = await import('/client.js');
    const fetch = resumingFetch({ url: (id, offset) => '${rest}/streams/' + id + '?offset=' + offset });
    const { body } = await fetch('${from}/chat/c', { method: 'POST' });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let read; !(read = await reader.read()).done;) await show(read.value);
    await over('well');
  })().catch((error) => over(String(error)))`);
  const { res } = await until('the handler runs', () => here.talks[0]);
  res.type('text/event-stream').flushHeaders();
  return { res, shown };
}
