/**
 * The lifecycle of a log: opened with its stream, ended, kept when it is only on disk, settled when the store has it, and reopened when
 * its stream continues after that.
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

  /** Epoch milliseconds since which the oldest kept log waits; 0 when none waits. */
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
      // With `flushMs` above 0 the app accepts the loss of some milliseconds, so clients do not wait for the write.
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
    // Otherwise the body exists only in memory, where it stays until the log is written again.
    if (!log.needsRewrite && log.opened) log.releaseMemory();
  }

  /**
   * Its message is in the store or refused. Where the body is not in memory and the stream may continue, the records are kept on disk
   * until the stream is over.
   */
  settle(log: Log): void {
    const isContinued = !log.isClosed && log.body === undefined && !log.needsRewrite;
    if (log.state === 'over' || !isContinued) return this.finish(log);
    this.reopen(log);
    log.isSettled = true;
    // So that the next piece takes the slow path of `append`, which reopens the log.
    log.plain = false;
  }

  /** Its stream is over: no more pieces follow. */
  close(log: Log): void {
    log.isClosed = true;
    if (log.isSettled) this.finish(log);
  }

  /** Finishes logs whose message the store has, before the journal closes, so that the next process does not find them. */
  finishSettled(): void {
    for (const log of Array.from(this.#options.logs.onDisk)) if (log.isSettled) this.finish(log);
  }

  /** Its records are not needed any more: its message is in the store, refused or purged, or it has none. */
  finish(log: Log): void {
    const { logs } = this.#options;
    if (log.state === 'over') return;
    log.state = 'over';
    log.isSettled = false;
    log.clearPending();
    this.waiting.delete(log);
    const isOnDisk = logs.onDisk.has(log);
    // The records are released at once, so that a full disk can be freed; files are deleted only after a later write.
    logs.forget(log);
    if (!isOnDisk) return;
    log.settlePending = true;
    this.enqueue(log);
  }

  /** Puts a log that needs a rewrite on the writer's list. */
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
    // A kept log is still on disk and is appended to; the records of a settled one may be deleted, so it needs a rewrite.
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
  // `offset` of a log that is incomplete on disk is too small: the length is that of the body in memory.
  const whole = log.needsRewrite ? log.body?.pieces : undefined;
  log.endsAt = whole === undefined ? log.offset + pendingBytes(log) : bytesOf(whole);
  log.endJson = endJson(ending);
  log.revision = ending.revision;
  log.endPending = true;
  log.plain = false;
  log.waitingSinceMs = performance.now();
}
