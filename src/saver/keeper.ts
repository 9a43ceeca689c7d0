/**
 * The keeper of messages: everything between a stream that ended and a row that is committed. It owns the
 * store and the journal, waits for neither longer than it was told to, and forgets nothing that it took.
 */
import type { Keeper, OpenedStream, ReadBody, StreamLog } from '../core/save-port.ts';
import { safeLogger, type Logger } from '../core/logger.ts';
import type { MessageStore } from '../core/message.ts';
import type { FullObserver } from '../core/observer.ts';
import { createCircuit, type CircuitFacts } from './circuit-breaker.ts';
import { systemClock, type Clock } from '../core/clock.ts';
import { closeInOrder, type CloseSummary } from './close.ts';
import type { AroundReplay } from './delivery.ts';
import type { Journal } from '../journal/port.ts';
import { createReports } from './reports.ts';
import { createReturning, type ReplaySummary } from './returning.ts';
import { MAX_PENDING_BYTES } from './memory-limit.ts';
import { createSaver, type Around } from './saver.ts';
import { createSender } from './store-client.ts';

export type { CloseSummary, ReplaySummary };

/**
 * Batches of live saves on their way at once. Measured with PostgreSQL 18 on two cores, one, two and three in turn: no
 * difference up to 64 saves at a time, with 512 a fifth (busy machine) to a half (idle) more throughput
 * for two than for one, and nothing to speak of for three. And a call that hangs leaves the other lane free.
 */
const LANES = 2;

export interface KeeperOptions {
  /** Owned from here on: closed by `close`. */
  readonly store: MessageStore;
  /** Owned from here on. `undefined`: messages wait in memory only. */
  readonly journal: Journal | undefined;
  /** Reads the body of a message that comes out of the journal. */
  readonly read: ReadBody;
  readonly observer: FullObserver;
  readonly logger: Logger;
  /** Runs the store call for a batch in the tracing context of its first save. Default: just runs it. */
  readonly around?: Around;
  /** The same for a batch out of the journal. */
  readonly aroundReplay?: AroundReplay;
  /** Estimated bytes of messages that may wait in memory; default 256 MiB. Then the oldest are given up. */
  readonly maxPendingBytes?: number;
  readonly clock?: Clock;
  /** For the jitter of waits: from 0 up to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** What health is told. Times are epoch milliseconds, 0 for never or none. */
export interface KeeperState {
  /** Saves without a result. */
  readonly pending: number;
  readonly oldestPendingMs: number;
  /** `open`: the store is away. */
  readonly circuit: 'closed' | 'open';
  readonly lastFailure?: { readonly atMs: number; readonly errorType: string };
  readonly lastSuccessMs: number;
}

export interface GuardKeeper extends Keeper {
  /** Resolves when everything that is pending now has its result. */
  flush(): Promise<void>;
  /** Sends what waits in the journal, now; stops at the first batch that the store does not take. */
  replay(): Promise<ReplaySummary>;
  /** Begins to replay and to recover in the background. A second call does nothing. */
  start(): void;
  state(): KeeperState;
  /**
   * Everything pending is saved or, shortly before the deadline, journaled with one fsync, or else lost. Then the store
   * and the journal are closed. Never rejects; a second call gives the first one's promise. `drain` comes first, for the
   * saves that are still to come.
   */
  close(deadlineMs: number, drain?: () => Promise<void>): Promise<CloseSummary>;
}

export function createKeeper(options: KeeperOptions): GuardKeeper {
  const { store, journal, observer, maxPendingBytes = MAX_PENDING_BYTES } = options;
  const { clock = systemClock, random = Math.random } = options;
  const { around = (_save, work) => work(), aroundReplay = (_messages, work) => work() } = options;
  const logger = safeLogger(options.logger);
  /** Ends the waits of live saves; `background` ends before it. */
  const waits = new AbortController();
  const background = new AbortController();
  const opened = new WeakMap<StreamLog, OpenedStream>();
  let closing: Promise<CloseSummary> | undefined;

  const circuit = createCircuit({
    clock,
    random,
    onAway(errorType, wasOpen) {
      if (!wasOpen) logger.warn({ errorType }, 'lastchunk: the store is away, messages wait');
      saver.journalAll();
    },
    onBack: () => logger.info({}, 'lastchunk: the store answers again'),
  });
  const send = createSender({ store, observer, logger, clock });
  const shared = { journal, circuit, send, clock, observer, logger };
  const saver = createSaver({
    ...shared,
    around,
    maxPendingBytes,
    lanes: LANES,
    signal: waits.signal,
    reports: createReports({ observer, logger, clock, opened: (log) => opened.get(log) }),
    onHandedOver: () => returning?.wake(),
  });
  const returning =
    journal &&
    createReturning({
      ...shared,
      journal,
      aroundReplay,
      read: options.read,
      signal: background.signal,
      isInMemory: (streamId) => saver.holds(streamId),
    });

  return {
    open(stream, body) {
      const log = journal?.open(stream, body);
      if (log !== undefined) opened.set(log, stream);
      return log;
    },
    save: (save) => saver.save(save),
    flush: () => saver.flush(),
    start: () => returning?.start(),
    replay: async () => (await returning?.replay()) ?? { saved: 0, refused: 0, left: 0 },
    state: () => ({ ...saver.owed(), ...storeState(circuit.facts) }),
    close(deadlineMs, drain = () => Promise.resolve()) {
      const parts = { store, saver, returning, background, waits };
      closing ??= closeInOrder({ ...shared, ...parts, deadlineMs, drain });
      return closing;
    },
  };
}

function storeState({
  isOpen,
  lastFailure,
  lastSuccessMs,
}: CircuitFacts): Omit<KeeperState, 'pending' | 'oldestPendingMs'> {
  return {
    circuit: isOpen ? 'open' : 'closed',
    ...(lastFailure && { lastFailure }),
    lastSuccessMs,
  };
}
