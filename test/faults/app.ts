/** The app as a process: started, signalled, killed, started again on the same journal. */
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CloseSummary } from '../../src/saver/index.ts';
import { waitUntil } from './wait.ts';

/** One process of the app. */
export interface App {
  /** The address at which it listens; waits while it is being restarted. */
  url(): Promise<string>;
  /** The same for HTTP/2 without TLS. */
  http2Url(): Promise<string>;
  /** The address at which it listens; `undefined` while it does not. */
  readonly address: string | undefined;
  /** The same for HTTP/2 without TLS. */
  readonly http2Address: string | undefined;
  start(): Promise<void>;
  /** SIGKILL; resolves when the process has ended. */
  kill(): Promise<void>;
  /** The same, if there is a process, for example one that does not listen yet. */
  abandon(): Promise<void>;
  /** SIGTERM; resolves when the process has ended, with the result of `close()`. */
  close(): Promise<Ended>;
  /** SIGTERM, and a second SIGTERM `afterMs` after it began to close; resolves when the process has ended. */
  closeTwice(afterMs: number): Promise<Ended>;
  /** SIGSTOP: the process exists, and does nothing. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** The pid of the app, in the pid namespace of this suite; 0 before the start. */
  readonly pid: number;
}

/** How a process ended after a signal. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** `undefined` if it ended before `close()` had finished. */
  readonly closed: CloseSummary | undefined;
}

/** How to start an app. */
export interface AppOptions {
  readonly connectionString: string;
  readonly journal: string;
  /** The file to which its output is appended. */
  readonly log: string;
  readonly closeMs: number;
  /** Runs it in its own pid namespace, where it is pid 1. Needs `unshare`. */
  readonly ownPids: boolean;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called when it ends without a signal of this suite. */
  readonly onCrash: (what: string) => void;
}

const MAIN = fileURLToPath(new URL('app-main.ts', import.meta.url));
const NODE = ['--import', 'tsx', MAIN];

interface Said {
  readonly url?: string;
  readonly http2Url?: string;
  readonly closing?: true;
  readonly closed?: CloseSummary;
}

/** Creates an app without starting it. */
export function createApp(options: AppOptions): App {
  let child: ChildProcess | undefined;
  let address: string | undefined;
  let said: Said = {};
  let asked = false;

  const gone = async (): Promise<[number | null, NodeJS.Signals | null]> => {
    const leaving = child;
    if (leaving === undefined) throw new Error('the app was not started');
    if (leaving.exitCode === null && leaving.signalCode === null) await once(leaving, 'exit');
    return [leaving.exitCode, leaving.signalCode];
  };
  const send = (signal: NodeJS.Signals): void => {
    if (child !== undefined) process.kill(innerPid(child, options.ownPids), signal);
  };
  const ask = (signal: NodeJS.Signals): void => {
    asked = true;
    address = undefined;
    send(signal);
  };
  const ended = async (): Promise<Ended> => {
    const [code, signal] = await gone();
    return { code, signal, closed: said.closed };
  };
  return {
    get address() {
      return address;
    },
    get http2Address() {
      return address === undefined ? undefined : said.http2Url;
    },
    get pid() {
      return child === undefined ? 0 : innerPid(child, options.ownPids);
    },
    url: () => waitUntil('the app listens', () => address),
    http2Url: () => waitUntil('the app listens', () => address && said.http2Url),
    start: async () => {
      asked = false;
      said = {};
      const started = launch(options);
      child = started;
      started.on('message', (message: Said) => {
        said = { ...said, ...message };
      });
      started.once('exit', (code, signal) => {
        address = undefined;
        if (!asked) options.onCrash(`the app ended by itself (${signal ?? code})`);
      });
      address = await waitUntil('the app is up', () => {
        if (started.exitCode === null && started.signalCode === null) return said.url;
        throw new Error(
          `the app did not start:\n${readFileSync(options.log, 'utf8').slice(-2000)}`,
        );
      });
    },
    kill: async () => {
      ask('SIGKILL');
      await gone();
    },
    abandon: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      ask('SIGKILL');
      await gone();
    },
    close: () => {
      ask('SIGTERM');
      return ended();
    },
    closeTwice: async (afterMs) => {
      ask('SIGTERM');
      await waitUntil('the app closes', () => said.closing === true);
      setTimeout(() => child?.exitCode === null && send('SIGTERM'), afterMs);
      return ended();
    },
    freeze: () => send('SIGSTOP'),
    thaw: () => send('SIGCONT'),
  };
}

function launch(options: AppOptions): ChildProcess {
  const { connectionString, journal, closeMs, log, ownPids } = options;
  const output = openSync(log, 'a', 0o600);
  const settings = { DATABASE_URL: connectionString, JOURNAL: journal, CLOSE_MS: String(closeMs) };
  const env = { ...process.env, ...settings, ...options.env };
  try {
    if (!ownPids) {
      const execArgv = NODE.slice(0, 2);
      return fork(MAIN, { env, execArgv, stdio: ['ignore', output, output, 'ipc'] });
    }
    const unshare = ['--pid', '--fork', '--kill-child', process.execPath, ...NODE];
    return spawn('unshare', unshare, { env, stdio: ['ignore', output, output, 'ipc'] });
  } finally {
    closeSync(output);
  }
}

/** The app is the only child of `unshare`, and receives the signals. */
function innerPid({ pid = 0 }: ChildProcess, ownPids: boolean): number {
  if (!ownPids) return pid;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}
