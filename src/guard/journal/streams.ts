/**
 * The life of a log: opened with its stream, ended, kept when the saver lets go of it, settled when the store has it,
 * and opened again when a stream goes on after all that.
 */
import type { OpenedStream, Piece } from '../../keeper.ts';
import type { Ending, Journal } from '../journal-port.ts';
import type { Engine } from './engine.ts';
import { Log, endJson, openJson } from './log.ts';
import type { LogHost } from './log.ts';

export interface Streams extends Pick<Journal, 'open' | 'end' | 'keep'> {
  /** Its message is where it belongs, or there is none. */
  finish(log: Log): void;
  /** Kept logs, in the order in which they were kept. */
  readonly waiting: Set<Log>;
  /** Takes no more. */
  close(): void;
}

export function createStreams(engine: Engine, flushMs: number): Streams {
  const { encoder, segments, writer } = engine;
  const waiting = new Set<Log>();
  let lastNumber = 0;
  let closed = false;

  const enqueue = (log: Log): void => {
    if (!closed) {
      writer.enqueue(log);
      return;
    }
    log.clearPending();
    log.queued = false;
  };
  const queue = (log: Log): void => {
    if (log.queued) return;
    log.queued = true;
    enqueue(log);
  };
  const finish = (log: Log): void => {
    if (log.state === 'over') return;
    log.state = 'over';
    log.clearPending();
    log.stale = false;
    writer.stale.delete(log);
    waiting.delete(log);
    if (!encoder.members.delete(log)) return;
    // The records are let go at once, so that a full disk can be emptied; files go only after a later write.
    const { extents } = log;
    log.extents = [];
    segments.release(log, extents, 0);
    log.settledOffset = log.offset;
    log.settledRevision = log.revision;
    log.settlePending = true;
    queue(log);
  };
  const reopen = (log: Log): void => {
    // What was kept is still on disk and can simply be continued; what was settled may be gone.
    if (log.state === 'over') {
      log.opened = false;
      writer.distrust(log);
    }
    log.state = 'live';
    log.waitingSinceMs = 0;
    waiting.delete(log);
  };
  const host: LogHost = { enqueue, flush: writer.flush, reopen, discard: finish };

  return {
    waiting,
    finish,
    open(stream: OpenedStream, body: () => readonly Piece[]) {
      const json = openJson(stream, engine.home()?.id ?? '');
      // With a timer instead of ticks, the app has said that some milliseconds may be lost.
      return new Log(host, {
        number: ++lastNumber,
        openJson: json,
        body,
        immediate: flushMs === 0,
      });
    },
    end(log, ending: Ending) {
      if (!(log instanceof Log)) return;
      if (log.settlePending) writer.flush();
      if (log.state !== 'live') reopen(log);
      log.endJson = endJson(ending);
      log.revision = ending.revision;
      log.endPending = true;
      log.plain = false;
      log.waitingSinceMs = ending.endedAt.getTime();
      queue(log);
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
