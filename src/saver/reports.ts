/**
 * What the guard says about its saves, in one place: who hears of what is a contract. Observers hear of results, and
 * make log lines of those that are bad; the log hears from here what no result says. Ids and codes only, never a word of
 * a message.
 */
import type { OpenedStream, StreamLog } from '../core/save-port.ts';
import type { Logger } from '../core/logger.ts';
import type { SaveResult } from '../core/message.ts';
import type { FullObserver, SaveReport } from '../core/observer.ts';
import type { Clock } from '../core/clock.ts';
import type { Entry } from './pending-save.ts';

export interface Reports {
  /** The one result of a save. */
  result(entry: Entry, result: SaveResult): void;
  /** One that came after `missing` or `lost`. */
  late(entry: Entry, result: SaveResult): void;
  /** A journaled message has its last word without having left memory. */
  replayed(entry: Entry, result: 'saved' | 'refused'): void;
  refused(entry: Entry, sqlstate: string): void;
  /** A frame goes out although nothing could take its message. */
  unconfirmed(entry: Entry): void;
}

export interface ReportsOptions {
  readonly observer: FullObserver;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The stream that a log was opened for. */
  readonly opened: (log: StreamLog) => OpenedStream | undefined;
}

export function createReports({ observer, logger, clock, opened }: ReportsOptions): Reports {
  const tell = (entry: Entry, result: SaveResult, kind: SaveReport['kind']): void => {
    observer.onSave({
      stream: entry.save.stream,
      messageId: entry.message.id,
      route: entry.save.stream.route,
      result,
      kind,
      durationMs: clock.monotonicMs() - entry.dueMs,
      attempts: entry.attempts,
      errorType: entry.errorType,
    });
  };
  const fields = (entry: Entry): object => ({
    messageId: entry.message.id,
    streamId: entry.message.streamId,
    route: entry.save.stream.route,
    attempts: entry.attempts,
    errorType: entry.errorType,
  });

  return {
    result: (entry, result) => tell(entry, result, entry.kind),
    late(entry, result) {
      tell(entry, result, 'late');
      if (result === 'lost') return;
      logger.info(
        { ...fields(entry), result },
        'lastchunk: a message that was given up has a result after all',
      );
    },
    replayed(entry, result) {
      const { log, stream } = entry.save;
      observer.onReplayed(result, {
        streamId: entry.message.streamId,
        messageId: entry.message.id,
        route: stream.route,
        traceparent: (log === undefined ? undefined : opened(log)?.traceparent) ?? null,
      });
    },
    refused(entry, sqlstate) {
      logger.error(
        { ...fields(entry), sqlstate },
        'lastchunk: the store refuses a message for good',
      );
    },
    unconfirmed(entry) {
      logger.error(
        fields(entry),
        'lastchunk: an answer was ended for its client before its message was safe',
      );
    },
  };
}
