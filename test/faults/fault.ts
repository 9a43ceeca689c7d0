/** The interface of a fault. */
import type { Bench } from './bench.ts';

/** One kind of fault. */
export interface Fault {
  readonly name: string;
  readonly title: string;
  /** Why it cannot run here; `undefined` if it can. */
  readonly impossible?: () => string | undefined;
  /** True if CI has everything that it needs: there, a fault that cannot run is a failure. */
  readonly neededInCi?: true;
  /**
   * True if a file may have grown while another process read it, because it took the owner for dead: the file is left to the next process,
   * which is then started.
   */
  readonly leavesFiles?: true;
  /**
   * True if store and disk are both unavailable for longer than a terminal frame waits, as while a process is stopped, or when many share a
   * slow disk: frames may be sent unconfirmed, and their messages are kept nevertheless.
   */
  readonly mayBeUnconfirmed?: true;
  /** Runs `streams` streams and causes the fault. All streams are settled and judged afterwards. */
  readonly run: (bench: Bench, streams: number) => Promise<void>;
}
