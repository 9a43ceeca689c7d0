/**
 * Makes the relay of an instance. Streams that it claims become messages here; a request to stop a stream is passed to the streams;
 * an engine that becomes unreachable or reachable again is logged once.
 */
import { systemClock } from '../core/clock.ts';
import { describeError } from '../core/error-words.ts';
import { errorTypeOf } from '../core/errors.ts';
import { type Logger, RECOVERED_FIELDS } from '../core/logger.ts';
import type { FullObserver } from '../core/observer.ts';
import type { OpenedStream } from '../core/save-port.ts';
import type { JournalEntry } from '../journal/port.ts';
import { RelayInstance } from '../relay/instance.ts';
import type { Relay, RelayTask } from '../relay/port.ts';
import type { RelaySettings } from '../relay/settings.ts';
import type { ClaimedStream } from '../relay/takeover.ts';
import { parseStoredEnding, RelayedEntry } from './relayed-entry.ts';

/** Interval in milliseconds at which a repeated failure is logged. */
const REPEAT_MS = 60_000;

/** The parts that a relay calls. */
export interface RelayParts {
  readonly logger: Logger;
  /** Runs a call of the engine outside of any stream and span. */
  readonly quietly: <T>(work: () => T) => T;
  /** Saves a stream of a dead instance. */
  readonly adopt: (entry: JournalEntry) => void;
  /** Stops a live stream, if there is one. */
  readonly stop: (streamId: string) => void;
  /** Receives exchanges, takeovers and losses. */
  readonly observer: Pick<FullObserver, 'onRelayFlush' | 'onTakeover' | 'onInternalError'>;
}

/** Makes the relay; it holds a lease from its `start` on. */
export function openRelay(settings: RelaySettings, parts: RelayParts): RelayInstance {
  const { logger, quietly, adopt, stop, observer } = parts;
  const engine = quiet(settings.engine, quietly);
  const seldom = new SeldomLines(logger);
  const { tellGone, entryOf } = finder(parts);
  const about = 'relay';
  let isAway = false;
  let dropped = 0;
  const noteDropped = (): void => {
    const now = relay.report().dropped;
    if (now > dropped) seldom.tell('dropped', { streams: now });
    dropped = now;
  };
  const noteFailure = (error: unknown): void => {
    if (isAway) return;
    isAway = true;
    const fields = { about, errorType: errorTypeOf(error), reason: describeError(error) };
    logger.warn(
      fields,
      'lastchunk: the relay does not answer; streams go on, other instances cannot see them',
    );
  };
  const relay = new RelayInstance({ ...settings, engine }, systemClock, {
    onExchange: (seconds, bytes, failure) => {
      if (failure !== undefined) {
        noteFailure(failure);
        return noteDropped();
      }
      if (isAway) {
        logger.info({ about, ...RECOVERED_FIELDS }, 'lastchunk: the relay answers again');
      }
      isAway = false;
      observer.onRelayFlush(seconds, bytes);
    },
    onClaimed: (stream) => adopt(entryOf(stream)),
    onUnreadable: (streamId) => {
      observer.onTakeover('lost');
      observer.onInternalError(
        'journal',
        new TypeError('the head of a relayed stream cannot be read'),
      );
      logger.error({ streamId }, 'lastchunk: a stream is lost, its head in the relay is not valid');
    },
    onGone: tellGone,
    onStop: stop,
    onLeaseLost: () =>
      logger.warn(
        {},
        'lastchunk: the lease of this instance expired; its live streams are sent to the relay again',
      ),
    onError: (task, error) => {
      if (isAway) return;
      seldom.tell(task, { errorType: errorTypeOf(error), reason: describeError(error) });
    },
  });
  return relay;
}

/** Makes entries of claimed streams, and reports lost messages. */
function finder({ logger, observer }: Pick<RelayParts, 'logger' | 'observer'>) {
  const count = (error: Error): void => observer.onInternalError('journal', error);
  const tellGone = (opened: OpenedStream): void => {
    const { id: streamId, messageId } = opened;
    count(new Error('the relay does not know a journaled message any more'));
    logger.error(
      { streamId, messageId },
      'lastchunk: a journaled message is lost, the relay no longer has it',
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
    observer.onTakeover('claimed');
    let isLost = false;
    const settle = (): void => {
      stream.settle();
      if (!isLost) observer.onTakeover('finished');
    };
    const onGone = (): void => {
      isLost = true;
      observer.onTakeover('lost');
      tellGone(opened);
    };
    return new RelayedEntry({ opened, stored, read: stream.body, settle, onGone });
  };
  return { tellGone, entryOf };
}

/** Log lines of failures that may repeat at every exchange. */
const SELDOM: Readonly<Record<RelayTask | 'dropped', string>> = {
  exchange: 'an answer of the relay could not be processed',
  read: 'the relay refused a read of streams of other instances; their readers wait',
  claim: 'the relay refused a claim of the streams of a dead instance; retrying',
  adopt: 'a stream of a dead instance could not be taken over',
  settle: 'the relay refused to record saved messages; retrying',
  purge: 'the relay refused to delete expired streams; retrying in a minute',
  close: 'the relay could not be closed',
  dropped:
    'the relay has been unavailable for long: the oldest ended streams were dropped and cannot be resumed',
};

/** A line for each kind, at most one a minute. */
class SeldomLines {
  readonly #logger: Logger;
  readonly #toldMs = new Map<keyof typeof SELDOM, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  tell(kind: keyof typeof SELDOM, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - (this.#toldMs.get(kind) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return;
    this.#toldMs.set(kind, nowMs);
    this.#logger.warn({ task: kind, ...fields }, `lastchunk: ${SELDOM[kind]}`);
  }
}

/** The same engine, every call of it made by `quietly`. */
function quiet(engine: Relay, quietly: RelayParts['quietly']): Relay {
  return {
    exchange: (batch) => quietly(() => engine.exchange(batch)),
    find: (query) => quietly(() => engine.find(query)),
    read: (positions, reading) => quietly(() => engine.read(positions, reading)),
    command: (streamId) => quietly(() => engine.command(streamId)),
    claim: (instance, retainMs, repeats) =>
      quietly(() => engine.claim(instance, retainMs, repeats)),
    settled: (instance, ids, retainMs) => quietly(() => engine.settled(instance, ids, retainMs)),
    purge: (conversationId) => quietly(() => engine.purge(conversationId)),
    close: () => engine.close(),
  };
}
