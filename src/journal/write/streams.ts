/**
 * The life of a log: opened with its stream, ended, kept when only the disk has it any more, settled when the store has it,
 * and opened again when a stream goes on after all that.
 */
import { epochOf, systemClock } from '../../core/clock.ts';
import type { Captured, OpenedStream, Piece } from '../../core/save-port.ts';
import type { Lease } from '../lease/lease.ts';
import type { Ending } from '../port.ts';
import type { BodyReader } from '../read/reader.ts';
import { endJson } from '../record-json.ts';
import { bytesOf, pendingBytes } from './encode.ts';
import type { LogSet } from './log-set.ts';
import { Log } from './stream-log.ts';
import type { LogHost } from './stream-log.ts';
import type { LogWriter } from './writer.ts';

export interface StreamLogsOptions {
  readonly writer: LogWriter;
  readonly logs: LogSet;
  readonly lease: Lease;
  readonly flushMs: number;
  /** See `OpenFacts`. */
  readonly store: string | undefined;
  readonly reader: BodyReader;
}

export class StreamLogs implements LogHost {
  /** Kept logs, in the order in which they were kept. */
  readonly waiting = new Set<Log>();
  readonly #options: StreamLogsOptions;
  #lastNumber = 0;

  constructor(options: StreamLogsOptions) {
    this.#options = options;
  }

  /** Epoch milliseconds since when the oldest kept one waits; 0 when none does. */
  get oldestMs(): number {
    // The first one was kept first.
    const [first] = this.waiting;
    return first === undefined ? 0 : Math.round(epochOf(systemClock, first.waitingSinceMs));
  }

  /** See `Journal.open`. */
  open(stream: OpenedStream, body: Captured): Log {
    const { lease, flushMs, store } = this.#options;
    return new Log(this, {
      number: ++this.#lastNumber,
      openFacts: { stream, instance: lease.current?.id ?? '', store },
      body,
      // With a timer in place of ticks, the app has said that some milliseconds may be lost.
      ahead: flushMs === 0,
    });
  }

  /** See `Journal.end`. */
  end(log: Log, ending: Ending): void {
    if (log.settlePending) this.flush();
    if (log.state !== 'live' || log.isSettled) this.reopen(log);
    noteEnd(log, ending);
    this.enqueue(log);
  }

  /** See `Journal.keep`. */
  keep(log: Log): void {
    if (log.state !== 'live') return;
    this.flush();
    log.state = 'kept';
    log.plain = false;
    this.waiting.add(log);
    // Otherwise memory is all there is, and it stays until the log is written again.
    if (!log.needsRewrite && log.opened) log.releaseMemory();
  }

  /**
   * Its message is where it belongs. Where memory could not write it again, a stream that may go on is continued on disk, and its
   * records go when it is over.
   */
  settle(log: Log): void {
    const isContinued = !log.isClosed && log.body === undefined && !log.needsRewrite;
    if (log.state === 'over' || !isContinued) return this.finish(log);
    this.reopen(log);
    log.isSettled = true;
    // So that what comes next is noticed.
    log.plain = false;
  }

  /** Its stream is over: nothing more comes. */
  close(log: Log): void {
    log.isClosed = true;
    if (log.isSettled) this.finish(log);
  }

  /** The journal closes: what the store has is not left to the next process. */
  finishSettled(): void {
    for (const log of Array.from(this.#options.logs.onDisk)) if (log.isSettled) this.finish(log);
  }

  /** Nobody needs it any more: its message is where it belongs, or there is none. */
  finish(log: Log): void {
    const { logs } = this.#options;
    if (log.state === 'over') return;
    log.state = 'over';
    log.isSettled = false;
    log.clearPending();
    this.waiting.delete(log);
    const isOnDisk = logs.onDisk.has(log);
    // The records are let go at once, so that a full disk can be emptied; files go only after a later write.
    logs.forget(log);
    if (!isOnDisk) return;
    log.settlePending = true;
    this.enqueue(log);
  }

  /** Puts a log that is not whole on disk on the writer's list, where memory has all of it. */
  rewrite(log: Log): void {
    if (log.needsRewrite && log.state !== 'over') this.enqueue(log, false);
  }

  enqueue(log: Log, schedules = true): void {
    if (!log.queued) this.#options.writer.enqueue(log, schedules);
  }

  flush(): void {
    this.#options.writer.flush();
  }

  reopen(log: Log): void {
    // What was kept is still on disk and can simply be continued; what was settled may be gone.
    if (log.state === 'over') {
      log.unrecoverable ||= log.body === undefined;
      this.#options.logs.invalidate(log);
    }
    log.settlePending = false;
    log.isSettled = false;
    log.state = 'live';
    log.waitingSinceMs = 0;
    this.waiting.delete(log);
  }

  discard(log: Log): void {
    this.finish(log);
  }

  releaseBody(log: Log): number | undefined {
    this.flush();
    const isWhole = log.opened && !log.queued && !log.needsRewrite && !log.unrecoverable;
    if (log.state !== 'live' || !isWhole) return undefined;
    log.releaseMemory();
    return log.offset;
  }

  async readBack(log: Log, bytes: number): Promise<readonly Piece[]> {
    const segments = log.extents.map(({ segment }) => segment);
    const { pieces } = await this.#options.reader.body(segments, log.number, bytes);
    return pieces;
  }
}

function noteEnd(log: Log, ending: Ending): void {
  // Of a log that is not whole on disk, only its memory knows how long the body is.
  const whole = log.needsRewrite ? log.body?.pieces : undefined;
  log.endsAt = whole === undefined ? log.offset + pendingBytes(log) : bytesOf(whole);
  log.endJson = endJson(ending);
  log.revision = ending.revision;
  log.endPending = true;
  log.plain = false;
  log.waitingSinceMs = performance.now();
}
