/**
 * What dead processes left behind. Their journals are looked for at the start, and again from time to time:
 * a process that shares our directory may die while we live.
 */
import type { FullObserver } from '../core/observer.ts';
import type { Backlog } from './backlog.ts';
import { createBell } from './wake-signal.ts';
import type { Clock } from '../core/clock.ts';
import type { Journal } from '../journal/port.ts';

/** How often to look. A dead owner is found by its socket at once, one on another machine after 60 s. */
export const RECOVER_EVERY_MS = 30_000;

/** What is taken over at a time: the facts of these are in memory, their bodies are not. */
const ADOPTED_MAX = 1_024;

export interface RecoveryOptions {
  readonly journal: Journal;
  readonly backlog: Backlog;
  readonly observer: FullObserver;
  readonly clock: Clock;
  /** Ends the loop. */
  readonly signal: AbortSignal;
  /** Something was added to the backlog. */
  readonly onAdopted: () => void;
}

export interface Recovery {
  /** Takes over until the signal; never rejects. */
  run(): Promise<void>;
  /** The backlog may have become shorter. */
  onProgress(): void;
}

export function createRecovery(options: RecoveryOptions): Recovery {
  const { journal, backlog, observer, clock, signal, onAdopted } = options;
  const room = createBell(clock, signal);
  const nextLook = createBell(clock, signal);

  const look = async (): Promise<void> => {
    try {
      for await (const entry of journal.recover(signal)) {
        backlog.add(entry);
        onAdopted();
        while (backlog.adopted >= ADOPTED_MAX && !signal.aborted) await room.sleep();
        if (signal.aborted) return;
      }
    } catch (error) {
      observer.onInternalError('journal', error);
    }
  };
  return {
    onProgress: () => room.ring(),
    async run() {
      while (!signal.aborted) {
        await look();
        await nextLook.sleep(RECOVER_EVERY_MS);
      }
    },
  };
}
