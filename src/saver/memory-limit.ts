/**
 * Limits the memory of waiting messages. An outage of the store can last until memory is exhausted, and a process that runs out of
 * memory loses all messages at once. So at half of the limit the journal is asked to take the waiting messages. At the limit the
 * oldest message is given up that both store and journal have failed, or have not answered in time. Until one of them has, memory
 * may exceed the limit: an answer of either frees it without a loss.
 */
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { PendingSave } from './pending-save.ts';
import type { PendingSaves } from './pending-saves.ts';

/** Estimated bytes of messages without a result. */
export const MAX_PENDING_BYTES = 256 * 1024 * 1024;

/** The error type of a message that was given up before the store had said anything about it. */
const NO_MEMORY = 'no-room';

/**
 * How long an fsync may take before it counts as unanswered: far longer than a working disk needs. For the store, this time is
 * `SILENT_AFTER_MS`.
 */
const FSYNC_PATIENCE_MS = 2_000;

/** What a memory limit is made of. */
export interface MemoryLimitOptions {
  readonly maxPendingBytes: number;
  readonly saves: PendingSaves;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly isStoreAway: () => boolean;
}

/** Keeps the messages in memory below a limit. */
export class MemoryLimit {
  readonly #options: MemoryLimitOptions;
  #isJournalAsked = false;
  #isLogged = false;

  constructor(options: MemoryLimitOptions) {
    this.#options = options;
  }

  /** To be called with each new save. */
  enforce(added: PendingSave): void {
    const { saves, maxPendingBytes } = this.#options;
    if (saves.pendingBytes * 2 <= maxPendingBytes) {
      this.#isJournalAsked = false;
      this.#isLogged = false;
      return;
    }
    this.#askJournal(added);
    for (const oldest of saves.pending) {
      // The newest message is tried once, whatever its size.
      if (saves.pendingBytes <= maxPendingBytes || oldest === added) return;
      if (this.#isFailedByBoth(oldest)) this.#giveUp(oldest);
    }
  }

  #isFailedByBoth({ phase, attempts, sync }: PendingSave): boolean {
    const { clock, isStoreAway } = this.#options;
    // A message in a batch is not freed by giving it up, and its answer is due soon. A refused message is already being moved.
    if (phase !== 'queued') return false;
    const isStoreAsked = attempts > 0 || isStoreAway();
    const isSyncing = sync !== undefined && clock.monotonicMs() - sync.sinceMs < FSYNC_PATIENCE_MS;
    return isStoreAsked && !isSyncing;
  }

  #askJournal(added: PendingSave): void {
    const { saves } = this.#options;
    if (this.#isJournalAsked) void saves.journalPending(added);
    else saves.journalAllPending();
    this.#isJournalAsked = true;
  }

  #giveUp(save: PendingSave): void {
    const { saves, logger, maxPendingBytes } = this.#options;
    if (!this.#isLogged) {
      const fields = { pending: saves.pending.size, maxPendingBytes };
      logger.error(
        fields,
        'lastchunk: the memory limit for waiting messages is reached, the oldest are given up',
      );
    }
    this.#isLogged = true;
    save.errorType ??= NO_MEMORY;
    saves.handle(save, 'memory-full');
  }
}
