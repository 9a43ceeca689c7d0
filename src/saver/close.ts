/**
 * The end of a keeper, in order and in time: what is pending gets its result, then nothing waits any more, then
 * the store and the journal are let go. A part that hangs is left behind; the process has a deadline of its own.
 */
import type { MessageStore } from '../core/message.ts';
import type { FullObserver, InternalErrorPlace } from '../core/observer.ts';
import type { Circuit } from './circuit-breaker.ts';
import { within, type Clock } from '../core/clock.ts';
import type { Journal } from '../journal/port.ts';
import type { Returning } from './returning.ts';
import type { Saver } from './saver.ts';

/**
 * Kept back from the deadline for the last fsync and for closing: a fifth, within these bounds. The lower one holds
 * whatever the deadline is: to lose messages for a quarter of a second is no bargain.
 */
const RESERVE_MIN_MS = 250;
const RESERVE_MAX_MS = 1_000;

/** What became of the saves that were pending when `close` was called, and of those that came after. */
export interface CloseSummary {
  readonly saved: number;
  readonly journaled: number;
  /** `missing` included. */
  readonly lost: number;
}

export interface CloseOptions {
  readonly deadlineMs: number;
  /** Comes first, brings the last saves, and has a patience of its own within the deadline. */
  readonly drain: () => Promise<void>;
  readonly clock: Clock;
  readonly observer: FullObserver;
  readonly store: MessageStore;
  readonly journal: Journal | undefined;
  readonly saver: Saver;
  readonly circuit: Circuit;
  readonly returning: Returning | undefined;
  readonly background: AbortController;
  readonly waits: AbortController;
}

/** Never rejects. */
export async function closeInOrder(options: CloseOptions): Promise<CloseSummary> {
  const { deadlineMs, clock, observer, store, journal, saver, circuit, returning } = options;
  const endMs = clock.monotonicMs() + deadlineMs;
  const reserveMs = Math.max(RESERVE_MIN_MS, Math.min(deadlineMs / 5, RESERVE_MAX_MS));
  // Of the reserve, half is for the last fsync, a quarter for the replay, and a quarter for store and journal.
  const leftMs = (keptMs = 0): number =>
    Math.max(reserveMs / 4, endMs - keptMs - clock.monotonicMs());
  const before = { ...saver.ledger.results };
  const release = async (where: InternalErrorPlace, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      observer.onInternalError(where, error);
    }
  };

  await options.drain();
  options.background.abort();
  circuit.nudge();
  await within(clock, Math.max(0, endMs - reserveMs - clock.monotonicMs()), saver.flush());
  circuit.nudge();
  await saver.finish(reserveMs / 2);
  options.waits.abort();
  await within(clock, leftMs(reserveMs / 4), returning?.ended() ?? Promise.resolve());
  // Neither waits for the other: a journal that is not released in time is taken over a minute later than it could be.
  const released = [
    release('store', () => store.close()),
    release('journal', async () => journal?.close()),
  ];
  await Promise.all(released.map((work) => within(clock, leftMs(), work)));

  const { saved, journaled, lost, missing } = saver.ledger.results;
  return {
    saved: saved - before.saved,
    journaled: journaled - before.journaled,
    lost: lost + missing - before.lost - before.missing,
  };
}
