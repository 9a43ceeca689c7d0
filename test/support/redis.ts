/**
 * A real Redis for tests, where the program is installed: on a free port, with a private directory; it ends with the test process even when
 * that is killed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';
import { until } from './until.ts';

/** A running server, without a password. */
export interface TestRedis {
  readonly port: number;
  /** Sends a command, on a connection for tests. */
  ask(name: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** SIGKILL, as in a crash: data that was not yet written to disk is lost. */
  kill(): Promise<void>;
  /** SIGSTOP: it stops answering, without closing connections; `resume` continues it. */
  pause(): void;
  resume(): void;
  /** Starts it again on the same port and directory. No effect when running. */
  start(): Promise<void>;
  /** Stops it and deletes its directory. */
  remove(): Promise<void>;
}

/** Whether redis-server is installed; if not, prints `what` is skipped. */
export function hasRedis(what: string): boolean {
  const isThere = spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).error === undefined;
  if (!isThere) console.warn(`skipped: ${what} (there is no redis-server)`);
  return isThere;
}

/** Starts a server; `settings` are those of `redis.conf` by name. By default it writes nothing to disk. */
export async function startRedis(
  settings: Readonly<Record<string, string>> = {},
): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'lastchunk-redis-'));
  const watcher = watchParent(directory);
  const port = await freePort();
  let server: ChildProcess | undefined;
  let client: Redis | undefined;
  const start = async (): Promise<void> => {
    if (server !== undefined) return;
    server = launch(port, directory, settings);
    await until('Redis listens', () => {
      if (server?.exitCode !== null) throw new Error(`redis-server ended: ${server?.exitCode}`);
      return accepts(port);
    });
  };
  const kill = async (): Promise<void> => {
    client?.disconnect();
    client = undefined;
    const killed = server;
    server = undefined;
    if (killed === undefined || killed.exitCode !== null) return;
    const exited = once(killed, 'exit');
    killed.ref();
    killed.kill('SIGKILL');
    await exited;
  };
  await start();
  return {
    port,
    ask: (name, ...args) => {
      client ??= new Redis({ port, host: '127.0.0.1' });
      return client.call(name, args.map(String));
    },
    kill,
    pause: () => void server?.kill('SIGSTOP'),
    resume: () => void server?.kill('SIGCONT'),
    start,
    remove: async () => {
      await kill();
      const gone = once(watcher, 'exit');
      watcher.stdin?.end();
      watcher.ref();
      await gone;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function launch(
  port: number,
  directory: string,
  settings: Readonly<Record<string, string>>,
): ChildProcess {
  const all = { ...SETTINGS, ...settings, port: String(port), dir: directory };
  const pidfile = ['--pidfile', join(directory, 'pid')];
  const flags = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn('redis-server', [...flags, ...pidfile], { stdio: 'ignore', detached: true });
  child.unref();
  return child;
}

const SETTINGS = { bind: '127.0.0.1', save: '', appendonly: 'no' };

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** A shell that waits for the end of this process, however it ends, then kills the server and deletes its files. */
function watchParent(directory: string): ChildProcess {
  const script =
    'cat >/dev/null; pid=$(cat "$1/pid" 2>/dev/null) && kill -9 "$pid"; rm -rf "$1"; exit 0';
  const watcher = spawn('sh', ['-c', script, 'sh', directory], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watcher.unref();
  // The pipe is a Socket, whose `unref` is not in the type of a Writable.
  (watcher.stdin as unknown as { unref(): void }).unref();
  return watcher;
}
