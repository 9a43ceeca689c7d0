/**
 * Sends the messages in the journal to the store as soon as the store takes them, those of dead processes included. Live saves are
 * not delayed by it; while the circuit is open, a message from disk serves as a probe too.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { FullObserver } from '../core/observer.ts';
import type { Journal, JournalEntry } from '../journal/port.ts';
import { type BacklogItem, Backlog } from './backlog.ts';
import { BATCH_BYTES, sizeOf } from './batcher.ts';
import { BATCH_MESSAGES, type CircuitBreaker } from './circuit-breaker.ts';
import type { Delivery, LoadedItem } from './delivery.ts';

/**
 * How often to look for dead processes: one that shares our directory may die while we live. A dead owner is found by its
 * socket at once, one on another machine after 60 s.
 */
export const RECOVER_EVERY_MS = 30_000;

/** How many messages are taken over at a time: their facts are in memory, their bodies are not. */
const ADOPTED_MAX = 1_024;

/** Milliseconds of reading and rebuilding before the event loop is yielded to live streams. */
const LOAD_STRETCH_MS = 5;

/** What replaying did, of what waited in the journal or, with `refused`, of what had been set aside. */
export interface ReplaySummary {
  /** Have their row now. */
  readonly saved: number;
  /** The store will never take them: they are, or stay, set aside in `refused/`. */
  readonly refused: number;
  /** The store was away: they are where they were, and can be replayed again. */
  readonly left: number;
}

/** What a replay worker is made of. */
export interface ReplayWorkerOptions {
  readonly journal: Journal;
  readonly circuit: CircuitBreaker;
  readonly delivery: Delivery;
  readonly observer: FullObserver;
  readonly clock: Clock;
  /** A save of this stream is in memory, and decides about its log. */
  readonly isInMemory: (streamId: string) => boolean;
  /** Ends the waits and the loops. */
  readonly signal: AbortSignal;
}

type Turn = { readonly did: 'batch' | 'nothing' } | { readonly did: 'away'; errorType: string };

/** Sends what waits on disk. */
export class ReplayWorker {
  readonly #options: ReplayWorkerOptions;
  readonly #backlog: Backlog;
  readonly #woken: WakeSignal;
  /** Notified when a message of a dead process is done, so that more can be taken over. */
  readonly #adoptedLess: WakeSignal;
  readonly #totals = { saved: 0, refused: 0 };
  #lastTurn: Promise<unknown> = Promise.resolve();
  #running: Promise<unknown> | undefined;

  constructor(options: ReplayWorkerOptions) {
    const { journal, isInMemory, clock, signal } = options;
    this.#options = options;
    this.#backlog = new Backlog({ journal, isInMemory, clock });
    this.#woken = new WakeSignal(clock, signal);
    this.#adoptedLess = new WakeSignal(clock, signal);
  }

  /** Replays and recovers in the background until the signal. A second call does nothing. */
  start(): void {
    this.#running ??= Promise.all([this.#replayForever(), this.#recoverForever()]);
  }

  /** Takes in what another process left, and was found beside the journal. */
  adopt(entry: JournalEntry): void {
    this.#backlog.add(entry);
    this.#woken.notify();
  }

  /** Something was put on disk. */
  wake(): void {
    this.#woken.notify();
  }

  /** Replays until nothing is left or the store does not take it. */
  async replay(): Promise<ReplaySummary> {
    const before = { ...this.#totals };
    this.#options.circuit.probeNow();
    await this.#drain();
    return {
      saved: this.#totals.saved - before.saved,
      refused: this.#totals.refused - before.refused,
      left: this.#backlog.size,
    };
  }

  /**
   * Takes over what dead processes left and sends it, once and to the end; resolves to the error type when the store does
   * not take a batch. Rejects when the journal cannot be read.
   */
  async recoverOnce(): Promise<string | undefined> {
    for await (const entry of this.#options.journal.recover(this.#options.signal)) {
      this.#backlog.add(entry);
      if (this.#backlog.adopted < BATCH_MESSAGES) continue;
      const errorType = await this.#drain();
      if (errorType !== undefined) return errorType;
    }
    return this.#drain();
  }

  /** Resolves when, after the signal, nothing is running any more. */
  async ended(): Promise<void> {
    await Promise.all([this.#running, this.#lastTurn]);
  }

  /** Turn after turn until there is nothing to do; resolves to the error type when the store does not take a batch. */
  async #drain(): Promise<string | undefined> {
    for (;;) {
      const turn = await this.#takeTurn();
      if (turn.did === 'away') return turn.errorType;
      if (turn.did === 'nothing') return undefined;
    }
  }

  async #replayForever(): Promise<void> {
    const { signal, clock } = this.#options;
    while (!signal.aborted) {
      const { did } = await this.#takeTurn();
      if (did !== 'nothing') continue;
      const { nextTurnMs } = this.#backlog;
      if (nextTurnMs === undefined) await this.#woken.wait();
      else await this.#woken.wait(Math.max(1, nextTurnMs - clock.monotonicMs()));
    }
  }

  async #recoverForever(): Promise<void> {
    const { signal, clock } = this.#options;
    const nextLook = new WakeSignal(clock, signal);
    while (!signal.aborted) {
      await this.#recover();
      // A message that the journal could not read returns to the backlog and is not reported.
      this.#woken.notify();
      await nextLook.wait(RECOVER_EVERY_MS);
    }
  }

  async #recover(): Promise<void> {
    const { journal, observer, signal } = this.#options;
    try {
      for await (const entry of journal.recover(signal)) {
        this.#backlog.add(entry);
        this.#woken.notify();
        while (this.#backlog.adopted >= ADOPTED_MAX && !signal.aborted) {
          await this.#adoptedLess.wait();
        }
        if (signal.aborted) return;
      }
    } catch (error) {
      observer.onInternalError('journal', error);
    }
  }

