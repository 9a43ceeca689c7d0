/** An app folder whose program runs under `lastchunk/register`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { soon } from '../support/until.ts';

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** An app that runs. */
export interface Running {
  /** Where it listens; rejects when it ends without listening. */
  readonly url: Promise<string>;
  end(): Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts `app.mjs` in `folder`; it is killed at the end of the test. */
export function startApp(
  folder: string,
  env: Readonly<Record<string, string>>,
  flags: readonly string[] = ['--import', 'lastchunk/register'],
): Running {
  const child = spawn(process.execPath, [...flags, 'app.mjs'], {
    cwd: folder,
    env: { ...withoutOtel(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const lines = createInterface(child.stdout);
  const silent = once(lines, 'close').then(() => ['']);
  const ended = Promise.all([once(child, 'exit'), text(child.stderr)]).then(
    ([[code, signal], stderr]): Ended => ({ code, signal, stderr }),
  );
  const url = Promise.race([once(lines, 'line'), silent]).then(async ([line]) => {
    if (line !== '') return String(line);
    throw new Error(`the app did not listen: ${(await ended).stderr}`);
  });
  const listening = soon('the app to listen', url);
  // A test that expects no address does not ask for it.
  listening.catch(() => undefined);
  return {
    url: listening,
    end: () => soon('the app to end', ended),
    kill: (signal) => void child.kill(signal),
  };
}

/** Nothing of the machine's own settings reaches the app. */
function withoutOtel(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('OTEL_')));
}
