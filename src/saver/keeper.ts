/**
 * The keeper of messages: everything between the end of a stream and a committed row. It owns the store and the journal, waits for
 * each no longer than its limit, and gives every accepted save a result.
 */
import { systemClock, type Clock } from '../core/clock.ts';
import { type Logger, RECOVERED_FIELDS, safeLogger } from '../core/logger.ts';
import type { MessageStore } from '../core/message.ts';
import type { FullObserver } from '../core/observer.ts';
import type {
  AnnouncedSave,
  Captured,
  Keeper,
  OpenedStream,
  ReadBody,
  Save,
  SaveProgress,
  StreamLog,
} from '../core/save-port.ts';
import type { Journal, JournalEntry } from '../journal/port.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { type ClosedParts, closeInOrder, type CloseSummary } from './close.ts';
import { type AroundReplay, Delivery } from './delivery.ts';
import { MAX_PENDING_BYTES } from './memory-limit.ts';
import { RefusedReplay } from './refused.ts';
import { type ReplaySummary, ReplayWorker } from './replay.ts';
import { SaveReports } from './reports.ts';
import { type Around, Saver } from './saver.ts';
import { StoreClient } from './store-client.ts';

/**
 * Batches of live saves on their way at once. Measured with PostgreSQL 18 on two cores, one, two and three in turn: no
 * difference up to 64 saves at a time, with 512 a fifth (busy machine) to a half (idle) more throughput
 * for two than for one, and nothing to speak of for three. And a call that hangs leaves the other lane free.
 */
const LANES = 2;

/** What a keeper is made of. */
export interface MessageKeeperOptions {
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

/** The state that health reads. Times are epoch milliseconds, 0 for never or none. */
export interface KeeperState {
  /** Saves without a result. */
  readonly pending: number;
  readonly oldestPendingMs: number;
  /** `open`: the store is away. */
  readonly circuit: 'closed' | 'open';
  readonly lastFailure?: { readonly atMs: number; readonly errorType: string };
  readonly lastSuccessMs: number;
}

/** The one implementation of `Keeper`. */
export class MessageKeeper implements Keeper {
  readonly #journal: Journal | undefined;
  readonly #opened = new WeakMap<StreamLog, OpenedStream>();
  readonly #circuit: CircuitBreaker;
  readonly #saver: Saver;
  readonly #replay: ReplayWorker | undefined;
  readonly #refused: RefusedReplay | undefined;
  readonly #parts: ClosedParts;
  #closing: Promise<CloseSummary> | undefined;

  constructor(options: MessageKeeperOptions) {
    const { store, journal, read, observer, maxPendingBytes = MAX_PENDING_BYTES } = options;
    const { clock = systemClock, random = Math.random } = options;
    const { around = justRun, aroundReplay = justRun } = options;
    const logger = safeLogger(options.logger);
    /** Ends the waits of live saves; `background` ends before it. */
    const waits = new AbortController();
    const background = new AbortController();
    const circuit = this.#createCircuit(clock, random, logger);
    const client = new StoreClient({ store, observer, logger, clock });
    this.#journal = journal;
    this.#circuit = circuit;
    this.#saver = new Saver({
      journal,
      circuit,
      client,
      reports: new SaveReports({
        observer,
        logger,
        clock,
        openedOf: (log) => this.#opened.get(log),
      }),
      clock,
      logger,
      around,
      maxPendingBytes,
      lanes: LANES,
      signal: waits.signal,
      onHandedOver: () => this.#replay?.wake(),
    });
    this.#replay =
      journal &&
      new ReplayWorker({
        journal,
        circuit,
        delivery: new Delivery({ read, client, observer, logger, clock, aroundReplay }),
        observer,
        clock,
        isInMemory: (streamId) => this.#saver.has(streamId),
        signal: background.signal,
      });
    this.#refused =
      journal &&
      new RefusedReplay({
        refusedMessages: () => journal.refusedMessages(),
        client,
        logger,
        aroundReplay,
        signal: background.signal,
      });
    const [saver, replay, refused] = [this.#saver, this.#replay, this.#refused];
    const parts = { clock, observer, store, journal, saver, circuit, replay, refused };
    this.#parts = { ...parts, background, waits };
  }

  #createCircuit(clock: Clock, random: () => number, logger: Logger): CircuitBreaker {
    const about = 'store';
    return new CircuitBreaker({
      clock,
      random,
      onAway: (errorType, wasOpen) => {
        if (!wasOpen)
          logger.warn({ about, errorType }, 'lastchunk: the store is away, messages wait');
        this.#saver.journalAllPending();
      },
      onBack: () =>
        logger.info({ about, ...RECOVERED_FIELDS }, 'lastchunk: the store answers again'),
    });
  }

  open(stream: OpenedStream, body: Captured): StreamLog | undefined {
    const log = this.#journal?.open(stream, body);
    if (log !== undefined) this.#opened.set(log, stream);
    return log;
  }

  announce(save: AnnouncedSave): SaveProgress['confirmed'] {
    return this.#saver.announce(save);
  }

  save(save: Save): SaveProgress {
    return this.#saver.save(save);
  }

  /** Saves the messages of another instance that is gone; only after `start`. */
  adopt(entry: JournalEntry): void {
    this.#replay?.adopt(entry);
  }

  /** Begins to replay and to recover in the background. A second call does nothing. */
  start(): void {
    this.#replay?.start();
  }

  /** Resolves when everything that is pending now has its result. */
  flush(): Promise<void> {
    return this.#saver.flush();
  }

  /** Sends what waits in the journal, now; stops at the first batch that the store does not take. */
  async replay(): Promise<ReplaySummary> {
    return (await this.#replay?.replay()) ?? NOTHING_REPLAYED;
  }

  /** Offers what this store has refused to it again. Rejects where `refused/` cannot be read or written. */
  async replayRefused(): Promise<ReplaySummary> {
    const { saved, refused, left } = (await this.#refused?.replay()) ?? NOTHING_REPLAYED;
    return { saved, refused, left };
  }

  /** What is known of the saves and of the store now. */
  state(): KeeperState {
    const { pending, oldestPendingMs } = this.#saver;
    const { isOpen, lastFailure, lastSuccessMs } = this.#circuit;
    return {
      pending,
      oldestPendingMs,
      circuit: isOpen ? 'open' : 'closed',
      ...(lastFailure && { lastFailure }),
      lastSuccessMs,
    };
  }

  /**
   * Everything pending is saved or, shortly before the deadline, journaled with one fsync, or else lost. Then the store
   * and the journal are closed. Never rejects; a second call gives the first one's promise. `drain` comes first, for the
   * saves that are still to come.
   */
  close(
    deadlineMs: number,
    drain: () => Promise<void> = () => Promise.resolve(),
  ): Promise<CloseSummary> {
    this.#closing ??= closeInOrder(this.#parts, deadlineMs, drain);
    return this.#closing;
  }
}

const NOTHING_REPLAYED: ReplaySummary = { saved: 0, refused: 0, left: 0 };

function justRun(_about: unknown, work: () => Promise<void>): Promise<void> {
  return work();
}
