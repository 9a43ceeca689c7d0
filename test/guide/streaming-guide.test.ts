/** The examples of docs/streaming-guide.md, run as they stand there: the careful one keeps what the first one loses. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';
import { serve } from '../support/test-server.ts';
import { turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

interface Part {
  readonly token?: string;
  readonly finished?: boolean;
}
type Model = (req: Request) => AsyncIterable<Part>;
type Save = (id: string, text: string, complete?: boolean) => Promise<void>;
type Make = (model: Model, save: Save) => RequestHandler;

let folder: string;
let lateSave: Make;
let careful: Make;
let whoEnded: (res: ServerResponse, socket: IncomingMessage['socket']) => string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lastchunk-guide-'));
  const guide = await readFile(join(ROOT, 'docs/streaming-guide.md'), 'utf8');
  const load = async (name: string): Promise<Record<string, unknown>> => {
    const [, code] = guide.split(`\`\`\`js\n// ${name}\n`);
    if (code === undefined) throw new Error(`the guide has no example ${name}`);
    const file = join(folder, name);
    await writeFile(file, code.slice(0, code.indexOf('\n```')));
    // A module's names are not known before it is there.
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  };
  // What the guide says they are; a wrong one fails the tests.
  lateSave = (await load('late-save.mjs'))['lateSave'] as Make;
  careful = (await load('careful.mjs'))['careful'] as Make;
  whoEnded = (await load('who-ended.mjs'))['whoEnded'] as typeof whoEnded;
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A client of a route that is made in this way, a model that says what the test says, and what was saved. */
async function open(make: Make) {
  const rows = new Map<string, { text: string; complete: boolean | undefined }>();
  const said: Array<Part | Error | 'end'> = [];
  const model: Model = async function* () {
    for (;;) {
      const next = await until('the model says something', () => said.shift());
      if (next === 'end') return;
      if (next instanceof Error) throw next;
      yield next;
    }
  };
  let saving: Promise<void> | undefined;
  const save: Save = (id, text, complete) => {
    saving = turns(20).then(() => void rows.set(id, { text, complete }));
    return saving;
  };
  const app = express().set('env', 'test');
  const handled: Promise<unknown>[] = [];
  const handler = make(model, save);
  app.get('/chat/:id', (req: Request, res: Response, next) => {
    const done = Promise.resolve(handler(req, res, next));
    handled.push(done.catch(() => undefined));
    return done;
  });
  const client = await openClient(await serve(app), '/chat/7');
  said.push({ token: 'one' });
  await client.sees('one');
  const over = async (): Promise<void> => void (await Promise.all(handled));
  return { rows, said, client, over };
}

describe('at the last frame', () => {
  it('the history has the message of the careful handler, but not that of the first handler', async () => {
    for (const [make, found] of [
      [careful, { text: 'one', complete: true }],
      [lateSave, undefined],
    ] as const) {
      const { rows, said, client, over } = await open(make);
      said.push({ finished: true }, 'end');
      await client.sees('[DONE]');
      expect(rows.get('7')?.text).toBe(found?.text);
      await over();
    }
  });
});

describe('when the model breaks', () => {
  it('the careful handler keeps what was sent and sends no clean end; the first one keeps nothing', async () => {
    const first = await open(careful);
    first.said.push(new Error('the model broke'));
    await first.over();
    expect(first.rows.get('7')).toEqual({ text: 'one', complete: false });
    expect((await first.client.over()).whole).toBe(false);
    const second = await open(lateSave);
    second.said.push(new Error('the model broke'));
    await second.over();
    expect(second.rows.size).toBe(0);
  });

  it('a loop that ends without a finish marker is not a whole answer', async () => {
    const { rows, said, client, over } = await open(careful);
    said.push('end');
    await over();
    expect(rows.get('7')).toEqual({ text: 'one', complete: false });
    expect((await client.over()).whole).toBe(false);
  });
});

describe('when the client leaves', () => {
  it('the careful handler continues and keeps the whole answer, also if it was waiting for drain', async () => {
    const { rows, said, client, over } = await open(careful);
    client.pause();
    const long = 'x'.repeat(8 * 1024 * 1024);
    said.push({ token: long });
    await turns(20);
    client.rst();
    said.push({ token: 'three' }, { finished: true }, 'end');
    await over();
    expect(rows.get('7')).toEqual({ text: `one${long}three`, complete: true });
  });
});

describe('who closed the connection', () => {
  it.each([
    ['fin', 'client'],
    ['rst', 'client'],
    ['destroy', 'server'],
    ['destroy with an error', 'server'],
    ['end', 'nobody'],
  ])('%s: %s', async (how, who) => {
    let verdict: string | undefined;
    let response: ServerResponse | undefined;
    const testServer = await serve((req, res) => {
      const { socket } = req;
      response = res;
      res.on('error', () => undefined);
      res.on('close', () => {
        verdict = whoEnded(res, socket);
      });
      res.write('one');
    });
    const client = await openClient(testServer, '/');
    await client.sees('one');
    if (how === 'fin') client.fin();
    else if (how === 'rst') client.rst();
    else if (how === 'end') response?.end();
    else response?.destroy(how === 'destroy' ? undefined : new Error('broken'));
    expect(await until('the response has closed', () => verdict)).toBe(who);
  });
});
