/**
 * Closes a keeper in order and within the deadline: pending saves get their results, then all waits end, then the store and the
 * journal are closed. A part that hangs is abandoned, because the process has a deadline of its own.
 */
import { within, type Clock } from '../core/clock.ts';
import type { MessageStore } from '../core/message.ts';
import type { FullObserver, InternalErrorPlace } from '../core/observer.ts';
import type { Journal } from '../journal/port.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { RefusedReplay } from './refused.ts';
import type { ReplayWorker } from './replay.ts';
import type { Saver } from './saver.ts';

/**
 * Kept back from the deadline for the last fsync and for closing: a fifth, within these bounds. The lower one holds
 * whatever the deadline is: to lose messages for a quarter of a second is no bargain.
 */
const RESERVE_MIN_MS = 250;
const RESERVE_MAX_MS = 1_000;

/** What became of the saves that were pending when `close` was called, and of those that came after. */
export interface CloseSummary {
  /** Have their row. */
  readonly saved: number;
  /** On disk, for the next start. */
  readonly journaled: number;
  /** `missing` included. */
  readonly lost: number;
  /** How many of these the store refused for good: they are in the journal's `refused/`. */
  readonly refused: number;
}

/** What is closed. */
export interface ClosedParts {
  readonly clock: Clock;
  readonly observer: FullObserver;
  readonly store: MessageStore;
  readonly journal: Journal | undefined;
  readonly saver: Saver;
  readonly circuit: CircuitBreaker;
  readonly replay: ReplayWorker | undefined;
  readonly refused: RefusedReplay | undefined;
  /** Ends replay and recovery. */
  readonly background: AbortController;
  /** Ends the waits of live saves. */
  readonly waits: AbortController;
}

/** Never rejects. `drain` runs first, adds the last saves, and has its own time limit within the deadline. */
export async function closeInOrder(
  parts: ClosedParts,
  deadlineMs: number,
  drain: () => Promise<void>,
): Promise<CloseSummary> {
  const { clock, saver, circuit, replay, refused, background, waits } = parts;
  const endMs = clock.monotonicMs() + deadlineMs;
  const reserveMs = Math.max(RESERVE_MIN_MS, Math.min(deadlineMs / 5, RESERVE_MAX_MS));
  // Of the reserve, half is for the last fsync, a quarter for replay, store and journal, and a quarter for telemetry.
  const leftMs = (keptMs = 0): number =>
    Math.max(reserveMs / 4, endMs - keptMs - clock.monotonicMs());
  const before = { ...saver.results, refused: saver.refused };

  await drain();
  background.abort();
  circuit.probeNow();
  await within(clock, Math.max(0, endMs - reserveMs - clock.monotonicMs()), saver.flush());
  circuit.probeNow();
  await saver.finish(reserveMs / 2);
  waits.abort();
  const ended = Promise.all([replay?.ended(), refused?.ended()]);
  await within(clock, leftMs(reserveMs / 4), ended);
  // What telemetry has still to send gets the last quarter of the reserve, however slow the disk is.
  await releaseBoth(parts, leftMs(reserveMs / 4));

  const { saved, journaled, lost, missing } = saver.results;
  return {
    saved: saved - before.saved,
    journaled: journaled - before.journaled,
    lost: lost + missing - before.lost - before.missing,
    refused: saver.refused - before.refused,
  };
}

/**
 * Store and journal, each within `ms`. Neither waits for the other: a journal that is not released in time is taken over
 * a minute later than it could be.
 */
async function releaseBoth(parts: ClosedParts, ms: number): Promise<void> {
  const { clock, observer, store, journal } = parts;
  const release = async (where: InternalErrorPlace, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      observer.onInternalError(where, error);
    }
  };
  const released = [
    release('store', () => store.close()),
    release('journal', async () => journal?.close()),
  ];
  await Promise.all(released.map((work) => within(clock, ms, work)));
}
