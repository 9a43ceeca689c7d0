/** The README's example, taken from its text and run as it stands. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
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

it('has its example as the file examples/first/app.mjs', async () => {
  const file = await readFile(join(ROOT, 'examples/first/app.mjs'), 'utf8');
  expect(file).toBe(`${exampleOf(readme)}\n`);
});

it('has at most 12 KB, and the example of an own table as it is tested', async () => {
  expect(Buffer.byteLength(readme)).toBeLessThanOrEqual(12 * 1_024);
  expect(readme).toContain(await readFile(join(ROOT, 'examples/pg/store.ts'), 'utf8'));
});

it('has a comment in its example on who should reach metrics and health', () => {
  const said = /^\/\/ .*network.*\napp\.get\('\/metrics'.*\napp\.get\('\/health\/saves'/m;
  expect(exampleOf(readme)).toMatch(said);
});

it('names the commands of the demo and of the tests', () => {
  expect(readme).toContain('npm install && npm run demo');
  expect(readme).toContain('npm install && npm test');
});

describe('the example of the README', () => {
  let postgres: TestPostgres;
  let folder: AppFolder;
  let app: Example;
  let url: string;
  let client: pg.Client;

  beforeAll(async () => {
    const peers = ['@opentelemetry/api', 'express', 'pg', 'prom-client'];
    [postgres, folder] = await Promise.all([startPostgres(), createAppFolder(peers)]);
    client = new pg.Client({ connectionString: postgres.connectionString });
    await client.connect();
    await writeFile(join(folder.path, 'app.mjs'), exampleOf(readme));
    app = startExample(folder, postgres);
    app.stderr.pipe(process.stderr);
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

  it('streams an answer, which is saved when the last frame arrives', async () => {
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

  it('counts both answers, is healthy, and ends on SIGTERM', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('lastchunk_saves_expected_total{route="/chat/:id"} 2\n');
    expect(metrics).toContain('lastchunk_saves_total{route="/chat/:id",result="saved"} 2\n');
    expect((await fetch(`${url}/health/saves`)).status).toBe(200);
    const ended = once(app, 'exit');
    app.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });

  it('cuts no answer when SIGTERM comes under load, with a slow database', async () => {
    await client.query(SLOW_INSERTS);
    const loaded = startExample(folder, postgres);
    let said = '';
    loaded.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const loadedUrl = await firstUrl(loaded.stdout);
    const agent = new Agent({ keepAlive: true });
    const answers: Answer[] = [];
    const clients = Array.from({ length: 40 }, (_, number) =>
      askAgainAndAgain(`${loadedUrl}/chat/load-${number}`, agent, answers),
    );
    await until('each client has had its first answers', () => answers.length >= 80);
    const ended = once(loaded, 'exit');
    loaded.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    await Promise.all(clients);
    agent.destroy();
    expect(said.replace(/^lastchunk info: journal in .*; store .* reachable\n/, '')).toBe('');
    expect(answers.filter(({ whole }) => !whole)).toEqual([]);
    const { rows } = await client.query<{ kept: number }>(
      `SELECT count(*)::int AS kept FROM lastchunk_messages
       WHERE conversation_id LIKE 'load-%' AND complete AND content = 'The last chunk'`,
    );
    expect(rows[0]?.kept).toBe(answers.filter(({ status }) => status === 200).length);
  });
});

/** Every statement that adds messages needs 300 ms. */
const SLOW_INSERTS = `
  CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END';
  CREATE TRIGGER slow BEFORE INSERT ON lastchunk_messages
    FOR EACH STATEMENT EXECUTE FUNCTION be_slow();`;

/** An answer whose head has come. */
interface Answer {
  readonly status: number | undefined;
  readonly whole: boolean;
}

/** Asks on kept-alive connections, one question after the other, until it is not answered or not served any more. */
async function askAgainAndAgain(url: string, agent: Agent, answers: Answer[]): Promise<void> {
  for (;;) {
    const answer = await ask(url, agent);
    if (answer === undefined) return;
    answers.push(answer);
    if (answer.status !== 200) return;
  }
}

/** Undefined where not even a head comes. */
function ask(url: string, agent: Agent): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const asked = request(url, { method: 'POST', agent });
    asked.on('response', (answer) => {
      const tell = (): void => resolve({ status: answer.statusCode, whole: answer.complete });
      answer.on('end', tell).on('error', tell).resume();
    });
    // Nobody listens any more, or an idle connection was closed: no answer was begun.
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}

type Example = ChildProcessByStdio<null, Readable, Readable>;

function startExample(folder: AppFolder, postgres: TestPostgres): Example {
  return spawn(process.execPath, ['app.mjs'], {
    cwd: folder.path,
    env: { ...process.env, DATABASE_URL: postgres.connectionString, PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

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
