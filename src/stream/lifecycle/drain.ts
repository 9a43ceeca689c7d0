/** Lets live streams come to their end before the process does, and ends those that do not. */
import { interrupt } from './halting.ts';
import type { Environment, Stream } from './stream.ts';

/**
 * Waits until no stream is live, at most `patienceMs`; then the rest, and every stream that still begins, is
 * interrupted. Resolves once all of them have handed their messages over.
 */
export async function drain(environment: Environment, patienceMs: number): Promise<void> {
  const patience = abortAfter(patienceMs);
  await Promise.race([
    Promise.all(running(environment).map((stream) => stream.whenOver())),
    patience.over,
  ]);
  patience.cancel();
  environment.interrupting = true;
  for (const stream of running(environment)) interrupt(stream);
}

function running(environment: Environment): Stream[] {
  return [...environment.live.values()].filter((stream) => stream.kind === 'stream');
}

function abortAfter(ms: number): { over: Promise<void>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return { over, cancel: () => clearTimeout(timer) };
}
