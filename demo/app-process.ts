/** The app as a process: started, killed without warning, started again, as an orchestrator would. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A process that serves the app. */
export interface AppProcess {
  /** Where it listens; another port after every start. */
  readonly url: string;
  /** Starts it; returns when it listens. */
  start(): Promise<void>;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
}

/**
 * An app that is not started yet. `env` is added to ours, what it prints goes to the file `log`. `onCrash` is
 * told when it dies without being killed by us, with the end of that log.
 */
export function createAppProcess(
  env: Record<string, string>,
  log: string,
  onCrash: (error: Error) => void,
): AppProcess {
  let child: ChildProcess | undefined;
  let url = '';
  return {
    get url() {
      return url;
    },
    start: async () => {
      const output = openSync(log, 'a', 0o600);
      child = fork(new URL('./app-main.ts', import.meta.url), {
        env: { ...process.env, ...env },
        // Also where the demo itself was started by another loader.
        execArgv: ['--import', 'tsx'],
        stdio: ['ignore', output, output, 'ipc'],
      });
      closeSync(output);
      child.once('exit', (code, signal) => {
        if (signal === 'SIGKILL') return;
        const end = readFileSync(log, 'utf8').slice(-2_000);
        onCrash(new Error(`the app died by itself (${signal ?? code}):\n${end}`));
      });
      // The only message that app-main.ts sends.
      const [message] = (await once(child, 'message')) as [{ url: string }];
      ({ url } = message);
    },
    kill: async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
  };
}
