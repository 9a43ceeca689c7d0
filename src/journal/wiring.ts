/** The settings and callbacks of a journal. */
import type { JournalSettings } from './options.ts';
import type { DegradedReason } from './write/degraded.ts';
import type { JournalSeams } from './write/engine.ts';

/** The settings and callbacks of a journal. Callbacks are called after the fact and must not throw. */
export interface JournalWiring {
  readonly settings: JournalSettings;
  /** Names the store where `settings` do not: messages for another one are left alone. */
  readonly store?: string | undefined;
  /** Takes messages for any store. Default false. */
  readonly takesForeign?: boolean;
  /** An unexpected failure; the journal continues. */
  readonly onError: (error: unknown) => void;
  /** After each tick that wrote: how long its writes took. */
  readonly onWrite: (seconds: number) => void;
  /** Records were found torn or damaged. */
  readonly onCorrupt: (count: number) => void;
  /** It cannot be relied on from now on, or it can again. */
  readonly onDegraded: (reason: DegradedReason | undefined) => void;
  /** Log lines for an operator: about the file system, and about changes that another process made to the directory. */
  readonly log: (level: 'info' | 'warn' | 'error', line: string) => void;
  /** For tests: a disk that fails, small segments, short pauses. */
  readonly seams?: JournalSeams;
}

/** The name of the store that messages are written for. */
export function storeNameOf({ settings, store }: JournalWiring): string | undefined {
  return settings.name ?? store;
}

/** Whether this journal saves messages for the store `theirs`; `undefined` where the store is not recorded. */
export function acceptsStore(wiring: JournalWiring, theirs: string | undefined): boolean {
  return theirs === undefined || theirs === storeNameOf(wiring) || wiring.takesForeign === true;
}
