/**
 * Fsyncs in rounds. Whoever asks while a round runs is served by the next one, together with all who ask meanwhile.
 * A round is more than an fsync: it looks whether the directory is still ours, deletes what nobody needs, and after a
 * failed fsync gives up the segment (the kernel has dropped the pages and will not say so twice) and writes its
 * streams again.
 */
import type { Batch } from './batch.ts';
import type { Condition } from './condition.ts';
import { troubleOf } from './condition.ts';
import type { Files } from './files.ts';
import type { Home } from './home.ts';
import type { Relocator } from './relocate.ts';
import type { Segment } from './segment.ts';
import type { Segments } from './segments.ts';
import type { Log } from './log.ts';
import type { Writer } from './writer.ts';

export interface Syncer {
  /** Resolves after a round that began after this call. Never rejects. */
  request(): Promise<void>;
  /** Something was written: a round is due within `fsyncMs`. */
  soon(): void;
  /** Deletes what nobody needs. */
  sweep(): void;
  /** True when everything written of this log is on the disk. */
  has(log: Log): boolean;
  stop(): void;
}

export function createSyncer(options: {
  readonly batch: Batch;
  readonly condition: Condition;
  readonly files: Files;
  readonly segments: Segments;
  readonly writer: Writer;
  readonly relocator: Relocator;
  readonly home: () => Home | undefined;
  /** The directory was taken over: everything has to be written again elsewhere. */
  readonly onTakenOver: () => void;
  readonly fsyncMs: number;
  readonly onError: (error: unknown) => void;
}): Syncer {
  const { batch, condition, files, segments, writer, relocator, home, fsyncMs, onError } = options;
  let durable = 0;
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let newFiles = false;

  const syncSegment = async (segment: Segment<Log>): Promise<boolean> => {
    segment.dirty = false;
    try {
      await files.sync(segment.fd);
      return true;
    } catch (error) {
      onError(error);
      giveUp(segment, segments, writer);
      return false;
    }
  };
  const syncDirectory = async (): Promise<boolean> => {
    newFiles = segments.tookNew() || newFiles;
    if (!newFiles) return true;
    try {
      await home()?.sync();
      newFiles = false;
      return true;
    } catch (error) {
      onError(error);
      return false;
    }
  };
  const syncOnce = async (): Promise<boolean> => {
    writer.flush();
    const upTo = batch.writes;
    const dirty = segments.all.filter((segment) => segment.dirty);
    const done = await Promise.all([...dirty.map(syncSegment), syncDirectory()]);
    if (home()?.isMine() === false) {
      options.onTakenOver();
      return false;
    }
    if (!done.every(Boolean)) return false;
    durable = upTo;
    return true;
  };
  const round = async (): Promise<void> => {
    if (!(await syncOnce())) {
      await relocator.move(writer.stale);
      if (!(await syncOnce())) {
        condition.block(troubleOf(undefined));
        return;
      }
    }
    segments.sweep(durable);
    writer.reviewBound();
    await relocator.move(segments.crowded());
    if (!condition.blocked && !condition.over) await relocator.move(writer.stale);
    condition.review();
  };
  const start = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    running = round()
      .catch(onError)
      .finally(() => {
        running = undefined;
      });
    return running;
  };

  const request = (): Promise<void> => {
    if (running === undefined) return start();
    next ??= running.then(() => {
      next = undefined;
      return request();
    });
    return next;
  };
  return {
    request,
    soon() {
      if (timer !== undefined || stopped) return;
      timer = setTimeout(() => void request(), fsyncMs);
      timer.unref();
    },
    sweep: () => segments.sweep(durable),
    has: (log) => !log.stale && log.clean && log.opened && log.writtenAt <= durable,
    stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

/** Nothing more is written to this segment, and nothing in it is relied on. */
export function giveUp(segment: Segment<Log>, segments: Segments, writer: Writer): void {
  if (segments.all.at(-1) === segment) segments.seal();
  for (const log of segment.tenants) writer.distrust(log);
}
