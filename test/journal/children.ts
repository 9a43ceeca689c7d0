/** Real processes that write into a journal, and can be stopped and killed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterwards } from './support.ts';

const SCRIPT = fileURLToPath(new URL('child.ts', import.meta.url));

export interface Child {
  readonly pid: number;
  /** What it said, in order. */
  readonly lines: readonly Record<string, unknown>[];
  /** The last number that it said under this name. */
  last(name: string): number | undefined;
  signal(name: NodeJS.Signals): void;
  /** Signals it and waits until it is gone. */
  kill(name: NodeJS.Signals): Promise<void>;
}

/** Starts a process on the journal at `path`; it is killed after the test. */
export function startChild(
  mode: 'write' | 'recover' | 'poison' | 'slow-poison',
  path: string,
  name = 'a',
): Child {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, path, mode, name], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) lines.push({ ...value });
  });
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  afterwards(() => kill('SIGKILL'));
  return {
    pid: child.pid ?? 0,
    lines,
    last(key) {
      const line = lines.findLast((said) => typeof said[key] === 'number');
      const value = line?.[key];
      return typeof value === 'number' ? value : undefined;
    },
    signal: (signal) => void child.kill(signal),
    kill,
  };
}
