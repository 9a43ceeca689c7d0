/** What a fault is to the suite. */
import type { Bench } from './bench.ts';

/** One kind of trouble. */
export interface Fault {
  readonly name: string;
  readonly title: string;
  /** Why it cannot be done here; `undefined` when it can. */
  readonly impossible?: () => string | undefined;
  /** True where CI has what it needs: there, what cannot be done is a failure. */
  readonly neededInCi?: true;
  /**
   * True where a file may have grown while somebody read it who took its owner for dead: it is left to the next
   * process, which is then started.
   */
  readonly leavesFiles?: true;
  /**
   * True where store and disk are both out of reach for longer than a terminal frame waits, as while a process is
   * stopped, or many share a slow disk: frames may go unconfirmed, and their messages are kept all the same.
   */
  readonly mayBeUnconfirmed?: true;
  /** Breaks the world around `streams` streams. Whatever it ran is settled and judged afterwards. */
  readonly run: (bench: Bench, streams: number) => Promise<void>;
}
