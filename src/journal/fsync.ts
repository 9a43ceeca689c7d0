/**
 * Fsyncs in rounds. Whoever asks while a round runs is served by the next one, together with all who ask meanwhile.
 * A round is more than an fsync: it looks whether the directory is still ours, deletes what nobody needs, and after a
 * failed fsync gives up the segment (the kernel has dropped the pages and will not say so twice) and writes its
 * streams again.
 */
import type { Batch } from './batch.ts';
import type { Bound } from './quota.ts';
import type { Condition } from './degraded.ts';
import type { Files } from './files.ts';
import type { Home } from './lease/owner-directory.ts';
import type { Relocator } from './rewrite.ts';
import type { Segment } from './segment.ts';
import type { Segments } from './segments.ts';
import type { Log } from './stream-log.ts';
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

export interface SyncerOptions {
  readonly batch: Batch;
  readonly bound: Bound;
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
}

export function createSyncer(options: SyncerOptions): Syncer {
  const { segments, fsyncMs, onError } = options;
  const state: State = { durable: 0, newFiles: false };
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const request = (): Promise<void> => {
    if (running === undefined) {
      clearTimeout(timer);
      timer = undefined;
      running = round(options, state)
        .catch(onError)
        .finally(() => {
          running = undefined;
        });
      return running;
    }
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
    sweep: () => segments.sweep(state.durable),
    has: (log) => !log.stale && log.clean && log.opened && log.writtenAt <= state.durable,
    stop() {
      stopped = true;
      clearTimeout(timer);
      timer = undefined;
    },
  };
}

interface State {
  /** The last write that is on the disk. */
  durable: number;
  /** A file was made whose name may not be on the disk yet. */
  newFiles: boolean;
}

async function round(options: SyncerOptions, state: State): Promise<void> {
  const { bound, condition, relocator, segments } = options;
  if (!(await syncOnce(options, state))) {
    await restore(options);
    if (!(await syncOnce(options, state))) {
      condition.block('io-error');
      return;
    }
  }
  segments.sweep(state.durable);
  bound.review(0);
  await relocator.empty(segments.wasteful(condition.over));
  if (!condition.over) await restore(options);
  condition.review();
}

/** From memory what memory has; the rest of what is not trusted is read back from where it is. */
async function restore({ relocator, segments, writer }: SyncerOptions): Promise<void> {
  if (writer.stale.size === 0) return;
  await relocator.rewrite([...writer.stale]);
  await relocator.empty(segments.all.filter(({ suspect }) => suspect));
}

/** False when something that was written is not on the disk now. */
async function syncOnce(options: SyncerOptions, state: State): Promise<boolean> {
  const { batch, segments, writer, home } = options;
  writer.flush();
  const upTo = batch.writes;
  const dirty = segments.all.filter((segment) => segment.dirty);
  const done = await Promise.all([
    ...dirty.map((segment) => syncSegment(options, segment)),
    syncDirectory(options, state),
  ]);
  const isMine = await home()?.isMine();
  if (isMine === false) {
    options.onTakenOver();
    return false;
  }
  if (!done.every(Boolean)) return false;
  state.durable = upTo;
  return true;
}

async function syncSegment(options: SyncerOptions, segment: Segment<Log>): Promise<boolean> {
  segment.dirty = false;
  try {
    await options.files.sync(segment.fd);
    return true;
  } catch (error) {
    options.onError(error);
    giveUp(segment, options.segments, options.writer);
    return false;
  }
}

async function syncDirectory(options: SyncerOptions, state: State): Promise<boolean> {
  state.newFiles = options.segments.tookNew() || state.newFiles;
  if (!state.newFiles) return true;
  try {
    await options.home()?.sync();
    state.newFiles = false;
    return true;
  } catch (error) {
    options.onError(error);
    return false;
  }
}

/** Nothing more is written to this segment, and nothing in it is relied on. */
export function giveUp(segment: Segment<Log>, segments: Segments, writer: Writer): void {
  if (segments.all.at(-1) === segment) segments.seal();
  segment.suspect = true;
  for (const log of segment.tenants) writer.distrust(log);
}
