/**
 * All reports of the saver in one place, because which of them go where is a contract. Observers get results, and log the bad
 * ones; this file logs what is no result. Reports have ids and codes, and never text of a message.
 */
import type { Clock } from '../core/clock.ts';
import { type Logger, RECOVERED_FIELDS } from '../core/logger.ts';
import type { SaveResult } from '../core/message.ts';
import type { FullObserver, SaveReport } from '../core/observer.ts';
import type { AnnouncedSave, OpenedStream, StreamLog } from '../core/save-port.ts';
import type { PendingSave } from './pending-save.ts';

/** Where reports go. */
export interface SaveReportsOptions {
  readonly observer: FullObserver;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The stream that a log was opened for. */
  readonly openedOf: (log: StreamLog) => OpenedStream | undefined;
}

/** Reports the outcome of saves to observers and the log. */
export class SaveReports {
  readonly #options: SaveReportsOptions;

  constructor(options: SaveReportsOptions) {
    this.#options = options;
  }

  /** The one result of a save. */
  recordResult(save: PendingSave, result: SaveResult): void {
    this.#report(save, result, save.kind);
  }

  /** A result that came after `missing` or `lost`. */
  recordLate(save: PendingSave, result: SaveResult): void {
    this.#report(save, result, 'late');
    if (result === 'lost') return;
    this.#options.logger.info(
      { ...fieldsOf(save), result, ...RECOVERED_FIELDS },
      'lastchunk: a message that was given up has a result after all',
    );
  }

  /** A journaled message got its final answer from the store while it was still in memory. */
  recordReplay(save: PendingSave, result: 'saved' | 'refused'): void {
    const { log, stream } = save.save;
    const opened = log === undefined ? undefined : this.#options.openedOf(log);
    this.#options.observer.onReplayed(result, {
      streamId: save.message.streamId,
      messageId: save.message.id,
      route: stream.route,
      traceparent: opened?.traceparent ?? null,
    });
  }

  /** The store can never take it. */
  logRefusal(save: PendingSave, sqlstate: string): void {
    this.#options.logger.error(
      { ...fieldsOf(save), sqlstate },
      'lastchunk: the store refuses a message permanently',
    );
  }

  /** A frame is released although neither store nor journal has its message. */
  logUnconfirmed(save: PendingSave): void {
    this.#options.logger.error(fieldsOf(save), UNCONFIRMED);
  }

  /** The same of a message that is still being read. */
  logUnread({ messageId, stream }: AnnouncedSave): void {
    this.#options.logger.error(
      { messageId, streamId: stream.id, route: stream.route },
      UNCONFIRMED,
    );
  }

  #report(save: PendingSave, result: SaveResult, kind: SaveReport['kind']): void {
    const { observer, clock } = this.#options;
    observer.onSave({
      stream: save.save.stream,
      messageId: save.message.id,
      route: save.save.stream.route,
      result,
      kind,
      durationMs: clock.monotonicMs() - save.dueMs,
      attempts: save.attempts,
      errorType: save.errorType,
    });
  }
}

const UNCONFIRMED = 'lastchunk: an answer was ended for its client before its message was safe';

function fieldsOf(save: PendingSave): object {
  return {
    messageId: save.message.id,
    streamId: save.message.streamId,
    route: save.save.stream.route,
    attempts: save.attempts,
    errorType: save.errorType,
  };
}
