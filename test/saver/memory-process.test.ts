/** Twenty answers of 20 MB at once, in a process that may use 512 MiB: each is saved, and none is called lost. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';

const CHILD = fileURLToPath(new URL('memory-child.ts', import.meta.url));
const ANSWERS = 20;
const BYTES = 20_000_000;

let database: TestPostgres;
beforeAll(async () => {
  database = await startPostgres();
}, 60_000);
afterAll(() => database.remove());

/** Reads an answer of so many bytes; resolves to how many came. */
function read(port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request({ port, path, host: '127.0.0.1', agent: false }, (answer) => {
      let bytes = 0;
      answer.on('data', (piece: Buffer) => (bytes += piece.length));
      answer.on('end', () => resolve(bytes));
    })
      .on('error', reject)
      .end();
  });
}

interface Child {
  /** The last that it said under this name. */
  last(name: string): unknown;
  all(name: string): readonly unknown[];
  /** Tells it to close; resolves to how it ended. */
  close(): Promise<{ readonly code: unknown; readonly signal: unknown }>;
}

async function start(connectionString: string, journal: string): Promise<Child> {
  const child = fork(CHILD, {
    execArgv: ['--max-old-space-size=512', '--import', 'tsx'],
    env: { ...process.env, DATABASE_URL: connectionString, JOURNAL: journal },
  });
  const exited = once(child, 'exit');
  onTestFinished(() => void child.kill('SIGKILL'));
  const said: Record<string, unknown>[] = [];
  child.on('message', (one) => {
    if (typeof one === 'object') said.push({ ...one });
  });
  const all: Child['all'] = (name) => said.flatMap((one) => (name in one ? [one[name]] : []));
  const started: Child = {
    all,
    last: (name) => all(name).at(-1),
    async close() {
      child.send('close');
      const [code, signal] = await exited;
      return { code, signal };
    },
  };
  await until('it listens', () => started.last('port') !== undefined);
  return started;
}

test('a process with a heap of 512 MiB stores twenty answers of 20 MB at once', async () => {
  const connectionString = await database.newDatabase();
  const journal = mkdtempSync(join(tmpdir(), 'lastchunk-memory-'));
  onTestFinished(() => rmSync(journal, { recursive: true, force: true }));
  const first = await start(connectionString, journal);
  const paths = Array.from({ length: ANSWERS }, (_, n) => `/answer-${n}-${BYTES}`);
  const port = Number(first.last('port'));
  const bytes = await Promise.all(paths.map((path) => read(port, path)));
  expect(bytes).toEqual(paths.map(() => BYTES));
  expect(await first.close()).toEqual({ code: 0, signal: null });
  expect(first.last('closed')).toMatchObject({ lost: 0 });
  const results = first.all('result');
  expect(results).toHaveLength(ANSWERS);
  expect(results).not.toContain('lost');
  expect(results).not.toContain('missing');

  // What is journaled is sent by the next start, which may use no more.
  const next = await start(connectionString, journal);
  const client = new pg.Client({ connectionString });
  await client.connect();
  onTestFinished(() => client.end());
  const rows = async (columns: string): Promise<readonly object[]> =>
    (await client.query<object>(`SELECT ${columns} FROM lastchunk_messages`)).rows;
  await expect.poll(async () => (await rows('id')).length, { timeout: 90_000 }).toBe(ANSWERS);
  expect(await rows('length(content), complete, outcome')).toEqual(
    paths.map(() => ({ length: BYTES, complete: true, outcome: 'completed' })),
  );
  expect(await next.close()).toEqual({ code: 0, signal: null });
}, 300_000);