  /** Sends one batch at a time, even with several callers. */
  #takeTurn(): Promise<Turn> {
    const next = this.#lastTurn.then(() => this.#sendBatch());
    this.#lastTurn = next;
    return next;
  }

  /** Sends one batch, if there is anything to send; `nothing` also when the signal aborts. */
  async #sendBatch(): Promise<Turn> {
    const { circuit, delivery, signal } = this.#options;
    if (this.#backlog.choose(1).length === 0) return { did: 'nothing' };
    const permit = await circuit.acquire(signal);
    if (permit === undefined) return { did: 'nothing' };
    const chosen = this.#backlog.choose(circuit.limit);
    const batch = await this.#load(chosen);
    if (batch.length === 0) {
      permit.release();
      return { did: chosen.length === 0 ? 'nothing' : 'batch' };
    }
    const { dispositions, errorType } = await delivery.deliver(batch);
    permit.report(errorType);
    batch.forEach(({ item }, index) => {
      const disposition = dispositions[index] ?? 'away';
      if (disposition === 'away') this.#backlog.putBack(item, !permit.isProbe);
      else if (disposition === 'stuck') this.#backlog.abandon(item);
      else {
        this.#totals[disposition] += 1;
        this.#backlog.remove(item);
      }
    });
    this.#adoptedLess.notify();
    return errorType === undefined ? { did: 'batch' } : { did: 'away', errorType };
  }

  /** Reads as many as fit into one batch; the others keep their place. */
  async #load(chosen: readonly BacklogItem[]): Promise<readonly LoadedItem[]> {
    const { clock } = this.#options;
    const batch: LoadedItem[] = [];
    let bytes = 0;
    let sinceMs = clock.monotonicMs();
    for (const item of chosen) {
      if (clock.monotonicMs() - sinceMs > LOAD_STRETCH_MS) {
        await nextTurn();
        sinceMs = clock.monotonicMs();
      }
      const loaded = await this.#options.delivery.load(item);
      if (loaded === 'empty') this.#backlog.remove(item);
      else if (loaded === 'stuck') this.#backlog.abandon(item);
      // A later read may succeed; until then it must not delay the others.
      else if (loaded === 'unread') this.#backlog.pause(item);
      else {
        bytes += sizeOf(loaded.message);
        batch.push(loaded);
      }
      if (bytes > BATCH_BYTES) break;
    }
    return batch;
  }
}

/** One waiter and its wake-up. A notification that comes without a waiter ends the next wait at once. */
export class WakeSignal {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #isNotified = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Ends the wait, or the next one. */
  notify(): void {
    if (this.#wake === undefined) this.#isNotified = true;
    else this.#wake();
  }

  /** Until `notify`, until `ms` are over (if given), or until the signal aborts. One waiter at a time. */
  wait(ms?: number): Promise<void> {
    const isOver = this.#isNotified || this.#signal.aborted;
    this.#isNotified = false;
    if (isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const notify = (): void => this.notify();
      const cancel = ms === undefined ? undefined : this.#clock.after(ms, notify);
      this.#wake = () => {
        this.#wake = undefined;
        cancel?.();
        this.#signal.removeEventListener('abort', notify);
        resolve();
      };
      this.#signal.addEventListener('abort', notify, { once: true });
    });
  }
}
