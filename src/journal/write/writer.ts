/**
 * Writes the pending records of logs. Every log with a new piece is on one list. The first log of a tick or turn schedules a flush for
 * its end; the flush encodes all logs and writes once, before any socket is uncorked.
 */
import type { Batch } from './batch.ts';
import type { JournalHealth, Quota } from './degraded.ts';
import { putPending, putSettled } from './encode.ts';
import type { LogSet } from './log-set.ts';
import type { Rewriter } from './rewrite.ts';
import type { Segments } from './segments.ts';
import type { Log } from './stream-log.ts';

/** The most bytes that one tick rewrites of logs that need it; the other logs are rewritten by a later tick. */
const REWRITE_BYTES_PER_TICK = 1024 * 1024;

export interface LogWriterOptions {
  readonly batch: Batch;
  readonly segments: Segments;
  readonly health: JournalHealth;
  readonly quota: Quota;
  readonly logs: LogSet;
  readonly rewriter: Rewriter;
  /** 0: at the end of this tick. */
  readonly flushMs: number;
  /** After a flush that wrote. */
  readonly onWrite: (seconds: number) => void;
  readonly onError: (error: unknown) => void;
}

export class LogWriter {
  readonly #options: LogWriterOptions;
  #pending: Log[] = [];
  #scheduled = false;
  #flushing = false;

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Puts a log on the list, and schedules the flush unless the caller does that. */
  enqueue(log: Log, schedules = true): void {
    log.queued = true;
    this.#pending.push(log);
    if (this.#scheduled || !schedules) return;
    this.#scheduled = true;
    const { flushMs } = this.#options;
    if (flushMs === 0) process.nextTick(this.flush);
    else setTimeout(this.flush, flushMs).unref();
  }

  /** Writes everything on the list now. */
  readonly flush = (): void => {
    if (this.#flushing) return;
    this.#scheduled = false;
    if (this.#pending.length === 0) return;
    this.#flushing = true;
    const logs = this.#pending;
    this.#pending = [];
    for (const log of logs) log.queued = false;
    try {
      this.#writeAll(logs);
    } catch (error) {
      // `#writeAll` must not throw; if it does, the streams are written again from memory.
      for (const log of logs) this.#options.logs.skip(log);
      this.#options.onError(error);
    }
    this.#flushing = false;
  };

  #writeAll(logs: readonly Log[]): void {
    const { batch, health, quota, onWrite, logs: set } = this.#options;
    quota.review(mostBytes(logs));
    if (health.blocked || quota.isReached()) for (const log of logs) set.skip(log);
    else this.#rewriteSome(this.#encodeAll(logs));
    const spentMs = batch.takeSpentMs();
    if (spentMs > 0) onWrite(spentMs / 1000);
  }

  /** Returns the logs that need a rewrite instead. */
  #encodeAll(logs: readonly Log[]): readonly Log[] {
    const { batch, logs: set } = this.#options;
    let whole: Log[] = NONE;
    let safe = 0;
    let index = -1;
    let { writes } = batch;
    for (const log of logs) {
      index++;
      if (!this.#encode(log)) (whole = whole === NONE ? [] : whole).push(log);
      if (batch.writes === writes) continue;
      // Logs before this one are written; of this log possibly only a part.
      ({ writes } = batch);
      safe = index;
    }
    if (!batch.finish()) for (const log of logs.slice(safe)) set.skip(log);
    return whole;
  }

  /** Adds the pending records of one log to the batch; false when the log needs a rewrite instead. */
  #encode(log: Log): boolean {
    const { batch, health, logs } = this.#options;
    if (log.settlePending) this.#settle(log);
    if (log.state === 'over') return true;
    if (log.unrecoverable) {
      log.clearPending();
      return true;
    }
    // Where the body is not in memory, only the pending records can be written.
    if (log.needsRewrite && log.body !== undefined) return false;
    if (health.over && (log.text !== '' || log.parts !== undefined || !log.opened)) {
      logs.skip(log);
      return true;
    }
    if (!log.opened) logs.onDisk.add(log);
    putPending(batch, log);
    log.writtenAt = batch.writes + 1;
    return true;
  }

  #settle(log: Log): void {
    log.settlePending = false;
    putSettled(this.#options.batch, log);
    // No log needs the settlement itself: it is deleted with its segment.
    this.#options.segments.releaseAll(log);
  }

  #rewriteSome(logs: readonly Log[]): void {
    const { health, rewriter } = this.#options;
    let budget = REWRITE_BYTES_PER_TICK;
    for (const log of logs) {
      if (budget > 0 && !health.over && rewriter.rewriteStream(log)) budget -= log.offset;
      else log.clearPending();
    }
  }
}

/** The most bytes that the pending pieces can have: three bytes of UTF-8 for each unit. */
function mostBytes(logs: readonly Log[]): number {
  let units = 0;
  for (const { text, parts } of logs) {
    units += text.length;
    if (parts !== undefined) for (const part of parts) units += part.length;
  }
  return units * 3;
}

const NONE: Log[] = [];
