/**
 * The life of a save, from due to its result: queued for the store, watched by its deadlines, put on disk when
 * the store does not answer. This file only wires the parts; each part holds one rule.
 */
import type { Save, SaveProgress } from '../core/save-port.ts';
import { createAnswers } from './answers.ts';
import type { Circuit } from './circuit-breaker.ts';
import { within, type Clock } from '../core/clock.ts';
import { startDeadlines } from './deadlines.ts';
import { createEntry, type Entry } from './pending-save.ts';
import type { Logger } from '../core/logger.ts';
import type { Journal } from '../journal/port.ts';
import { createLedger, type Ledger } from './pending-saves.ts';
import { createQueue } from './batcher.ts';
import type { Reports } from './reports.ts';
import { createRoom } from './memory-limit.ts';
import type { Send, Wrap } from './store-client.ts';
import { createShelf, type Shelf } from './shelf.ts';

/** Runs the store call for a batch in the context of its first save. */
export type Around = (save: Save, work: () => Promise<void>) => Promise<void>;

export interface SaverOptions {
  readonly journal: Journal | undefined;
  readonly circuit: Circuit;
  readonly send: Send;
  readonly reports: Reports;
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

export interface Saver {
  save(save: Save): SaveProgress;
  /** True while a save of this stream is in memory: replay leaves it alone. */
  holds(streamId: string): boolean;
  /** Asks the journal to take everything that has no result yet. */
  journalAll(): void;
  /** Resolves when everything that is pending now has its result. */
  flush(): Promise<void>;
  /** The end: what gets a result within `ms`, by the store or the journal, has it; the rest is lost. */
  finish(ms: number): Promise<void>;
  /** Saves without a result, and when the oldest was due (epoch milliseconds; 0 when there is none). */
  owed(): { readonly pending: number; readonly oldestPendingMs: number };
  readonly ledger: Pick<Ledger, 'results'>;
}

export function createSaver(options: SaverOptions): Saver {
  const { journal, circuit, reports, clock } = options;
  const ledger = createLedger({
    journal,
    reports,
    onSettled: (entry) => queue.remove(entry),
    onHandedOver: options.onHandedOver,
  });
  const shelf = createShelf(journal, ledger);
  const makeRoom = createRoom({ ...options, ledger, shelf });
  const handlers = createAnswers({
    journal,
    ledger,
    shelf,
    reports,
    isAway: () => circuit.facts.isOpen,
  });
  const queue = createQueue<Entry>({
    ...options,
    isUnfinished: (entry) => entry.result === undefined && !entry.refused,
    send: (batch) => sendBatch(batch, options),
  });
  const flush = async (): Promise<void> => {
    await Promise.all([...ledger.pending].map((entry) => entry.progress.result));
  };
  let isFinished = false;

  return {
    ledger,
    flush,
    owed() {
      const [oldest] = ledger.pending;
      return { pending: ledger.pending.size, oldestPendingMs: oldest?.dueAtMs ?? 0 };
    },
    holds: (streamId) => ledger.holds(streamId),
    journalAll: () => shelf.putAll(),
    save(save) {
      const entry = createEntry(save, clock, handlers);
      if (isFinished) {
        ledger.settle(entry, 'lost');
        return entry.progress;
      }
      ledger.add(entry);
      writeEnding(journal, save);
      entry.cancelDeadlines = watch(entry, { clock, ledger, shelf, reports });
      if (circuit.facts.isOpen) void shelf.put(entry);
      queue.add(entry);
      makeRoom(entry);
      return entry.progress;
    },
    async finish(ms) {
      shelf.putAll();
      await within(clock, ms, flush());
      isFinished = true;
      for (const entry of ledger.pending) ledger.settle(entry, 'lost');
      ledger.handOverAll();
    },
  };
}

/** The message less what its log has already. */
function writeEnding(journal: Journal | undefined, { log, message }: Save): void {
  if (journal === undefined || log === undefined) return;
  const { text: _text, events: _events, ...ending } = message;
  journal.end(log, ending);
}

function sendBatch(
  batch: readonly Entry[],
  { send, around }: Pick<SaverOptions, 'send' | 'around'>,
): Promise<string | undefined> {
  for (const entry of batch) entry.underway += 1;
  const first = batch[0]?.save;
  const wrap: Wrap = (work) => (first === undefined ? work() : around(first, work));
  return send(batch, wrap);
}

interface Watchers extends Pick<SaverOptions, 'clock' | 'reports'> {
  readonly ledger: Ledger;
  readonly shelf: Shelf;
}

function watch(entry: Entry, { clock, ledger, shelf, reports }: Watchers): () => void {
  return startDeadlines(clock, {
    confirmTimeoutMs: entry.save.confirmTimeoutMs,
    missingAfterMs: entry.save.missingAfterMs,
    onNear: () => void shelf.put(entry),
    onConfirmTimeout() {
      if (entry.save.holds()) reports.unconfirmed(entry);
      entry.confirm('unconfirmed');
    },
    onMissing() {
      // `missing` says that nothing is known; whatever the store has said since makes it a definite loss.
      ledger.settle(entry, entry.attempts > 0 && !entry.answered ? 'missing' : 'lost');
      if (entry.underway === 0 && !entry.refused) ledger.handOver(entry);
    },
  });
}
