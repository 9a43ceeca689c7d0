/** Starts apps in child processes, which can be killed and stopped; and clients that read their answers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** A running app. */
export interface App {
  readonly url: string;
  kill(): Promise<void>;
  /** SIGSTOP: stops the process at any point of its work. */
  freeze(): void;
  thaw(): void;
}

/**
 * Serves `POST /chat/:id` like the app in the README. Every fourth conversation ends; the others never do. Killed at the end of the test.
 */
export function startApp(connectionString: string, journal: string): Promise<App> {
  const script = fileURLToPath(new URL('child-process-app.ts', import.meta.url));
  return startScript(script, [connectionString, journal]);
}

/**
 * The same without a journal and with a relay, over existing tables or the Redis on `redisPort`: other instances resume and finish its
 * streams. With `ahead`, bytes are sent only after the relay has them.
 */
export function startReplicaApp(
  connectionString: string,
  redisPort: number | undefined,
  ahead: boolean,
): Promise<App> {
  const script = fileURLToPath(new URL('replica-app.ts', import.meta.url));
  const port = redisPort === undefined ? '' : String(redisPort);
  return startScript(script, [connectionString, port, ahead ? 'ahead' : '']);
}

/** Runs a script that prints its URL. Killed at the end of the test. */
export async function startScript(script: string, args: readonly string[]): Promise<App> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('http')) {
      url = line;
      break;
    }
  }
  if (url === undefined) throw new Error(`${script} ended before it said where it listens`);
  child.stdout.resume();
  return {
    url,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
}

/** What a client has received so far. */
export interface Listener {
  readonly text: string;
  /** The response had a regular end. */
  readonly whole: boolean;
  readonly over: boolean;
}

/** Starts a client that reads until its response ends. */
export function listen(url: string): Listener {
  const seen = { text: '', whole: false, over: false };
  const read = async (): Promise<void> => {
    const { body } = await fetch(url, { method: 'POST' });
    if (body === null) throw new Error('no body');
    const decoder = new TextDecoder();
    for await (const part of body) seen.text += decoder.decode(part, { stream: true });
    seen.whole = true;
  };
  void read()
    .catch(() => {
      // The server was killed.
    })
    .finally(() => {
      seen.over = true;
    });
  return seen;
}
