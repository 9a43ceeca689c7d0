/**
 * Makes the relay of an instance: what it claims becomes messages here, what it is asked to stop is stopped by the streams, and
 * an engine that goes away or comes back is told in the log, once.
 */
import { systemClock } from '../core/clock.ts';
import { describeError } from '../core/error-words.ts';
import { errorTypeOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { JournalEntry } from '../journal/port.ts';
import { RelayInstance } from '../relay/instance.ts';
import type { Relay } from '../relay/port.ts';
import type { RelaySettings } from '../relay/settings.ts';
import { entryOf } from './relayed-journal.ts';

/** Whom a relay talks to. */
export interface RelayParts {
  readonly logger: Logger;
  /** Runs a call of the engine as nobody's: no stream, no span. */
  readonly quietly: <T>(work: () => T) => T;
  /** Saves what another instance left. */
  readonly adopt: (entry: JournalEntry) => void;
  /** Stops a live stream, if there is one. */
  readonly stop: (streamId: string) => void;
}

/** Makes the relay; it holds a lease from its `start` on. */
export function openRelay(settings: RelaySettings, parts: RelayParts): RelayInstance {
  const { logger, quietly, adopt, stop } = parts;
  const engine = quiet(settings.engine, quietly);
  let isAway = false;
  const noteFailure = (error: unknown): void => {
    if (isAway) return;
    isAway = true;
    const fields = { errorType: errorTypeOf(error), reason: describeError(error) };
    logger.warn(
      fields,
      'lastchunk: the relay is away; streams go on, other instances are not told of them',
    );
  };
  return new RelayInstance({ ...settings, engine }, systemClock, {
    onExchange: (_seconds, _bytes, failure) => {
      if (failure !== undefined) return noteFailure(failure);
      if (isAway) logger.info({}, 'lastchunk: the relay answers again');
      isAway = false;
    },
    onClaimed: (stream) => {
      const { id: streamId, messageId } = stream.opened;
      logger.info({ streamId, messageId }, 'lastchunk: finishing a stream whose instance is gone');
      adopt(entryOf(stream));
    },
    onStop: stop,
    onLeaseLost: () =>
      logger.warn(
        {},
        'lastchunk: the lease of this instance was over; its live streams are told again',
      ),
    onError: noteFailure,
  });
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
