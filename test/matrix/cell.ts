/** Runs the programs of the matrix; that of a combination twice: as an ES module under lastchunk/register, and as CommonJS. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { startOtlpReceiver } from '../support/otlp.ts';
import { type ClientReport, judgeClient, type ModelClient } from './clients.ts';
import { judge, type Report } from './judge.ts';
import { judgeScrapes, type ScrapeReport } from './scrapes.ts';

/** What is run. */
export interface Task {
  /** The binary. */
  readonly node: string;
  /** Where the packages are. */
  readonly folder: string;
  /** `name@version` of each. */
  readonly packages: readonly string[];
  newDatabase(): Promise<string>;
}

/** What came of it. */
export interface Verdict {
  readonly versions: Readonly<Record<string, string>>;
  /** Empty when all is well. */
  readonly wrong: readonly string[];
}

/** Never rejects: what cannot be run is wrong. */
export async function runCell(task: Task): Promise<Verdict> {
  const imported = await attempt('import', () => runImported(task));
  const required = await attempt('require()', () => runRequired(task));
  return {
    versions: { ...imported.versions, ...required.versions },
    wrong: [...imported.wrong, ...required.wrong],
  };
}

/** The same for a client of a model. */
export function runClient(task: Task, client: ModelClient): Promise<Verdict> {
  return attempt(client.key, async () => {
    const report = await runProgram<ClientReport>(task, ['clients.mjs', client.key], {});
    return { versions: report.versions, wrong: judgeClient(client, report) };
  });
}

/** The same for the two Prometheus clients beside each other. */
export function runScrapes(task: Task): Promise<Verdict> {
  return attempt('scrapes', async () => {
    const report = await runProgram<ScrapeReport>(task, ['scrape.mjs'], {});
    return { versions: report.versions, wrong: judgeScrapes(report) };
  });
}

async function attempt(way: string, work: () => Promise<Verdict>): Promise<Verdict> {
  try {
    const { versions, wrong } = await work();
    return { versions, wrong: wrong.map((what) => `${way}: ${what}`) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { versions: {}, wrong: [`${way}: ${message}`] };
  }
}

async function runImported(task: Task): Promise<Verdict> {
  const receiver = await startOtlpReceiver();
  try {
    const report = await runProgram<Report>(
      task,
      ['--import', 'lastchunk/register', 'import.mjs'],
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
        // The default of every SDK but the oldest of line 2.x, which exports metrics only when asked.
        OTEL_METRICS_EXPORTER: 'otlp',
      },
    );
    const counted = receiver.metrics.some((body) => body.includes('lastchunk.saves'));
    const silent = counted ? [] : ['the SDK exported no metrics'];
    return { versions: report.versions, wrong: [...judge(report, receiver.spans), ...silent] };
  } finally {
    await receiver.close();
  }
}

async function runRequired(task: Task): Promise<Verdict> {
  const off = { OTEL_METRICS_EXPORTER: 'none', OTEL_LOGS_EXPORTER: 'none' };
  const report = await runProgram<Report>(task, ['require.cjs'], off);
  return { versions: report.versions, wrong: judge(report, report.spans ?? []) };
}

async function runProgram<R>(
  { node, folder, packages, newDatabase }: Task,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<R> {
  // Not in the folder, which may be copied meanwhile.
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-journal-'));
  const child = spawn(node, args, {
    cwd: folder,
    env: {
      ...env,
      PATH: process.env['PATH'],
      DATABASE_URL: await newDatabase(),
      JOURNAL: journal,
      PACKAGES: JSON.stringify(packages.map((name) => name.replace(/(?<=.)@[^@]*$/, ''))),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  await rm(journal, { recursive: true, force: true });
  if (code !== 0 || stderr !== '') {
    throw new Error(`exit code ${String(code)}: ${stderr.slice(0, 2000)}`);
  }
  // What the programs write, and nothing else writes to their output.
  return JSON.parse(stdout) as R;
}

/** A limit for a hanging program, not an expectation. */
const LIMIT_MS = 60_000;
