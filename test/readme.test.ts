/** The README's example, taken from its text and run as it stands. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './support/imports.ts';
import { type AppFolder, createAppFolder } from './support/package.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';
import { soon, until } from './support/until.ts';

let readme: string;
beforeAll(async () => {
  readme = await readFile(join(ROOT, 'README.md'), 'utf8');
});

it('has its example within the first 20 lines', () => {
  const before = readme.slice(0, readme.indexOf('```js'));
  expect(before.split('\n').length).toBeLessThan(20);
});

it('names the two commands', () => {
  expect(readme).toContain('npm install && npm run demo');
  expect(readme).toContain('npm install && npm test');
});

describe('its example', () => {
  let postgres: TestPostgres;
  let folder: AppFolder;
  let app: ChildProcessByStdio<null, Readable, null>;
  let url: string;
  let client: pg.Client;

  beforeAll(async () => {
    const peers = ['@opentelemetry/api', 'express', 'pg', 'prom-client'];
    [postgres, folder] = await Promise.all([startPostgres(), createAppFolder(peers)]);
    client = new pg.Client({ connectionString: postgres.connectionString });
    await client.connect();
    await writeFile(join(folder.path, 'app.mjs'), exampleOf(readme));
    app = spawn(process.execPath, ['app.mjs'], {
      cwd: folder.path,
      env: { ...process.env, DATABASE_URL: postgres.connectionString, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    url = await firstUrl(app.stdout);
  });
  afterAll(async () => {
    app.kill('SIGKILL');
    await client.end();
    await Promise.all([postgres.remove(), folder.remove()]);
  });

  const rowOf = async (conversation: string): Promise<unknown> => {
    const { rows } = await client.query(
      'SELECT content, complete, outcome FROM lastchunk_messages WHERE conversation_id = $1',
      [conversation],
    );
    return rows[0];
  };

  it('streams an answer, and has saved it when the last frame arrives', async () => {
    const response = await fetch(`${url}/chat/whole`, { method: 'POST' });
    expect(await response.text()).toMatch(/ chunk"\}\n\ndata: \[DONE\]\n\n$/);
    expect(await rowOf('whole')).toEqual({
      content: 'The last chunk',
      complete: true,
      outcome: 'completed',
    });
  });

  it('saves the whole answer of a client that left after the first word', async () => {
    const leave = new AbortController();
    const response = await fetch(`${url}/chat/left`, { method: 'POST', signal: leave.signal });
    await response.body?.getReader().read();
    leave.abort();
    expect(await until('the row is there', () => rowOf('left'))).toEqual({
      content: 'The last chunk',
      complete: true,
      outcome: 'disconnected',
    });
  });

  it('counts both, is healthy, and ends by SIGTERM', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('lastchunk_saves_expected_total{route="/chat/:id"} 2\n');
    expect(metrics).toContain('lastchunk_saves_total{route="/chat/:id",result="saved"} 2\n');
    expect((await fetch(`${url}/health/saves`)).status).toBe(200);
    const ended = once(app, 'exit');
    app.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});

function exampleOf(text: string): string {
  const code = /```js\n(?<code>.*?)\n```/s.exec(text)?.groups?.['code'];
  if (code === undefined) throw new Error('the README has no example');
  return code;
}

async function firstUrl(output: Readable): Promise<string> {
  const lines = createInterface(output);
  const ended = once(lines, 'close').then(() => ['nothing more']);
  const [line] = await soon('the example to speak', Promise.race([once(lines, 'line'), ended]));
  const found = /http:\/\/\S+/.exec(String(line))?.[0];
  if (found === undefined) throw new Error(`the example said: ${String(line)}`);
  return found;
}
