/** The handlers of docs/migrating.md, run as they stand there: each keeps what its client saw, also when the model breaks. */
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import { MockLanguageModelV3, simulateReadableStream } from 'ai/test';
import express, { type Application } from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lastchunk } from '../../src/index.ts';
import { lastchunk } from '../../src/index.ts';
import { memoryStore } from '../../src/testing.ts';
import { ROOT } from '../support/imports.ts';
import { createRecordingObserver } from '../support/recording-observer.ts';
import { openClient } from '../support/http-client.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';

type Routes = (app: Application, keep: Lastchunk, model: unknown, save?: unknown) => void;

let folder: string;
let page: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lastchunk-guide-'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  page = await readFile(join(ROOT, 'docs/migrating.md'), 'utf8');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The module of that name in the page. */
async function routesOf(name: string): Promise<Routes> {
  const [, code] = page.split(`\`\`\`js\n// ${name}\n`);
  if (code === undefined) throw new Error(`the page has no example ${name}`);
  const file = join(folder, name);
  await writeFile(file, code.slice(0, code.indexOf('\n```')));
  // A module's names are not known before it is there.
  const module = (await import(pathToFileURL(file).href)) as { routes: Routes };
  return module.routes;
}

/** What the route answers to one client, and what was kept. */
async function ask(name: string, model: unknown) {
  const store = memoryStore();
  const keep = lastchunk({ store, journal: false, logger: false });
  const app = express().set('env', 'test');
  (await routesOf(name))(app, keep, model);
  const client = await openClient(await serve(app), '/chat/7', { method: 'POST' });
  const reply = await client.over();
  const message = await until('it is kept', () => store.messages[0]);
  await keep.close();
  return { body: reply.body.toString(), message };
}

async function* tokens(breaks: boolean) {
  yield 'The last';
  if (breaks) throw new Error('the model broke');
  yield ' chunk';
}

describe('the replacement of a save in `finally`', () => {
  it('keeps a whole answer', async () => {
    const { message, body } = await ask('from-finally.mjs', () => tokens(false));
    expect(message).toMatchObject({ text: 'The last chunk', complete: true, conversationId: '7' });
    expect(body).toContain('data: [DONE]');
  });

  it('keeps what was there when the model breaks', async () => {
    const { message } = await ask('from-finally.mjs', () => tokens(true));
    expect(message).toMatchObject({ text: 'The last', complete: false, outcome: 'failed' });
  });
});

it('the replacement of `onFinish` keeps the text', async () => {
  const usage = {
    inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 2, text: 2, reasoning: 0 },
  };
  const model = new MockLanguageModelV3({
    doStream: async () => ({
      stream: simulateReadableStream({
        chunks: [
          { type: 'text-start', id: '1' },
          { type: 'text-delta', id: '1', delta: 'The last' },
          { type: 'text-delta', id: '1', delta: ' chunk' },
          { type: 'text-end', id: '1' },
          { type: 'finish', finishReason: { unified: 'stop', raw: 'stop' }, usage },
        ],
      }),
    }),
  });
  const { message } = await ask('from-on-finish.mjs', model);
  expect(message).toMatchObject({ text: 'The last chunk', complete: true, conversationId: '7' });
});

it('the replacement of callbacks keeps the text', async () => {
  const chat = new FakeListChatModel({ responses: ['The last chunk'] });
  const { message } = await ask('from-callbacks.mjs', chat);
  expect(message).toMatchObject({ text: 'The last chunk', complete: true, conversationId: '7' });
});

it('a measured app counts the saves that succeed, and those that are missing', async () => {
  const recorded = createRecordingObserver();
  const keep = lastchunk({ observer: recorded.observer, journal: false, logger: false });
  const app = express().set('env', 'test');
  let breaks = false;
  const model = () => tokens(breaks);
  (await routesOf('measured.mjs'))(app, keep, model, async () => undefined);
  const server = await serve(app);
  await (await openClient(server, '/chat/1', { method: 'POST' })).over();
  breaks = true;
  await (await openClient(server, '/chat/2', { method: 'POST' })).over();
  await keep.close();
  expect(recorded.saves.map(({ result }) => result)).toEqual(['saved', 'missing']);
});
