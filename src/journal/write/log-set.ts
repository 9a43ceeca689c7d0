/**
 * The logs that have records on disk, and which of them are not complete there. A log that could not be written, or whose records
 * are no longer valid, *needs a rewrite*: its further pieces are not appended (there would be a gap before them); the whole log
 * is written again from memory as soon as writing works.
 */
import type { Segments } from './segments.ts';
import type { Log, Segment } from './stream-log.ts';

export class LogSet {
  /** Logs that have records on disk. */
  readonly onDisk = new Set<Log>();
  /** Logs that need a rewrite, without unrecoverable ones. */
  readonly needRewrite = new Set<Log>();
  readonly #segments: Segments;

  constructor(segments: Segments) {
    this.#segments = segments;
  }

  /** Its records cannot be relied on. */
  invalidate(log: Log): void {
    log.needsRewrite = true;
    // An unrecoverable log cannot be rewritten, so it does not count as incomplete, and the journal is not degraded because of it.
    if (!log.unrecoverable) this.needRewrite.add(log);
  }

  /** Discards its pending pieces, so that it needs a rewrite. */
  skip(log: Log): void {
    log.unrecoverable ||= log.body === undefined && !log.settlePending && log.state !== 'over';
    log.clearPending();
    this.invalidate(log);
  }

  /** Its records are complete again at the head. */
  markWhole(log: Log): void {
    log.needsRewrite = log.unrecoverable;
    this.needRewrite.delete(log);
  }

  /** Its records are no longer needed. */
  forget(log: Log): void {
    log.needsRewrite = false;
    this.needRewrite.delete(log);
    this.onDisk.delete(log);
    this.#segments.releaseAll(log);
  }

  /** Stops writing to this segment; all logs in it need a rewrite. */
  invalidateSegment(segment: Segment): void {
    if (this.#segments.all.at(-1) === segment) this.#segments.seal();
    segment.invalid = true;
    for (const log of segment.logs) this.invalidate(log);
  }

  /**
   * Another process has taken the directory over. Logs in memory will be written again to a new directory; the others are returned
   * and removed from this set.
   */
  abandon(): readonly Log[] {
    const gone: Log[] = [];
    for (const log of Array.from(this.onDisk)) {
      if (log.body === undefined) gone.push(log);
      this.forget(log);
      if (log.body !== undefined) this.invalidate(log);
    }
    return gone;
  }

  /** Leaves the files to the next process. A log that gets another piece is written again, to a new directory. */
  leave(): readonly Log[] {
    const gone = this.abandon();
    this.needRewrite.clear();
    return gone;
  }
}
