/**
 * Replays a journal by command: runs the guard's replay worker once to the end and prints the progress. A message is removed from disk only
 * after the database has it, so the command may be interrupted at any time.
 */
import { holdProcess, systemClock } from '../../core/clock.ts';
import { errorTypeOf } from '../../core/errors.ts';
import { type Logger, oneLine } from '../../core/logger.ts';
import type { MessageStore } from '../../core/message.ts';
import { combine, type Observer } from '../../core/observer.ts';
import {
  listJournal,
  openJournal,
  refusedMessages,
  resolveJournalOptions,
  type DiskJournal,
  type JournalWiring,
} from '../../journal/index.ts';
import type { Journal } from '../../journal/port.ts';
import {
  CircuitBreaker,
  Delivery,
  RefusedReplay,
  ReplayWorker,
  StoreClient,
} from '../../saver/index.ts';
import { readBody } from '../../stream/body/content.ts';
import type { Io } from '../io.ts';

/** How many messages were saved or refused, and how many are still on disk. */
export interface ReplayReport {
  readonly saved: number;
  readonly refused: number;
  readonly left: number;
  /** Why the database did not store the rest; `undefined` if it stored or refused every message that was sent. */
  readonly errorType: string | undefined;
}

export interface ReplayTask {
  /** The journal's directory. */
  readonly path: string;
  readonly store: MessageStore & { readonly fingerprint?: string | undefined };
  readonly io: Io;
  /** The name of the store; default its fingerprint. */
  readonly name?: string | undefined;
  /** True: messages for another store are replayed too. */
  readonly force: boolean;
}

/**
 * Saves the messages that dead processes left, and reports how many belong to running processes. Stops when the database does not store a
 * message.
 */
export async function replayJournal(task: ReplayTask): Promise<ReplayReport> {
  const { path, store, io, name = store.fingerprint, force } = task;
  const counts = { saved: 0, refused: 0 };
  const tellProgress = createProgress(io);
  const journal = openOnce(path, io, { store: name, takesForeign: force });
  const worker = createWorker(journal, store, io, {
    onRecovered(result) {
      counts[result] += 1;
      tellProgress(counts.saved + counts.refused);
    },
  });
  let errorType: string | undefined;
  try {
    errorType = await holdProcess(worker.recoverOnce());
  } finally {
    await journal.close();
  }
  // What cannot be read was reported when the command began.
  const listings = await listJournal(path, () => undefined);
  const owned = (by: string): number => listings.filter(({ owner }) => owner === by).length;
  const live = owned('live');
  if (live > 0) {
    io.stderr.write(
      `lastchunk journal: ${live} are of a running process, which saves them by itself\n`,
    );
  }
  return { ...counts, left: owned('left'), errorType };
}

/**
 * Sends again the messages that this database refused; those that it refuses once more are kept. Messages that another store refused are
 * not sent.
 */
export async function replayRefused(task: ReplayTask): Promise<ReplayReport> {
  const { path, store, io, name = store.fingerprint, force } = task;
  const all = refusedMessages(path);
  const ours = all.filter((one) => force || one.store === name);
  const foreign = all.length - ours.length;
  if (foreign > 0) {
    io.stderr.write(
      `lastchunk journal: ${foreign} were refused by another store, or nothing says by which: their app sends them again with keep.replay({ refused: true }); --force sends them to this one\n`,
    );
  }
  const [clock, logger, observer] = [systemClock, stderrLogger(io), combine([], ignore)];
  const summary = await new RefusedReplay({
    refusedMessages: () => ours,
    client: new StoreClient({ store, clock, logger, observer }),
    logger,
    aroundReplay: (_messages, work) => work(),
    signal: new AbortController().signal,
    onProgress: createProgress(io),
  }).replay();
  return { ...summary, left: summary.left + foreign };
}

/** Opens a journal for one command; its errors and warnings are printed on stderr. */
export function openOnce(
  path: string,
  io: Io,
  whose: Pick<JournalWiring, 'store' | 'takesForeign'>,
): DiskJournal {
  const settings = resolveJournalOptions(path);
  // It returns `undefined` for `false` only.
  if (settings === undefined) throw new TypeError('a path is no journal');
  return openJournal({
    settings,
    ...whose,
    onError: (error) =>
      stderrLogger(io).error({ errorType: errorTypeOf(error) }, 'the disk failed'),
    onWrite: ignore,
    onCorrupt: (count) => stderrLogger(io).error({ count }, 'damaged records were cut'),
    onDegraded: ignore,
    log: (level, line) =>
      void (level === 'info' || io.stderr.write(`lastchunk journal: ${oneLine(line)}\n`)),
  });
}

/** The replay worker of a guard, for one run. The run ends when the store does not answer, so it never waits to try again. */
function createWorker(
  journal: Journal,
  store: MessageStore,
  io: Io,
  heard: Observer,
): ReplayWorker {
  const clock = systemClock;
  const logger = stderrLogger(io);
  const observer = combine([heard], ignore);
  const client = new StoreClient({ store, clock, logger, observer });
  const aroundReplay = (_messages: unknown, work: () => Promise<void>): Promise<void> => work();
  return new ReplayWorker({
    journal,
    circuit: new CircuitBreaker({ clock, random: Math.random, onAway: ignore, onBack: ignore }),
    delivery: new Delivery({ read: readBody, client, observer, logger, clock, aroundReplay }),
    observer,
    clock,
    isInMemory: () => false,
    signal: new AbortController().signal,
  });
}

/** Prints the count once a second, so that the operator sees that a long run makes progress. */
function createProgress(io: Io): (done: number) => void {
  let nextMs = systemClock.monotonicMs() + PROGRESS_EVERY_MS;
  return (done) => {
    if (systemClock.monotonicMs() < nextMs) return;
    nextMs = systemClock.monotonicMs() + PROGRESS_EVERY_MS;
    io.stderr.write(`${done} so far\n`);
  };
}

/** Prints errors on stderr, one line each, with ids and codes only. Lines of other levels are not printed. */
function stderrLogger(io: Io): Logger {
  return {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields, message) => void io.stderr.write(`${message} ${JSON.stringify(fields)}\n`),
  };
}

function ignore(): void {
  // Not needed by this command.
}

const PROGRESS_EVERY_MS = 1_000;
