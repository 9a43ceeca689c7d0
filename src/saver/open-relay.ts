/**
 * Makes the relay of an instance: what it claims becomes messages here, what it is asked to stop is stopped by the streams, and
 * an engine that goes away or comes back is told in the log, once.
 */
import { systemClock } from '../core/clock.ts';
import { describeError } from '../core/error-words.ts';
import { errorTypeOf } from '../core/errors.ts';
import { type Logger, RECOVERED_FIELDS } from '../core/logger.ts';
import type { OpenedStream } from '../core/save-port.ts';
import type { JournalEntry } from '../journal/port.ts';
import { RelayInstance } from '../relay/instance.ts';
import type { Relay, RelayTask } from '../relay/port.ts';
import type { RelaySettings } from '../relay/settings.ts';
import type { ClaimedStream } from '../relay/takeover.ts';
import { parseStoredEnding, RelayedEntry } from './relayed-entry.ts';

/** A failure that repeats is told once in so long. */
const REPEAT_MS = 60_000;

/** Whom a relay talks to. */
export interface RelayParts {
  readonly logger: Logger;
  /** Runs a call of the engine as nobody's: no stream, no span. */
  readonly quietly: <T>(work: () => T) => T;
  /** Saves what another instance left. */
  readonly adopt: (entry: JournalEntry) => void;
  /** Stops a live stream, if there is one. */
  readonly stop: (streamId: string) => void;
  /** Counts what is lost. */
  readonly count: (error: unknown) => void;
}

/** Makes the relay; it holds a lease from its `start` on. */
export function openRelay(settings: RelaySettings, parts: RelayParts): RelayInstance {
  const { logger, quietly, adopt, stop, count } = parts;
  const engine = quiet(settings.engine, quietly);
  const seldom = new SeldomFailures(logger);
  const tellGone = (opened: OpenedStream): void => {
    const { id: streamId, messageId } = opened;
    count(new Error('the relay does not know a journaled message any more'));
    logger.error(
      { streamId, messageId },
      'lastchunk: a journaled message is lost, the relay has it no more',
    );
  };
  const entryOf = (stream: ClaimedStream): JournalEntry => {
    const { opened, ending } = stream;
    const { id: streamId, messageId } = opened;
    logger.info({ streamId, messageId }, 'lastchunk: finishing a stream whose instance is gone');
    const stored = ending === null ? undefined : parseStoredEnding(ending, opened);
    if (ending !== null && stored === undefined) {
      count(new TypeError('the ending of a relayed stream cannot be read'));
    }
    const { body, settle } = stream;
    return new RelayedEntry({ opened, stored, read: body, settle, onGone: () => tellGone(opened) });
  };
  const about = 'relay';
  let isAway = false;
  const noteFailure = (error: unknown): void => {
    if (isAway) return;
    isAway = true;
    const fields = { about, errorType: errorTypeOf(error), reason: describeError(error) };
    logger.warn(
      fields,
      'lastchunk: the relay is away; streams go on, other instances are not told of them',
    );
  };
  return new RelayInstance({ ...settings, engine }, systemClock, {
    onExchange: (_seconds, _bytes, failure) => {
      if (failure !== undefined) return noteFailure(failure);
      if (isAway) {
        logger.info({ about, ...RECOVERED_FIELDS }, 'lastchunk: the relay answers again');
      }
      isAway = false;
    },
    onClaimed: (stream) => adopt(entryOf(stream)),
    onUnreadable: (streamId) => {
      count(new TypeError('the head of a relayed stream cannot be read'));
      logger.error({ streamId }, 'lastchunk: a stream is lost, its head in the relay is no head');
    },
    onGone: tellGone,
    onStop: stop,
    onLeaseLost: () =>
      logger.warn(
        {},
        'lastchunk: the lease of this instance was over; its live streams are told again',
      ),
    onError: (task, error) => {
      if (!isAway) seldom.tell(task, error);
    },
  });
}

/** Failures that may repeat at every turn: a line for each task, at most one a minute. */
class SeldomFailures {
  readonly #logger: Logger;
  readonly #toldMs = new Map<RelayTask, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  tell(task: RelayTask, error: unknown): void {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - (this.#toldMs.get(task) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    this.#toldMs.set(task, nowMs);
    const fields = { task, errorType: errorTypeOf(error), reason: describeError(error) };
    this.#logger.warn(fields, 'lastchunk: the relay refuses a task; it is tried again');
  }
}

/** The same engine, every call of it made by `quietly`. */
function quiet(engine: Relay, quietly: RelayParts['quietly']): Relay {
  return {
    exchange: (batch) => quietly(() => engine.exchange(batch)),
    find: (query) => quietly(() => engine.find(query)),
    read: (positions, reading) => quietly(() => engine.read(positions, reading)),
    command: (streamId) => quietly(() => engine.command(streamId)),
    claim: (instance, retainMs) => quietly(() => engine.claim(instance, retainMs)),
    settled: (instance, ids, retainMs) => quietly(() => engine.settled(instance, ids, retainMs)),
    purge: (conversationId) => quietly(() => engine.purge(conversationId)),
    close: () => engine.close(),
  };
}
