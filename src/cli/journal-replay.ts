/**
 * Replaying by hand: the guard's own delivery, run once and to the end instead of for ever, with progress for whoever
 * waits. A message leaves the disk only after the database has it, so this may be broken off at any time.
 */
import { BATCH_MESSAGES } from '../saver/circuit-breaker.ts';
import { systemClock } from '../core/clock.ts';
import { createDelivery, type Delivery, type Loaded } from '../saver/delivery.ts';
import { errorTypeOf } from '../core/error-type.ts';
import {
  dropRefused,
  listJournal,
  listRefused,
  openJournal,
  readRefused,
  resolveJournalOptions,
} from '../journal/index.ts';
import type { Journal } from '../journal/port.ts';
import { BATCH_BYTES } from '../saver/batcher.ts';
import { refusal } from '../saver/refused.ts';
import { createSender } from '../saver/store-client.ts';
import { sizeOf } from '../saver/size.ts';
import type { Logger } from '../core/logger.ts';
import type { MessageStore } from '../core/message.ts';
import { combine } from '../core/observer.ts';
import { readBody } from '../stream/body/read-body.ts';
import type { Io } from './io.ts';

/** What was done, and what is still on disk. */
export interface ReplayReport {
  readonly saved: number;
  readonly refused: number;
  readonly left: number;
  /** Why the database did not take what is left; `undefined` when it took or refused all that it was given. */
  readonly errorType: string | undefined;
}

export interface ReplayTask {
  /** The journal's directory. */
  readonly path: string;
  readonly store: MessageStore;
  readonly io: Io;
}

/** Saves what dead processes left; stops when the database does not take it. */
export async function replayJournal({ path, store, io }: ReplayTask): Promise<ReplayReport> {
  const counts = { saved: 0, refused: 0 };
  const tellProgress = createProgress(io);
  const journal = openOnce(path, io);
  const delivery = createDelivery({
    read: readBody,
    clock: systemClock,
    logger: stderrLogger(io),
    send: createSender({
      store,
      clock: systemClock,
      logger: stderrLogger(io),
      observer: combine([], ignore),
    }),
    observer: combine(
      [
        {
          onRecovered(result) {
            counts[result] += 1;
            tellProgress(counts.saved + counts.refused);
          },
        },
      ],
      ignore,
    ),
    aroundReplay: (_messages, work) => work(),
  });
  let errorType: string | undefined;
  try {
    errorType = await deliverAll(journal, delivery);
  } finally {
    await journal.close();
  }
  const listings = await listJournal(path);
  return { ...counts, left: listings.filter(({ owner }) => owner === 'left').length, errorType };
}

/** Tries again what the database refused; what it refuses again stays. */
export async function replayRefused({ path, store, io }: ReplayTask): Promise<ReplayReport> {
  const counts = { saved: 0, refused: 0 };
  const tellProgress = createProgress(io);
  const waiting = listRefused(path);
  for (const { id } of waiting) {
    const message = readRefused(path, id);
    if (message === undefined) continue;
    try {
      await store.save([message]);
      dropRefused(path, id);
      counts.saved += 1;
    } catch (error) {
      const left = waiting.length - counts.saved - counts.refused;
      if (refusal(error) === undefined) return { ...counts, left, errorType: errorTypeOf(error) };
      counts.refused += 1;
    }
    tellProgress(counts.saved + counts.refused);
  }
  return { ...counts, left: 0, errorType: undefined };
}

function openOnce(path: string, io: Io): Journal {
  const settings = resolveJournalOptions(path);
  // It gives none for `false` only.
  if (settings === undefined) throw new TypeError('a path is no journal');
  return openJournal({
    settings,
    onError: (error) =>
      stderrLogger(io).error({ errorType: errorTypeOf(error) }, 'the disk failed'),
    onWrite: ignore,
    onCorrupt: (count) => stderrLogger(io).error({ count }, 'damaged records were cut'),
    onDegraded: ignore,
    log: ignore,
  });
}

/** Batch by batch; resolves to the error type when the database does not take one. */
async function deliverAll(journal: Journal, delivery: Delivery): Promise<string | undefined> {
  let batch: Loaded[] = [];
  let bytes = 0;
  const deliver = async (): Promise<string | undefined> => {
    if (batch.length === 0) return undefined;
    const { errorType } = await delivery.deliver(batch);
    batch = [];
    bytes = 0;
    return errorType;
  };
  for await (const entry of journal.recover(new AbortController().signal)) {
    const loaded = await delivery.load({ entry, origin: 'dead' });
    // Nothing in it, or unreadable: settled, or told and left where it is.
    if (typeof loaded === 'string') continue;
    batch.push(loaded);
    bytes += sizeOf(loaded.message);
    if (batch.length < BATCH_MESSAGES && bytes < BATCH_BYTES) continue;
    const errorType = await deliver();
    if (errorType !== undefined) return errorType;
  }
  return deliver();
}

/** A line once a second, so that long work is not mistaken for a hanging one. */
function createProgress(io: Io): (done: number) => void {
  let nextMs = systemClock.monotonicMs() + PROGRESS_EVERY_MS;
  return (done) => {
    if (systemClock.monotonicMs() < nextMs) return;
    nextMs = systemClock.monotonicMs() + PROGRESS_EVERY_MS;
    io.stderr.write(`${done} so far\n`);
  };
}

/** Errors go to stderr, one line each; they hold ids and codes only. The rest is not for a terminal. */
function stderrLogger(io: Io): Logger {
  return {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields, message) => void io.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
  };
}

function ignore(): void {
  // Told to nobody.
}

const PROGRESS_EVERY_MS = 1_000;
