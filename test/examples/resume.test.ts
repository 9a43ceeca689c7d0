/** The example of a chat that is read on: the AI SDK's own transport, and a plain page in Chromium. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createApp } from '../../examples/resume/app.ts';
import { createTransport } from '../../examples/resume/transport.ts';
import { findChromium, startChromium } from '../browser/program.ts';
import { ROOT } from '../support/imports.ts';
import { createMemoryRelay } from '../support/memory-relay.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const chromiumPath = findChromium();
const inCi = process.env['CI'] === 'true';
if (chromiumPath === undefined && !inCi) console.log('skipped: the page, which needs Chromium');

/** The app behind a proxy that is cut; its model says what the test gives it. */
async function openExample(before: Parameters<typeof serve>[0] = () => {}) {
  const said: string[] = [];
  let isOver = false;
  async function* answer(): AsyncGenerator<string> {
    for (let at = 0; !isOver || at < said.length; at += 1) {
      yield await until('the model says more', () => said[at] ?? (isOver && ' '));
    }
  }
  const store = createMemoryStore();
  const relay = { engine: createMemoryRelay().connect(), flushMs: 10 };
  const { app, keep } = createApp({ store, relay, journal: false, logger: false }, answer);
  const server = await serve((req, res) => {
    before(req, res);
    if (!res.headersSent) app(req, res);
  });
  const proxy = await startTcpProxy(server.port, 'localhost');
  onTestFinished(async () => {
    await proxy.close();
    await keep.close({ deadlineMs: 1_000 });
  });
  const say = (text: string): number => said.push(text);
  const end = (): void => void (isOver = true);
  return { store, proxy, url: `http://127.0.0.1:${proxy.port}`, say, end };
}

it('useChat({ resume: true }) resumes after a lost connection, and after a reload', async () => {
  const { store, proxy, url, say, end } = await openExample();
  const transport = createTransport(url);
  const asking = transport.sendMessages({
    trigger: 'submit-message',
    chatId: 'c',
    messageId: undefined,
    messages: [],
    abortSignal: undefined,
  });
  say('hel');
  const first = textOf(await asking);
  await until('it is shown', () => first.text === 'hel');
  // As a page that was loaded again does.
  const again = await createTransport(url).reconnectToStream({ chatId: 'c' });
  const reloaded = textOf(again ?? new ReadableStream());
  await until('it is shown again', () => reloaded.text === 'hel');
  proxy.cut();
  say('lo');
  end();
  await until('both are over', () => first.isOver && reloaded.isOver);
  expect([first.text.trim(), reloaded.text.trim()]).toEqual(['hello', 'hello']);
  await until('it is saved', () => store.row?.complete);
  expect(store.row?.text.trim()).toBe('hello');
  expect(await transport.reconnectToStream({ chatId: 'c' })).toBe(null);
});

describe.skipIf(chromiumPath === undefined && !inCi)('the page', () => {
  it('shows the whole answer after its connection was lost', async () => {
    const { outputFiles } = await build({
      entryPoints: [join(ROOT, 'src/client.ts')],
      write: false,
      format: 'esm',
    });
    const files: Record<string, readonly [type: string, text: string]> = {
      '/': ['text/html', await readFile(join(ROOT, 'examples/resume/page.html'), 'utf8')],
      '/client.js': ['text/javascript', outputFiles[0]?.text ?? ''],
    };
    const { proxy, url, say, end } = await openExample((req, res) => {
      const [type, text] = files[req.url ?? ''] ?? [];
      if (type !== undefined) res.setHeader('content-type', type).end(text);
    });
    const chromium = await startChromium(chromiumPath ?? '');
    onTestFinished(() => chromium.close());
    const page = await chromium.context.newPage();
    await page.goto(url);
    say('hel');
    const shown = (): Promise<string> => page.innerText('#answer');
    await until('it is shown', async () => (await shown()).includes('"hel"'));
    proxy.cut();
    say('lo');
    end();
    await until('it is over', async () => (await page.title()) === 'done');
    expect(await shown()).toMatch(/"hel".*"lo".*\[DONE\]/s);
    expect((await shown()).match(/"hel"/g)).toHaveLength(1);
  });
});

/** What the AI SDK makes of an answer. */
function textOf(stream: ReadableStream<UIMessageChunk>) {
  const seen = { text: '', isOver: false };
  const read = async (): Promise<void> => {
    for await (const { parts } of readUIMessageStream<UIMessage>({
      stream,
      terminateOnError: true,
    }))
      seen.text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
    seen.isOver = true;
  };
  void read().catch((error: unknown) => {
    // Then it is never over.
    seen.text = String(error);
  });
  return seen;
}
