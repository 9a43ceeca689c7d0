/** Says how far the run is: one line written over and over on a terminal, plain lines elsewhere. */
import type { Progress } from './chaos.ts';

/** What is said to the reader while the run goes on. */
export interface Reporter extends Progress {
  /** A line that stays. */
  say(text: string): void;
}

/** Reports to `out` how many of `total` streams are done. Plain output gets a line for each stage. */
export function createReporter(
  out: { readonly isTTY?: boolean; write(text: string): unknown },
  total: number,
): Reporter {
  const startedAt = Date.now();
  const terminal = out.isTTY === true;
  let done = 0;
  let title = '';
  const status = (): string => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    return `${seconds.padStart(5)} s  ${String(done).padStart(5)} of ${total} streams  ${title}`;
  };
  const show = (): void => void (terminal && out.write(`\r\x1b[K${status()}`));
  return {
    stage: (next) => {
      title = next;
      if (terminal) show();
      else out.write(`${status()}\n`);
    },
    done: () => {
      done += 1;
      show();
    },
    say: (text) => void out.write(terminal ? `\r\x1b[K${text}\n` : `${text}\n`),
  };
}
