/**
 * Who owes a result, and who is in charge of what is on disk. Every save gets its one result here and
 * nowhere else, so that the accounts always add up.
 *
 * A stream that went on after its terminal frame has several saves with one log. Each has a result of its
 * own; only the newest one decides what becomes of the log, because its records hold all of them.
 */
import type { SaveResult } from '../core/message.ts';
import type { Entry } from './pending-save.ts';
import type { Journal } from '../journal/port.ts';
import type { Reports } from './reports.ts';
import { sizeOf } from './size.ts';

export interface LedgerOptions {
  readonly journal: Journal | undefined;
  readonly reports: Reports;
  readonly onSettled: (entry: Entry) => void;
  /** A message has left memory and is in the journal's backlog. */
  readonly onHandedOver: () => void;
}

export interface Ledger {
  /** Saves without a result, oldest first. */
  readonly pending: ReadonlySet<Entry>;
  /** Estimated bytes of their messages. */
  readonly pendingBytes: number;
  /** Results so far. */
  readonly results: Readonly<Record<SaveResult, number>>;
  add(entry: Entry): void;
  /** The one result of a save that has none yet. */
  settle(entry: Entry, result: SaveResult): void;
  /** A result after `missing` or `lost`; told once. */
  late(entry: Entry, result: SaveResult): void;
  /** Whether the log of its stream is this save's to decide about. */
  isNewest(entry: Entry): boolean;
  /** True while a save of this stream is in memory. */
  holds(streamId: string): boolean;
  /** Its message needs no more care; true when it was the newest. */
  letGo(entry: Entry): boolean;
  /** Leaves the message to the journal and its replay, if it was this save's. */
  handOver(entry: Entry): void;
  handOverAll(): void;
}

export function createLedger(options: LedgerOptions): Ledger {
  const { journal, reports, onSettled, onHandedOver } = options;
  const pending = new Set<Entry>();
  let pendingBytes = 0;
  /** By stream id: its newest save, while it is neither in the store nor handed over. */
  const newest = new Map<string, Entry>();
  const results = { saved: 0, journaled: 0, lost: 0, missing: 0 };

  const isNewest = (entry: Entry): boolean => newest.get(entry.message.streamId) === entry;
  const letGo = (entry: Entry): boolean => isNewest(entry) && newest.delete(entry.message.streamId);
  const handOver = (entry: Entry): void => {
    const { log } = entry.save;
    if (!letGo(entry) || journal === undefined || log === undefined) return;
    entry.handedOver = true;
    journal.keep(log);
    onHandedOver();
  };

  return {
    pending,
    get pendingBytes() {
      return pendingBytes;
    },
    results,
    isNewest,
    letGo,
    handOver,
    holds: (streamId) => newest.has(streamId),
    handOverAll() {
      for (const entry of newest.values()) handOver(entry);
    },
    add(entry) {
      pending.add(entry);
      pendingBytes += sizeOf(entry.message);
      newest.set(entry.message.streamId, entry);
    },
    settle(entry, result) {
      entry.result = result;
      results[result] += 1;
      entry.cancelDeadlines();
      pending.delete(entry);
      pendingBytes -= sizeOf(entry.message);
      onSettled(entry);
      reports.result(entry, result);
      const { errorType, attempts } = entry;
      entry.confirm(result === 'saved' || result === 'journaled' ? result : 'unconfirmed');
      entry.resolve({ result, attempts, errorType });
    },
    late(entry, result) {
      if (entry.lateTold) return;
      entry.lateTold = true;
      reports.late(entry, result);
    },
  };
}
