/**
 * Runs a save from due to its result: it is queued for the store, has deadlines, and is journaled when the store does not answer.
 * This file connects the parts; each part implements one rule.
 */
import { epochOf, within, type Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { SaveResult } from '../core/message.ts';
import type { AnnouncedSave, Save, SaveProgress } from '../core/save-port.ts';
import type { Journal } from '../journal/port.ts';
import { Batcher } from './batcher.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { startDeadlines } from './deadlines.ts';
import { MemoryLimit } from './memory-limit.ts';
import type { PendingSave } from './pending-save.ts';
import { PendingSaves } from './pending-saves.ts';
import type { SaveReports } from './reports.ts';
import type { StoreClient, Wrap } from './store-client.ts';

/** Runs the store call for a batch in the context of its first save. */
export type Around = (save: Save, work: () => Promise<void>) => Promise<void>;

/** What a saver is made of. */
export interface SaverOptions {
  readonly journal: Journal | undefined;
  readonly circuit: CircuitBreaker;
  readonly client: StoreClient;
  readonly reports: SaveReports;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly around: Around;
  /** Estimated bytes of messages that may wait in memory. */
  readonly maxPendingBytes: number;
  /** Batches on their way at once. */
  readonly lanes: number;
  /** Ends the waits for the store. */
  readonly signal: AbortSignal;
  /** A message has left memory and is in the journal's backlog. */
  readonly onHandedOver: () => void;
}

/** Brings live messages to the store, or to the journal. */
export class Saver {
  readonly #options: SaverOptions;
  readonly #saves: PendingSaves;
  readonly #batcher: Batcher<PendingSave>;
  readonly #memoryLimit: MemoryLimit;
  /** Messages that are due and still being read. */
  readonly #announced = new Set<Promise<unknown>>();
  #phase: 'open' | 'finishing' | 'finished' = 'open';

  constructor(options: SaverOptions) {
    const { journal, reports, clock, circuit, lanes, signal, logger, maxPendingBytes } = options;
    this.#options = options;
    this.#saves = new PendingSaves({
      journal,
      reports,
      clock,
      isStoreAway: () => circuit.isOpen,
      onSettled: (save) => this.#batcher.remove(save),
      onHandedOver: options.onHandedOver,
    });
    this.#batcher = new Batcher<PendingSave>({
      circuit,
      lanes,
      signal,
      isQueued: (save) => save.phase === 'queued',
      send: (batch) => this.#send(batch),
    });
    this.#memoryLimit = new MemoryLimit({
      maxPendingBytes,
      saves: this.#saves,
      logger,
      clock,
      isStoreAway: () => circuit.isOpen,
    });
  }

  /** Saves that the store refused for good. */
  get refused(): number {
    return this.#saves.refused;
  }

  /** Results so far. */
  get results(): Readonly<Record<SaveResult, number>> {
    return this.#saves.results;
  }

  /** Saves without a result. */
  get pending(): number {
    return this.#saves.pending.size + this.#announced.size;
  }

  /** When the oldest save without a result was due, epoch milliseconds; 0 when there is none. */
  get oldestPendingMs(): number {
    const [oldest] = this.#saves.pending;
    const { clock } = this.#options;
    return oldest === undefined ? 0 : epochOf(clock, oldest.dueMs);
  }

  /** True while a save of this stream is in memory: replay leaves it alone. */
  has(streamId: string): boolean {
    return this.#saves.has(streamId);
  }

  /** Announces a due message that is still being read; a held frame waits for the reading no longer than for the store. */
  announce(save: AnnouncedSave): SaveProgress['confirmed'] {
    const { clock, reports } = this.#options;
    return new Promise((resolve) => {
      const cancel = clock.after(save.confirmTimeoutMs, () => {
        if (save.holds()) reports.logUnread(save);
        resolve('unconfirmed');
      });
      const read = (): void => {
        cancel();
        this.#announced.delete(reading);
      };
      const reading: Promise<unknown> = save.saved.then(
        (progress) => {
          read();
          void progress.confirmed.then(resolve);
        },
        () => {
          read();
          // The reader has reported its failure: the message will not become safe.
          resolve('unconfirmed');
        },
      );
      this.#announced.add(reading);
    });
  }

  /** Takes a message; every one gets exactly one result. */
  save(given: Save): SaveProgress {
    const save = this.#saves.add(given);
    if (this.#phase === 'finished') {
      void this.#saveLate(save);
      return save.progress;
    }
    save.cancelDeadlines = this.#watch(save);
    if (this.#options.circuit.isOpen || this.#phase === 'finishing') {
      void this.#saves.journalPending(save);
    }
    this.#batcher.add(save);
    this.#memoryLimit.enforce(save);
    return save.progress;
  }

  /** Asks the journal to take everything that has no result yet. */
  journalAllPending(): void {
    this.#saves.journalAllPending();
  }

  /** Resolves when everything that is pending now has its result. */
  async flush(): Promise<void> {
    await Promise.all(this.#announced);
    await Promise.all([...this.#saves.pending].map(({ progress }) => progress.result));
  }

  /**
   * Ends the saver: saves that get no result from the store or the journal within `ms` are lost. Saves that come later go only to
   * the journal.
   */
  async finish(ms: number): Promise<void> {
    const { clock } = this.#options;
    const since = clock.monotonicMs();
    this.#saves.journalAllPending();
    // What is still being read is asked for with the rest.
    if (this.#announced.size > 0) await within(clock, ms, Promise.all(this.#announced));
    this.#phase = 'finishing';
    this.#saves.journalAllPending();
    const asked = new Set(this.#saves.pending);
    await within(clock, Math.max(0, ms - (clock.monotonicMs() - since)), this.flush());
    this.#phase = 'finished';
    for (const save of this.#saves.pending) {
      if (asked.has(save)) this.#saves.handle(save, 'closed');
      else void this.#saveLate(save);
    }
    this.#saves.handOverAll();
  }

  /** The store is closed, or about to be: the fsync decides, within the time that a frame may be held for it. */
  async #saveLate(save: PendingSave): Promise<void> {
    const { confirmTimeoutMs } = save.save;
    await within(this.#options.clock, confirmTimeoutMs, this.#saves.journalPending(save));
    this.#saves.handle(save, 'closed');
  }

  #send(batch: readonly PendingSave[]): Promise<string | undefined> {
    const { client, around } = this.#options;
    for (const save of batch) this.#saves.handle(save, 'sent');
    const first = batch[0]?.save;
    const wrap: Wrap = (work) => (first === undefined ? work() : around(first, work));
    return client.send(batch, wrap);
  }

  #watch(save: PendingSave): () => void {
    const { clock, reports } = this.#options;
    return startDeadlines(clock, {
      confirmTimeoutMs: save.save.confirmTimeoutMs,
      missingAfterMs: save.save.missingAfterMs,
      onNear: () => void this.#saves.journalPending(save),
      onConfirmTimeout: () => {
        if (save.save.holds()) reports.logUnconfirmed(save);
        save.confirm('unconfirmed');
      },
      onMissing: () => this.#saves.handle(save, 'deadline-passed'),
    });
  }
}
