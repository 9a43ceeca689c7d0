/** Runs the app of `program/beside` next to a tool, asks it as clients do, and ends it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Task, Verdict } from '../cell.ts';
import { startCollector } from './collector.ts';
import { judgeDoctor, judgeTool, type Seen } from './judge.ts';
import { type Model, startModel } from './model.ts';
import type { Tool } from './tools.ts';

/** A limit for a hanging program, not an expectation. */
const LIMIT_MS = 120_000;

/** Four answers beside a tool: one is completed, the clients of two leave, and the model breaks one off. */
export async function runTool(task: Task, tool: Tool): Promise<Verdict> {
  const [collector, model] = await Promise.all([startCollector(task.folder), startModel()]);
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-journal-'));
  const database = await task.newDatabase();
  const app = startApp(task, tool.key, {
    DATABASE_URL: database,
    JOURNAL: journal,
    MODEL: model.url,
    COLLECTOR: collector.url,
    ...servicesAt(collector.url),
    ...tool.env,
  });
  try {
    const seen = await converse(app, model);
    const code = await app.end();
    const rows = await rowsOf(database);
    const { spans, errors } = collector;
    const wrong = judgeTool(tool, { seen, rows, spans, errors, code });
    return { versions: await versionOf(task.node), wrong };
  } finally {
    app.kill();
    collector.close();
    model.close();
    await rm(journal, { recursive: true, force: true });
  }
}

/** The doctor where packages brought copies of the OpenTelemetry API that are not the app's. */
export async function runDoctorBeside({ node, folder }: Task): Promise<Verdict> {
  const files = await readdir(join(folder, 'node_modules'), { recursive: true });
  const ends = '@opentelemetry/api/package.json';
  const copies = files.filter((file) => file === ends || file.endsWith(`/node_modules/${ends}`));
  const places = copies.map((file) => join('node_modules', file, '..'));
  const args = ['node_modules/lastchunk/dist/cli/bin.js', 'doctor', '--no-journal', '--json'];
  // Its exit code is 1, because something is wrong here.
  const child = spawn(node, args, { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const said = await text(child.stdout);
  return { versions: await versionOf(node), wrong: judgeDoctor(said, places) };
}

/** Nothing looks for anything on another machine. */
function servicesAt(url: string): Readonly<Record<string, string>> {
  return {
    DD_TRACE_AGENT_URL: url,
    DD_INSTRUMENTATION_TELEMETRY_ENABLED: 'false',
    DD_REMOTE_CONFIGURATION_ENABLED: 'false',
    LANGFUSE_BASE_URL: url,
    LANGFUSE_PUBLIC_KEY: 'none',
    LANGFUSE_SECRET_KEY: 'none',
    OTEL_EXPORTER_OTLP_ENDPOINT: url,
    OTEL_METRICS_EXPORTER: 'none',
    OTEL_LOGS_EXPORTER: 'none',
    OTEL_NODE_RESOURCE_DETECTORS: 'env',
    TRACELOOP_TELEMETRY: 'false',
  };
}

/** The app as a process. */
interface App {
  /** Resolves to the first line that it prints and that matches. */
  prints(what: RegExp): Promise<string>;
  /** SIGTERM; resolves to the exit code, `null` if it had to be killed. */
  end(): Promise<number | null>;
  kill(): void;
}

function startApp(
  { node, folder }: Task,
  tool: string,
  env: Readonly<Record<string, string>>,
): App {
  const child = spawn(node, ['beside/app.cjs', tool], {
    cwd: folder,
    env: { ...env, PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const lines: string[] = [];
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const stderr = text(child.stderr);
  const gone = once(child, 'exit');
  return {
    prints: async (what) => {
      for (;;) {
        const found = lines.find((line) => what.test(line));
        if (found !== undefined) return found;
        const ended = gone.then(async () => {
          throw new Error(`the app ended before it printed ${String(what)}: ${await stderr}`);
        });
        await Promise.race([once(output, 'line'), ended]);
      }
    },
    end: async () => {
      child.kill('SIGTERM');
      await gone;
      return child.exitCode;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

async function converse(app: App, model: Model): Promise<Seen> {
  const url = await app.prints(/^http/);
  const completed = await ask(`${url}/chat/completed`, () => model.finish('completed'));
  const left = await ask(`${url}/chat/left`, (leave) => leave());
  await app.prints(/^closed left$/);
  model.finish('left');
  const kept = await ask(`${url}/kept/kept`, (leave) => leave());
  await model.isLeft('kept');
  const failed = await ask(`${url}/chat/failed`, () => model.cut('failed'));
  return { completed, left, kept, failed };
}

/** The body, byte by byte; `onFirst` is called when the first of it has come. */
function ask(url: string, onFirst: (leave: () => void) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method: 'POST', agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (piece: string) => {
        if (body === '') onFirst(() => void asking.destroy());
        body += piece;
      });
      // A connection that breaks is what this is about.
      answer.on('error', () => undefined).on('close', () => resolve(body));
    });
    asking.on('error', reject).end();
  });
}

async function rowsOf(connectionString: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query(
      'SELECT conversation_id AS id, content, outcome, complete FROM lastchunk_messages ORDER BY 1',
    );
    return rows;
  } finally {
    await client.end();
  }
}

async function versionOf(node: string): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await promisify(execFile)(node, ['--version']);
  return { node: stdout.trim().slice(1) };
}
