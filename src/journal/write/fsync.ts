/**
 * Fsyncs in rounds. All requests that come while a round runs are served together by the next round.
 * A round does more than an fsync: it checks whether the directory is still ours, and deletes segments that no log needs. After a
 * failed fsync it invalidates the segment (the kernel has dropped the pages and reports that only once) and writes its streams again.
 */
import type { Files } from '../fs.ts';
import type { Lease } from '../lease/lease.ts';
import { HEADER_BYTES, hasMark } from '../record.ts';
import type { Batch } from './batch.ts';
import type { JournalHealth, Quota } from './degraded.ts';
import type { LogSet } from './log-set.ts';
import type { Rewriter } from './rewrite.ts';
import type { Segments } from './segments.ts';
import type { Log, Segment } from './stream-log.ts';
import type { LogWriter } from './writer.ts';

export interface SyncerOptions {
  readonly batch: Batch;
  readonly quota: Quota;
  readonly health: JournalHealth;
  readonly files: Files;
  readonly logs: LogSet;
  readonly segments: Segments;
  readonly writer: LogWriter;
  readonly rewriter: Rewriter;
  readonly lease: Lease;
  readonly fsyncMs: number;
  /** Another process deleted or truncated a segment; what is in memory or in the open file is written again. */
  readonly onDamaged: (path: string, how: 'deleted' | 'truncated') => void;
  readonly onError: (error: unknown) => void;
}

export class Syncer {
  readonly #options: SyncerOptions;
  /** Number of the last write that is fsynced. */
  #durable = 0;
  /** A file was created whose directory entry is not fsynced yet. */
  #newFiles = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: SyncerOptions) {
    this.#options = options;
  }

  /** Resolves after a round that begins after this call. Never rejects. */
  request(): Promise<void> {
    if (this.#running === undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#running = this.#round()
        .catch(this.#options.onError)
        .finally(() => {
          this.#running = undefined;
        });
      return this.#running;
    }
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.request();
    });
    return this.#next;
  }

  /** Schedules a round within `fsyncMs`, after a write. */
  soon(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => void this.request(), this.#options.fsyncMs);
    this.#timer.unref();
  }

  /** Deletes the segments that no log needs. */
  sweep(): void {
    this.#options.segments.sweep(this.#durable);
  }

  /** Whether everything of this log in the writes up to number `upTo` is fsynced, also where it was written again since. */
  has(log: Log, upTo: number): boolean {
    const isWhole = log.opened && !log.needsRewrite;
    return isWhole && Math.max(upTo, log.rewrittenAt) <= this.#durable;
  }

  /** Resolves when no round runs and none is requested. */
  async idle(): Promise<void> {
    for (;;) {
      const last = this.#next ?? this.#running;
      if (last === undefined) return;
      await last;
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #round(): Promise<void> {
    const { quota, health, rewriter, segments } = this.#options;
    if (!(await this.#syncOnce())) {
      await rewriter.rewriteInvalid();
      if (!(await this.#syncOnce())) {
        health.block('io-error');
        return;
      }
    }
    this.sweep();
    quota.review(0);
    await rewriter.compact(segments.compactable(health.over));
    if (!health.over) await rewriter.rewriteInvalid();
    health.review();
  }

  /** False when something that was written could not be fsynced or was lost. */
  async #syncOnce(): Promise<boolean> {
    const { batch, segments, writer, lease } = this.#options;
    writer.flush();
    const upTo = batch.writes;
    const dirty = segments.all.filter((segment) => segment.dirty);
    const done = await Promise.all([
      ...dirty.map((segment) => this.#syncSegment(segment)),
      this.#syncDirectory(),
    ]);
    // When the directory was lost, everything has to be written again to a new one.
    if (!(await lease.check())) return false;
    if (!this.#checkSegments(dirty)) return false;
    if (!done.every(Boolean)) return false;
    this.#durable = upTo;
    return true;
  }

  /** Invalidates segments that another process deleted or truncated. False when there is one. */
  #checkSegments(written: readonly Segment[]): boolean {
    const { files, segments, logs, onDamaged } = this.#options;
    let isWhole = true;
    for (const segment of segments.all) {
      if (segment.invalid || segment.size === 0) continue;
      const harm = harmTo(files, segment, written.includes(segment));
      if (harm === undefined) continue;
      isWhole = false;
      onDamaged(segment.path, harm);
      logs.invalidateSegment(segment);
    }
    return isWhole;
  }

  async #syncSegment(segment: Segment): Promise<boolean> {
    const { files, logs, onError } = this.#options;
    segment.dirty = false;
    try {
      await files.sync(segment.fd);
      return true;
    } catch (error) {
      onError(error);
      logs.invalidateSegment(segment);
      return false;
    }
  }

  async #syncDirectory(): Promise<boolean> {
    const { segments, lease, onError } = this.#options;
    this.#newFiles = segments.takeMade() || this.#newFiles;
    if (!this.#newFiles) return true;
    try {
      await lease.current?.sync();
      this.#newFiles = false;
      return true;
    } catch (error) {
      onError(error);
      return false;
    }
  }
}

/** How another process changed a segment. A write after a truncation leaves zeros before it, so the first record is checked too. */
function harmTo(
  files: Files,
  { fd, size }: Segment,
  wasWritten: boolean,
): 'deleted' | 'truncated' | undefined {
  const now = files.stat(fd);
  if (now.links === 0) return 'deleted';
  if (now.size < size) return 'truncated';
  return wasWritten && !beginsWithRecord(files, fd) ? 'truncated' : undefined;
}

function beginsWithRecord(files: Files, fd: number): boolean {
  const head = Buffer.alloc(HEADER_BYTES);
  return files.readNow(fd, head, 0) === HEADER_BYTES && hasMark(head, 0);
}
