/**
 * Fsyncs in rounds. All requests that come while a round runs are served together by the next round.
 * A round is more than an fsync: it looks whether the directory is still ours, deletes what nobody needs, and after a
 * failed fsync gives up the segment (the kernel has dropped the pages and will not say so twice) and writes its
 * streams again.
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
  /** Somebody deleted or truncated a segment; what memory or the open file has of it is written again. */
  readonly onDamaged: (path: string, how: 'deleted' | 'truncated') => void;
  readonly onError: (error: unknown) => void;
}

export class Syncer {
  readonly #options: SyncerOptions;
  /** The last write that is on the disk. */
  #durable = 0;
  /** A file was made whose name may not be on the disk yet. */
  #newFiles = false;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: SyncerOptions) {
    this.#options = options;
  }

  /** Resolves after a round that began after this call. Never rejects. */
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

  /** Something was written: a round is due within `fsyncMs`. */
  soon(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => void this.request(), this.#options.fsyncMs);
    this.#timer.unref();
  }

  /** Deletes the segments that no log needs. */
  sweep(): void {
    this.#options.segments.sweep(this.#durable);
  }

  /** True when what the writes up to number `upTo` held of this log is on the disk, also where it was written again since. */
  has(log: Log, upTo: number): boolean {
    const isWhole = log.opened && !log.needsRewrite;
    return isWhole && Math.max(upTo, log.rewrittenAt) <= this.#durable;
  }

  /** Resolves when no round runs, and none was asked for. */
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

  /** False when something that was written is not on the disk now. */
  async #syncOnce(): Promise<boolean> {
    const { batch, segments, writer, lease } = this.#options;
    writer.flush();
    const upTo = batch.writes;
    const dirty = segments.all.filter((segment) => segment.dirty);
    const done = await Promise.all([
      ...dirty.map((segment) => this.#syncSegment(segment)),
      this.#syncDirectory(),
    ]);
    // Where it was lost, everything has to be written again elsewhere.
    if (!(await lease.check())) return false;
    if (!this.#checkSegments(dirty)) return false;
    if (!done.every(Boolean)) return false;
    this.#durable = upTo;
    return true;
  }

  /** Looks for segments that somebody deleted or truncated. False when there is one. */
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

/** How another process changed a segment. A write behind a truncated end leaves zeros before it. */
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
