/** The service as a process: started, killed, started again on the same journal. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One process of the service. */
export interface App {
  /** `host:port` while it listens. */
  readonly address: string | undefined;
  start(): Promise<void>;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
  /** SIGKILL, with a new process that listens already: how long a start takes is no part of the fault. */
  replace(): Promise<void>;
  /** Its save code stops working, behind the back of what counts. */
  silence(): void;
  /** From now on each exchange with its relay takes so long, and works. */
  slowRelay(ms: number): void;
}

/** How to start it. */
export interface AppOptions {
  readonly connectionString: string;
  readonly journal: string;
  readonly journalBytes: number;
  /** With a relay in the same database. */
  readonly relay: boolean;
  /** What it prints is appended there. */
  readonly log: string;
  /** Told where it listens, whenever that changes. */
  readonly onAddress: (address: string) => void;
}

const MAIN = fileURLToPath(new URL('app-main.ts', import.meta.url));

/** A service that is not started yet. */
export function createApp(options: AppOptions): App {
  let child: ChildProcess | undefined;
  let address: string | undefined;
  const end = async (dying: ChildProcess | undefined): Promise<void> => {
    if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
    const gone = once(dying, 'exit');
    dying.kill('SIGKILL');
    await gone;
  };
  const app: App = {
    get address() {
      return address;
    },
    start: async () => {
      child = launch(options);
      const gone = once(child, 'exit').then(() => {
        throw new Error(`the app ended:\n${readFileSync(options.log, 'utf8').slice(-2_000)}`);
      });
      // The only message that app-main.ts sends.
      const listening = once(child, 'message') as Promise<[{ address: string }]>;
      const [found] = await Promise.race([listening, gone]);
      // From here on its end is the doing of `kill`.
      gone.catch(() => undefined);
      ({ address } = found);
      options.onAddress(address);
    },
    kill: async () => {
      address = undefined;
      await end(child);
    },
    replace: async () => {
      const dying = child;
      await app.start();
      await end(dying);
    },
    silence: () => void child?.send({ silence: true }),
    slowRelay: (ms) => void child?.send({ relayMs: ms }),
  };
  return app;
}

function launch({ connectionString, journal, journalBytes, relay, log }: AppOptions): ChildProcess {
  const output = openSync(log, 'a', 0o600);
  const settings = { DATABASE_URL: connectionString, JOURNAL: journal };
  const env = {
    ...process.env,
    ...settings,
    JOURNAL_BYTES: String(journalBytes),
    ...(relay && { RELAY: 'yes' }),
  };
  try {
    const execArgv = ['--import', 'tsx'];
    return fork(MAIN, { env, execArgv, stdio: ['ignore', output, output, 'ipc'] });
  } finally {
    closeSync(output);
  }
}
