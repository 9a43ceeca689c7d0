/** Servers to be measured: started as processes, asked for what they have used, stopped. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Built } from './built.ts';

/** The modules in `servers/` that can be started. */
export type ServerModule =
  | 'variant'
  | 'chat'
  | 'upstream'
  | 'frame'
  | 'scrape'
  | 'endurance'
  | 'relay'
  | 'adversarial'
  | 'setup';

/** How a server is started. */
export interface ServerOptions {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** For Node. */
  readonly flags?: readonly string[];
  /** The Node that runs it. Default: the one that runs the bench. */
  readonly node?: string;
}

/** What a server has used since it was started, by the accounting of the operating system. */
export interface Usage {
  /** User and system, microseconds, of all threads. */
  readonly cpuUs: number;
  /** The largest its resident set has been. */
  readonly peakBytes: number;
}

/** Bytes; with `--expose-gc`, after a collection. */
export interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
}

/** A running server. */
export interface Server {
  readonly port: number;
  usage(): Promise<Usage>;
  memory(): Promise<Memory>;
  /** The 99th percentile of the event loop's delay since it was last asked; starts with the first question. */
  loopDelayMs(): Promise<number>;
  /** A question of this server's own; the caller knows what is answered. */
  ask(question: string): Promise<unknown>;
  /** Ends it by SIGKILL, and deletes its directory. */
  kill(): Promise<void>;
  /** Ends it by its own exit, so that a profile is written, and deletes its directory. */
  stop(): Promise<void>;
}

/** Starts a server. */
export async function startServer(
  { directory, servers }: Built,
  module: ServerModule,
  { args = [], env = {}, flags = [], node = process.execPath }: ServerOptions = {},
): Promise<Server> {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
  const child = fork(join(servers, `${module}.js`), [directory, home, ...args], {
    env: { ...process.env, ...env },
    execArgv: [...flags],
    execPath: node,
  });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`the server ${[module, ...args].join(' ')} ended with ${String(code)}`);
  });
  failed.catch(() => undefined); // Reported to whoever waits for an answer.
  const heard = async (): Promise<unknown> => {
    const [message] = await Promise.race([once(child, 'message'), failed]);
    return message;
  };
  // The first message of child.ts is its port, all others are answers.
  const { port } = (await heard()) as { port: number };
  const ask = async (question: string): Promise<unknown> => {
    const answered = heard();
    child.send(question);
    return ((await answered) as { answer: unknown }).answer;
  };
  const end = async (how: () => void): Promise<void> => {
    const gone = once(child, 'exit');
    how();
    await gone;
    rmSync(home, { recursive: true, force: true });
  };
  return {
    port,
    ask,
    // What child.ts answers to these has these types.
    usage: async () => (await ask('usage')) as Usage,
    memory: async () => (await ask('memory')) as Memory,
    loopDelayMs: async () => (await ask('loopDelayMs')) as number,
    stop: () => end(() => child.disconnect()),
    kill: () => end(() => child.kill('SIGKILL')),
  };
}

/** Starts one server for each name, all at once. */
export async function startServers<Name extends string>(
  names: readonly Name[],
  start: (name: Name) => Promise<Server>,
): Promise<Readonly<Record<Name, Server>>> {
  const entries = await Promise.all(names.map(async (name) => [name, await start(name)] as const));
  // Every name has its server now.
  return Object.fromEntries(entries) as Record<Name, Server>;
}

/** Stops them all; the most that each has taken, in MiB. */
export async function stopServers<Name extends string>(
  names: readonly Name[],
  servers: Readonly<Record<Name, Server>>,
): Promise<Readonly<Record<Name, number>>> {
  const peaks: [Name, number][] = [];
  for (const name of names) {
    const { peakBytes } = await servers[name].usage();
    peaks.push([name, peakBytes / 2 ** 20]);
    await servers[name].stop();
  }
  // Every name has its peak now.
  return Object.fromEntries(peaks) as Record<Name, number>;
}
