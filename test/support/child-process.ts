/** An app in a process of its own, which can be killed and stopped, clients that read what it says, and who comes after it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** A running app. */
export interface App {
  readonly url: string;
  kill(): Promise<void>;
  /** Stops it in the midst of whatever it does. */
  freeze(): void;
  thaw(): void;
}

/**
 * Serves `POST /chat/:id` as the README has it. Every fourth conversation comes to an end; the others talk for ever. Gone
 * when the test is.
 */
export function startApp(connectionString: string, journal: string): Promise<App> {
  const script = fileURLToPath(new URL('child-process-app.ts', import.meta.url));
  return startScript(script, [connectionString, journal]);
}

/**
 * The same without a journal and with a relay, over tables that are there, or a Redis on that port: other instances resume and
 * finish its streams. With `ahead`, bytes leave when the relay has them.
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

/** Runs a script that prints its URL. Gone when the test is. */
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

/** What a client has got so far. */
export interface Listener {
  readonly text: string;
  /** It had a proper end. */
  readonly whole: boolean;
  readonly over: boolean;
}

/** A client that reads as long as there is something. */
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
