/**
 * The way of a pending save to disk: an fsync that makes it `journaled`, or the move to `refused/` of one
 * that the store will never take. Without a journal both say no.
 */
import type { Entry } from './pending-save.ts';
import type { Journal } from '../journal/port.ts';
import type { Ledger } from './pending-saves.ts';

export interface Shelf {
  /** Makes a pending save `journaled` if the journal can; otherwise it stays pending. May be called often. */
  put(entry: Entry): Promise<void>;
  /** All pending ones; the journal serves those of one tick with one fsync. */
  putAll(): void;
  /** Keeps a refused message for an operator; false when it is not safe on disk. */
  setAside(entry: Entry, sqlstate: string): Promise<'aside' | 'with-later-save' | 'no'>;
}

export function createShelf(journal: Journal | undefined, ledger: Ledger): Shelf {
  const put = async (entry: Entry): Promise<void> => {
    const { log } = entry.save;
    if (journal === undefined || log === undefined || entry.syncing || entry.refused) return;
    entry.syncing = true;
    const isOnDisk = await journal.sync(log);
    entry.syncing = false;
    if (!isOnDisk || entry.result !== undefined || entry.refused) return;
    ledger.settle(entry, 'journaled');
    // With a batch on its way, the answer decides; it is in memory for that long only.
    if (entry.underway === 0) ledger.handOver(entry);
  };
  return {
    put,
    putAll() {
      for (const entry of ledger.pending) void put(entry);
    },
    async setAside(entry, sqlstate) {
      const { log } = entry.save;
      if (journal === undefined || log === undefined) return 'no';
      if (!ledger.isNewest(entry)) return (await journal.sync(log)) ? 'with-later-save' : 'no';
      return (await journal.refuse(log, entry.message, sqlstate)) ? 'aside' : 'no';
    },
  };
}
