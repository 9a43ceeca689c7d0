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
  /** Breaks the world around `streams` streams. Whatever it ran is settled and judged afterwards. */
  readonly run: (bench: Bench, streams: number) => Promise<void>;
}
