/**
 * The life of a log: opened with its stream, ended, kept when the saver lets go of it, settled when the store has it,
 * and opened again when a stream goes on after all that.
 */
import type { Captured, OpenedStream } from '../core/save-port.ts';
import type { Ending, Journal } from './port.ts';
import { bytesOf, pendingBytes } from './encode.ts';
import type { Engine } from './engine.ts';
import { Log, endJson } from './stream-log.ts';
import type { LogHost } from './stream-log.ts';

export interface Streams extends Pick<Journal, 'open' | 'end' | 'keep'> {
  /** Its message is where it belongs, or there is none. */
  readonly finish: (log: Log) => void;
  /** Kept logs, in the order in which they were kept. */
  readonly waiting: Set<Log>;
  /** Takes no more. */
  close(): void;
}

export function createStreams({ writer, residence }: Engine, flushMs: number): Streams {
  const waiting = new Set<Log>();
  let lastNumber = 0;
  let closed = false;

  const enqueue = (log: Log, schedules = true): void => {
    if (closed) log.clearPending();
    else if (!log.queued) writer.enqueue(log, schedules);
  };
  const finish = (log: Log): void => {
    if (log.state === 'over') return;
    log.state = 'over';
    log.clearPending();
    waiting.delete(log);
    const isOnDisk = writer.members.has(log);
    // The records are let go at once, so that a full disk can be emptied; files go only after a later write.
    writer.forget(log);
    if (!isOnDisk) return;
    log.settlePending = true;
    enqueue(log);
  };
  const reopen = (log: Log): void => {
    // What was kept is still on disk and can simply be continued; what was settled may be gone.
    if (log.state === 'over') {
      log.broken ||= log.body === undefined;
      writer.distrust(log);
    }
    log.settlePending = false;
    log.state = 'live';
    log.waitingSinceMs = 0;
    waiting.delete(log);
  };
  const host: LogHost = { enqueue, flush: writer.flush, reopen, discard: finish };

  return {
    waiting,
    finish,
    open: (stream: OpenedStream, body: Captured) =>
      new Log(host, {
        number: ++lastNumber,
        opening: { stream, instance: residence.home()?.id ?? '' },
        body,
        // With a timer in place of ticks, the app has said that some milliseconds may be lost.
        ahead: flushMs === 0,
      }),
    end(log, ending) {
      if (!(log instanceof Log)) return;
      if (log.settlePending) writer.flush();
      if (log.state !== 'live') reopen(log);
      noteEnd(log, ending);
      enqueue(log);
    },
    keep(log) {
      if (!(log instanceof Log) || log.state !== 'live') return;
      writer.flush();
      log.state = 'kept';
      log.plain = false;
      waiting.add(log);
      // Otherwise memory is all there is, and it stays until the log is written again.
      if (!log.stale && log.opened) log.letGo();
    },
    close() {
      closed = true;
    },
  };
}

function noteEnd(log: Log, ending: Ending): void {
  // Of a log that is not whole on disk, only its memory knows how long the body is.
  const whole = log.stale ? log.body?.pieces : undefined;
  log.endsAt = whole === undefined ? log.offset + pendingBytes(log) : bytesOf(whole);
  log.endJson = endJson(ending);
  log.revision = ending.revision;
  log.endPending = true;
  log.plain = false;
  log.waitingSinceMs = ending.endedAt.getTime();
}
