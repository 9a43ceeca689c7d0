/**
 * The segments of the running process, oldest first: which one is written, which logs need records in them, and when one may be
 * deleted. A segment is deleted only after all older ones: a `settled` record comes after the records that it settles, so
 * with deletion in this order no crash can bring a settled or discarded stream back.
 *
 * Compaction: when the records still needed in a run of oldest segments are under a quarter of its bytes, they are written again at the
 * head. So all sealed segments together never stay larger than four times what is needed. In a full journal the oldest segment alone
 * is compacted, when under three quarters of it are needed.
 */
import { isMissing } from '../../core/values.ts';
import type { Files } from '../fs.ts';
import { newSegmentName, segmentPath } from '../segment-name.ts';
import type { SetAside } from '../aside/set-aside.ts';
import type { Extent, Log, Segment } from './stream-log.ts';

/** Segments whose needed part is smaller than this are compacted; the second is for a full journal. */
const COMPACT_BELOW = 1 / 4;
const COMPACT_BELOW_WHEN_FULL = 3 / 4;

/** The share of its size at which a segment is sealed, so that one more batch does not exceed the size. */
const SEAL_AT = 7 / 8;

export interface SegmentsOptions {
  readonly files: Files;
  /** Called for each new file, because the directory changes when it was taken over. */
  readonly directory: () => string;
  readonly segmentBytes: number;
  readonly setAside: SetAside;
  /** Milliseconds without a write after which a segment that is not needed is sealed. */
  readonly quietMs: number;
  readonly onError: (error: unknown) => void;
}

/** The segments of one directory. */
export class Segments {
  /** All of them, oldest first. */
  all: Segment[] = [];
  /** Bytes of all of them. */
  bytes = 0;
  readonly #options: SegmentsOptions;
  #open: Segment | undefined;
  #made = false;
  #lastNumber = 0;
  /** Monotonic milliseconds of the last write. */
  #grewAtMs = 0;

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  /** The segment that is being written; creates it when there is none. Throws the error of the file system. */
  current(): Segment {
    this.#open ??= this.#make();
    return this.#open;
  }

  /** Ends writing to the current segment. */
  seal(): void {
    this.#open = undefined;
  }

  /** Seals the current segment when no log needs it and nothing was written for `quietMs`. False when it did not. */
  sealQuiet(): boolean {
    const isQuiet = performance.now() - this.#grewAtMs >= this.#options.quietMs;
    if (!isQuiet || this.#open === undefined || this.#open.logs.size > 0) return false;
    this.seal();
    return true;
  }

  /** Bytes were added to the current segment; seals it when it is full. */
  grew(added: number): void {
    const open = this.#open;
    if (open === undefined) return;
    open.size += added;
    open.dirty = true;
    this.bytes += added;
    this.#grewAtMs = performance.now();
    if (open.size >= this.#options.segmentBytes * SEAL_AT) this.#open = undefined;
  }

  /** Counts `added` more bytes of `log` in `segment`. */
  charge(log: Log, segment: Segment, added: number): void {
    let extent = log.extents[log.extents.length - 1];
    if (extent?.segment !== segment) {
      extent = { segment, bytes: 0 };
      // Nearly always the only element: `concat` allocates exactly one, `push` and a spread reserve sixteen more.
      log.extents = log.extents.concat(extent);
      segment.logs.add(log);
    }
    extent.bytes += added;
    segment.live += added;
  }

  /**
   * These records of `log` are not needed any more (`log.extents` is already what remains); `movedAt` is the number of the write that
   * replaced them, 0 when none did.
   */
  release(log: Log, extents: readonly Extent[], movedAt: number): void {
    for (const { segment, bytes } of extents) {
      segment.live -= bytes;
      segment.movedAt = Math.max(segment.movedAt, movedAt);
    }
    for (const { segment } of extents) {
      if (!log.extents.some((still) => still.segment === segment)) segment.logs.delete(log);
    }
  }

  /** No record of `log` is needed any more. */
  releaseAll(log: Log): void {
    const { extents } = log;
    log.extents = [];
    this.release(log, extents, 0);
  }

  /** Deletes the oldest segments that no log needs. `durable` is the number of the last write that is on the disk. */
  sweep(durable: number): void {
    for (let first = this.all[0]; first !== undefined; first = this.all[0]) {
      if (first === this.#open || first.logs.size > 0 || first.movedAt > durable) return;
      this.all.shift();
      this.bytes -= first.size;
      this.#close(first, true);
    }
  }

  /** The oldest segments whose needed records should be written again, so that the segments can be deleted. */
  compactable(isFull: boolean): readonly Segment[] {
    if (!isFull) return this.#longestUnneededRun();
    return this.all
      .slice(0, 1)
      .filter((first) => first !== this.#open && first.live < first.size * COMPACT_BELOW_WHEN_FULL);
  }

  /** Whether a segment was created since the last call. */
  takeMade(): boolean {
    const made = this.#made;
    this.#made = false;
    return made;
  }

  /** Closes every file and clears the list; with `remove` deletes the files too. */
  forget(remove: boolean): void {
    for (const segment of this.all) this.#close(segment, remove);
    this.all = [];
    this.#open = undefined;
    this.bytes = 0;
  }

  #make(): Segment {
    const { files, directory } = this.#options;
    const name = newSegmentName(this.#lastNumber + 1);
    const path = segmentPath(directory(), name);
    const segment: Segment = {
      number: name.number,
      salt: name.salt,
      path,
      fd: files.create(path),
      size: 0,
      live: 0,
      logs: new Set(),
      dirty: false,
      invalid: false,
      isDamaged: false,
      mayBeTorn: false,
      movedAt: 0,
    };
    this.#lastNumber = name.number;
    this.all.push(segment);
    this.#made = true;
    return segment;
  }

  #close(segment: Segment, remove: boolean): void {
    const { files, setAside, onError } = this.#options;
    try {
      files.close(segment.fd);
      if (remove && segment.isDamaged) setAside.add(segment.path);
      else if (remove) files.remove(segment.path);
    } catch (error) {
      // Another process deleted it.
      if (!isMissing(error)) onError(error);
    }
  }

  /** The longest run of oldest segments that is mostly unneeded. */
  #longestUnneededRun(): readonly Segment[] {
    let size = 0;
    let live = 0;
    let run = 0;
    for (const [index, segment] of this.all.entries()) {
      if (segment === this.#open) break;
      size += segment.size;
      live += segment.live;
      if (live < size * COMPACT_BELOW) run = index + 1;
    }
    return this.all.slice(0, run);
  }
}
