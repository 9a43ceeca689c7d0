/** The app as a process: started, killed without warning, started again, as an orchestrator would. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A process that serves the app. */
export interface AppProcess {
  /** Where it listens; another port after every start. */
  readonly url: string;
  /** How often it died without being killed by us. */
  readonly crashes: number;
  /** Starts it; returns when it listens. Rejects with the end of its log when it dies first. */
  start(): Promise<void>;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
}

/** An app that is not started yet. `env` is added to ours, what it prints goes to the file `log`. */
export function createAppProcess(env: Record<string, string>, log: string): AppProcess {
  let child: ChildProcess | undefined;
  let url = '';
  let crashes = 0;
  return {
    get url() {
      return url;
    },
    get crashes() {
      return crashes;
    },
    start: async () => {
      const output = openSync(log, 'a', 0o600);
      child = fork(new URL('./app-main.ts', import.meta.url), {
        env: { ...process.env, ...env },
        stdio: ['ignore', output, output, 'ipc'],
      });
      closeSync(output);
      child.once('exit', (_code, signal) => {
        if (signal !== 'SIGKILL') crashes += 1;
      });
      url = await listening(child, log);
    },
    kill: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}

function listening(child: ChildProcess, log: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // The only message that app-main.ts sends.
    child.once('message', (message) => resolve((message as { url: string }).url));
    child.once('exit', () =>
      reject(new Error(`the app did not start:\n${readFileSync(log, 'utf8').slice(-2_000)}`)),
    );
  });
}
