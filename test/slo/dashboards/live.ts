/**
 * A live system to ask: PostgreSQL, the demo's app with visitors, and a Prometheus that scrapes it and computes the
 * rules, sixty times faster than in production so that a month's budget is there within a minute.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { rulesYaml } from '../../../src/slo/index.ts';
import { ROOT } from '../../support/imports.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { until } from '../../support/until.ts';

/** A series of an answer: labels, and one value or many. */
export interface Answer {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

/** A running system. */
export interface Live {
  /** Asks for this moment. Rejects with what Prometheus says about a wrong query. */
  query(expr: string): Promise<readonly Answer[]>;
  /** Asks for the last minute or another span, second by second. */
  queryRange(expr: string, seconds?: number): Promise<readonly Answer[]>;
  /** Traces that observations of these series point to. */
  exemplars(expr: string): Promise<readonly unknown[]>;
  /** Address of the app. */
  readonly app: string;
  /** What the app saves to. */
  readonly database: TestPostgres;
  close(): Promise<void>;
}

/** Whether the programs are installed that npm does not bring. */
export function hasPrometheus(): boolean {
  return spawnSync('prometheus', ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** What is not to be as it is by itself. */
export interface LiveOptions {
  /** Address of an OpenAI-compatible model. Default: one of the app's own. */
  readonly upstream?: string;
  /** Directory of the journal. Default: a temporary one. */
  readonly journal?: string;
  /** Of the app's own visitors. Default: 8. */
  readonly visitsPerSecond?: number;
}

/** Starts everything on free ports; nothing is left after `close()`. */
export async function startLive(options: LiveOptions = {}): Promise<Live> {
  const { upstream, journal, visitsPerSecond = 8 } = options;
  const [home, postgres] = await Promise.all([
    mkdtemp(join(tmpdir(), 'lastchunk-live-')),
    startPostgres(),
  ]);
  const app = spawn(process.execPath, ['--import', 'tsx', 'deploy/demo/main.ts'], {
    cwd: ROOT,
    env: {
      ...process.env,
      DATABASE_URL: postgres.connectionString,
      JOURNAL: journal ?? join(home, 'journal'),
      ...(upstream !== undefined && { OPENAI_BASE_URL: upstream, OPENAI_API_KEY: 'not needed' }),
      PORT: '0',
      VISITS_PER_SECOND: String(visitsPerSecond),
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  // However the tests end, these end with them.
  process.once('exit', () => app.kill('SIGKILL'));
  const [, target = ''] = await said(app, app.stdout, /listening on http:\/\/(\S+)/);
  await writeFile(join(home, 'rules.yml'), rulesYaml({ speed: 60 }));
  await writeFile(join(home, 'prometheus.yml'), configFor(target));
  const prometheus = spawn('prometheus', [
    `--config.file=${join(home, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(home, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
    '--enable-feature=exemplar-storage',
  ]);
  process.once('exit', () => prometheus.kill('SIGKILL'));
  const [, address = ''] = await said(prometheus, prometheus.stderr, /Listening on" address=(\S+)/);
  await ready(`http://${address}/-/ready`);
  const ask = (path: string, parameters: Record<string, string>): Promise<unknown> =>
    get(new URL(`/api/v1/${path}?${String(new URLSearchParams(parameters))}`, `http://${address}`));
  return {
    query: async (query) => resultOf(await ask('query', { query })),
    queryRange: async (query, seconds = 60) => {
      const now = Date.now() / 1_000;
      const range = { start: String(now - seconds), end: String(now), step: '1' };
      return resultOf(await ask('query_range', { query, ...range }));
    },
    exemplars: async (query) => {
      const now = Date.now() / 1_000;
      const range = { start: String(now - 600), end: String(now) };
      // What `query_exemplars` documents.
      return (await ask('query_exemplars', { query, ...range })) as unknown[];
    },
    app: `http://${target}`,
    database: postgres,
    close: async () => {
      await Promise.all([ended(app, 'SIGKILL'), ended(prometheus, 'SIGTERM')]);
      await Promise.all([postgres.remove(), rm(home, { recursive: true, force: true })]);
    },
  };
}

function configFor(target: string): string {
  return `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [rules.yml]
scrape_configs: [{ job_name: chat, static_configs: [{ targets: ['${target}'] }] }]
`;
}

/** Waits for a line of a process that looks like this; what comes after it is read and forgotten. */
function said(child: ChildProcess, output: Readable, pattern: RegExp): Promise<RegExpExecArray> {
  let last = '';
  return new Promise((resolve, reject) => {
    createInterface(output).on('line', (line) => {
      last = line;
      const found = pattern.exec(line);
      if (found !== null) resolve(found);
    });
    child.once('exit', () => reject(new Error(`it ended before it said ${pattern}: ${last}`)));
  });
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

async function ready(url: string): Promise<void> {
  await until('Prometheus is ready', async () => (await fetch(url)).ok);
}

async function get(url: URL): Promise<unknown> {
  const response = await fetch(url);
  // The envelope of Prometheus's HTTP API.
  const body = (await response.json()) as { status: string; error?: string; data: unknown };
  if (body.status !== 'success')
    throw new Error(`${body.error} (${url.searchParams.get('query')})`);
  return body.data;
}

function resultOf(data: unknown): readonly Answer[] {
  // What `query` and `query_range` document for vectors and matrices; every query of a panel is one.
  return (data as { result: readonly Answer[] }).result;
}
