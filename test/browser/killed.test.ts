/**
 * Clients in Chromium lose their network, or the instance that sends their answer is killed. The instances are processes without a disk;
 * store and relay are one PostgreSQL.
 */
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { look } from '../postgres/messages.ts';
import { type App, startReplicaApp } from '../support/child-process.ts';
import { useDatabase } from '../support/database.ts';
import { ROOT } from '../support/imports.ts';
import { until } from '../support/until.ts';
import { type Files, Front } from './front.ts';
import { findChromium, startChromium } from './program.ts';

const path = findChromium();
const inCi = process.env['CI'] === 'true';
if (path === undefined && !inCi)
  console.log('skipped: clients of a killed instance in a browser; they need Chromium');

/** The functions of `killed-clients.ts` that run before the fault, each in a new page; what the last returns at a regular end, and after a broken one. */
const CLIENTS = [
  { name: 'openai', pages: ['openai'], whole: 'whole', broken: 'TypeError: network error' },
  { name: 'useChat()', pages: ['chat'], whole: 'whole', broken: 'TypeError: network error' },
  {
    name: 'useChat({ resume: true }) in a page that was loaded again',
    pages: ['chat', 'resumedChat'],
    whole: 'whole',
    broken: 'TypeError: network error',
  },
  // 204 closes it after both ends.
  { name: 'EventSource', pages: ['eventSource'], whole: 'closed', broken: 'closed' },
] as const;
type Client = (typeof CLIENTS)[number];

/** All texts that the page has shown, and how the client ended; '' until then. */
interface Shown {
  readonly texts: readonly string[];
  readonly end: string;
}

/** Runs a client; the query is `?client=conversation`. */
const PAGE = `<!doctype html>
<title>chat</title>
<pre id="answer"></pre>
<script type="module">
  import * as clients from '/clients.js';
  globalThis.shown = { texts: [], end: '' };
  const show = (text) => {
    document.querySelector('#answer').textContent = text;
    shown.texts.push(document.querySelector('#answer').textContent);
  };
  const [client, id] = location.search.slice(1).split('=');
  clients[client](id, show).then(
    (end) => (shown.end = end),
    (error) => (shown.end = String(error)),
  );
</script>`;

describe.skipIf(path === undefined && !inCi)('a page in Chromium', () => {
  const database = useDatabase();
  let chromium: Awaited<ReturnType<typeof startChromium>>;
  let clients = '';

  beforeAll(async () => {
    if (path === undefined) throw new Error('Chromium is not installed');
    const { outputFiles } = await build({
      entryPoints: [join(ROOT, 'test/browser/killed-clients.ts')],
      alias: { 'lastchunk/client': join(ROOT, 'src/client.ts') },
      bundle: true,
      write: false,
      format: 'esm',
    });
    clients = outputFiles[0]?.text ?? '';
    chromium = await startChromium(path);
  });

  afterAll(() => chromium.close());

  it.each(CLIENTS)(
    'shows the whole answer once after the network was off: $name',
    async (client) => {
      const { first, second, front, page, shown, shows, row } = await begin(client);
      await page.context().setOffline(true);
      onTestFinished(() => page.context().setOffline(false));
      front.to = second.url;
      front.cut();
      const before = lastOf(await shown());
      await page.context().setOffline(false);
      await shows(before.length + 100);
      await fetch(`${first.url}/end/c`, { method: 'POST' });
      await until('the client ends', async () => (await shown()).end);
      const { content, ...facts } = await until('the message is saved', row);
      // The connection of the original response was broken when the answer ended.
      expect(facts).toEqual({ outcome: 'disconnected', complete: true });
      expectTokens(content);
      expectOnly(await shown(), content);
      expect((await shown()).end).toBe(client.whole);
      expectResumed(front, second, client.name === 'EventSource' ? [200, 204] : [200]);
    },
  );

  it.each(CLIENTS)(
    'shows exactly the saved text after the instance was killed: $name',
    async (client) => {
      const { first, second, front, page, shown, row } = await begin(client);
      front.lose();
      await until('tokens are discarded', () => tokensIn(front.lost).length > 4);
      front.to = second.url;
      await first.kill();
      await until('the client ends', async () => (await shown()).end);
      const { content, ...facts } = await until('the message is saved', row);
      expect(facts).toEqual({ outcome: 'interrupted', complete: false });
      expectTokens(content);
      // The relay has all that the instance sent, also what did not arrive.
      expect(content).toContain(tokensIn(front.lost).at(-1));
      expectOnly(await shown(), content);
      expect((await shown()).end).toBe(client.broken);
      expectResumed(front, second, [200, 204]);
      await page.goto(`${front.url}/?resumedChat=c`);
      await until('the client ends', async () => (await shown()).end);
      expect(await shown()).toEqual({ texts: [], end: 'nothing to resume' });
    },
  );

  /** Starts two instances behind a proxy, and opens a page that shows the beginning of an answer from the first one. */
  async function begin({ pages }: Client) {
    const connectionString = database.url;
    for (const made of [postgres({ connectionString }), postgresRelay({ connectionString })]) {
      await made.migrate();
      await made.close();
    }
    const start = (): Promise<App> => startReplicaApp(connectionString, undefined, true);
    const [first, second] = await Promise.all([start(), start()]);
    const files: Files = {
      '/clients.js': ['text/javascript', clients],
      '/favicon.ico': ['image/x-icon', ''],
      ...Object.fromEntries(pages.map((name) => [`/?${name}=c`, ['text/html', PAGE]])),
      '/?resumedChat=c': ['text/html', PAGE],
    };
    const front = await Front.start(files, first.url);
    const page = await chromium.context.newPage();
    onTestFinished(() => page.close());
    const shown = (): Promise<Shown> => page.evaluate('globalThis.shown');
    const shows = (length: number): Promise<unknown> =>
      until(`the page shows ${length} characters`, async () => {
        const now = await shown();
        if (now.end !== '') throw new Error(`the client ended: ${now.end}`);
        return lastOf(now).length >= length;
      });
    for (const name of pages) {
      await page.goto(`${front.url}/?${name}=c`);
      await shows(100);
    }
    const row = async () => {
      const rows = await look(
        connectionString,
        'SELECT content, outcome, complete FROM lastchunk_messages',
      );
      expect(rows.length).toBeLessThan(2);
      return rows[0] && { ...rows[0], content: String(rows[0]['content']) };
    };
    return { first, second, front, page, shown, shows, row };
  }
});

/** The complete tokens in a part of a body. */
const tokensIn = (bytes: string): readonly string[] => bytes.match(/ c\.\d+ /g) ?? [];

const lastOf = ({ texts }: Shown): string => texts.at(-1) ?? '';

/** The content is what the handler wrote up to some token. */
function expectTokens(content: string): void {
  const count = content.split(' ').length / 2;
  const tokens = Array.from({ length: Math.floor(count) }, (_, token) => `töken c.${token} `);
  expect(content).toBe(tokens.join(''));
}

/** The page shows the content, and each text before it was a prefix of it. */
function expectOnly(shown: Shown, content: string): void {
  expect(lastOf(shown)).toBe(content);
  expect(shown.texts.filter((text) => !content.startsWith(text))).toEqual([]);
}

/** The statuses with which the other instance answered requests for the rest; each is listed once. */
function expectResumed(front: Front, { url }: App, statuses: readonly number[]): void {
  const answers = front.passed.filter(({ from }) => from === url);
  expect([...new Set(answers.map(({ status }) => status))]).toEqual(statuses);
  expect(answers.filter(({ path: asked }) => !asked.startsWith('/streams/'))).toEqual([]);
}
