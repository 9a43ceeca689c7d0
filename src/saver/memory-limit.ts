/**
 * How much may wait in memory. An outage of the store can last longer than memory does, and a process that runs out of it
 * loses everything at once. So at half of the room the journal is asked to take what waits, and at the end of it the oldest
 * message is given up, which has had the most tries and is the next to be given up anyway.
 */
import type { Logger } from '../core/logger.ts';
import type { Entry } from './pending-save.ts';
import type { Ledger } from './pending-saves.ts';
import type { Shelf } from './shelf.ts';

/** Estimated bytes of messages without a result. */
export const MAX_PENDING_BYTES = 256 * 1024 * 1024;

/** The error type of a message that was given up before the store had said anything about it. */
const NO_ROOM = 'no-room';

export interface RoomOptions {
  readonly maxPendingBytes: number;
  readonly ledger: Ledger;
  readonly shelf: Shelf;
  readonly logger: Logger;
}

/** Called with each new entry. */
export function createRoom({
  maxPendingBytes,
  ledger,
  shelf,
  logger,
}: RoomOptions): (entry: Entry) => void {
  let asked = false;
  let told = false;

  const askJournal = (entry: Entry): void => {
    if (asked) void shelf.put(entry);
    else shelf.putAll();
    asked = true;
  };
  const giveUp = (entry: Entry): void => {
    if (!told) {
      const fields = { pending: ledger.pending.size, maxPendingBytes };
      logger.error(fields, 'lastchunk: too much waits in memory, the oldest messages are given up');
    }
    told = true;
    entry.errorType ??= NO_ROOM;
    ledger.settle(entry, 'lost');
    ledger.handOver(entry);
  };
  return (entry) => {
    if (ledger.pendingBytes * 2 <= maxPendingBytes) {
      asked = false;
      told = false;
      return;
    }
    askJournal(entry);
    for (const oldest of ledger.pending) {
      // The newest gets its first try, however large it is.
      if (ledger.pendingBytes <= maxPendingBytes || oldest === entry) return;
      // With a batch on its way nothing would be freed, and its answer is near. What is refused is being moved.
      if (oldest.underway === 0 && !oldest.refused) giveUp(oldest);
    }
  };
}
