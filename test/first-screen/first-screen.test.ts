/**
 * The first screen of the README's app in nine wrong environments: it says what is wrong and what to do. With `FIRST_SCREENS=FILE` the
 * screens are written there.
 */
import { spawn } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/imports.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { ENVIRONMENTS, type Start, type World } from './environments.ts';

let postgres: TestPostgres;
let folder: AppFolder;
let taken: Server;
let world: World;
const screens = new Map<string, string>();

/** A user who needs a password, beside the one who needs none. */
const HBA = 'host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n';

beforeAll(async () => {
  const home = await mkdtemp(join(tmpdir(), 'lastchunk-hba-'));
  await chmod(home, 0o755);
  const hba = join(home, 'pg_hba.conf');
  await writeFile(hba, HBA, { mode: 0o644 });
  const peers = ['@opentelemetry/api', 'express', 'pg', 'prom-client'];
  [postgres, folder] = await Promise.all([
    startPostgres({ hba_file: hba }),
    createAppFolder(peers),
  ]);
  await rm(home, { recursive: true });
  await chmod(folder.path, 0o755);
  const client = new pg.Client({ connectionString: postgres.connectionString });
  await client.connect();
  await client.query("CREATE ROLE chat LOGIN PASSWORD 'right'");
  await client.end();
  taken = createServer().listen(0);
  const address = await until('the port is taken', () => taken.address());
  const tmpfsFolder = await mkdtemp('/dev/shm/lastchunk-app-').catch(() => '');
  if (tmpfsFolder !== '') await cp(folder.path, tmpfsFolder, { recursive: true });
  world = {
    url: postgres.connectionString,
    wrongPasswordUrl: `postgres://chat:wrong@127.0.0.1:${postgres.port}/postgres`,
    freePort: await freePort(),
    takenPort: typeof address === 'string' ? 0 : address.port,
    folder: await realpath(folder.path),
    tmpfsFolder,
  };
});
afterAll(async () => {
  const file = process.env['FIRST_SCREENS'];
  const text = [...screens].map(([name, screen]) => `## ${name}\n\n${screen}\n`).join('\n');
  if (file !== undefined) await writeFile(file, text);
  taken.close();
  if (world.tmpfsFolder !== '') await rm(world.tmpfsFolder, { recursive: true });
  await Promise.all([postgres.remove(), folder.remove()]);
});

it.each(Object.keys(ENVIRONMENTS))(
  'in %s the app prints what is wrong and what to do',
  async (name) => {
    const environment = ENVIRONMENTS[name];
    const missing = environment?.missing?.();
    if (missing !== undefined) {
      screens.set(name, `not run here: ${missing}`);
      return console.log(`${missing}: not run here`);
    }
    const screen = await screenOf(environment?.start(world) ?? { env: {} });
    screens.set(name, screen);
    for (const part of environment?.says(world) ?? []) expect(screen).toContain(part);
    expect(screen).not.toContain('wrong@');
  },
);

/** Everything that the app says, on both streams, until its line of the start is said or it has ended. */
async function screenOf(start: Start): Promise<string> {
  const { env, node = process.execPath, cwd = world.folder, edit, uid, readOnly } = start;
  const app = await readFile(join(ROOT, 'examples/first/app.mjs'), 'utf8');
  const file = 'app.mjs';
  await writeFile(join(cwd, file), edit?.(app) ?? app);
  const locked = `mount --bind "$PWD" "$PWD" && mount -o remount,ro,bind "$PWD" && cd "$PWD" && exec "$0" ${file}`;
  const [program, args] =
    readOnly === true ? ['unshare', ['--mount', 'sh', '-c', locked, node]] : [node, [file]];
  const child = spawn(program, args, {
    cwd,
    env: { PATH: process.env['PATH'], PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let screen = '';
  let isOver = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (screen += text));
  }
  child.on('close', () => (isOver = true));
  const hasSaid = (): boolean => screen.includes('listening on') && screen.includes('; store ');
  await until('the first screen is there', () => isOver || hasSaid());
  return screen.trimEnd();
}
