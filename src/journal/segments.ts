/**
 * The segments of the running process, oldest first: which is written now, who needs what of them, and when one may
 * go. A segment is deleted only after all older ones: a `settled` record stands behind the records it settles, so
 * as long as deletion goes from the front, no crash can bring a settled or discarded stream back.
 *
 * Emptying: when the records still needed in the oldest segments together are under a quarter of them, those are
 * written again at the head. So all sealed segments together never stay larger than four times what is needed. In a
 * journal that is full every quarter counts, one segment at a time.
 */
import type { Files } from './files.ts';
import type { Log } from './stream-log.ts';
import { segmentName, segmentPath } from './segment.ts';
import type { Extent, Segment } from './segment.ts';

/** Segments whose needed part is smaller than this are emptied; the second is for a full journal. */
const EMPTY_BELOW = 1 / 4;
const EMPTY_BELOW_WHEN_FULL = 3 / 4;

/** A segment is sealed when it is so full, so that one more batch does not take it over its size. */
const SEAL_AT = 7 / 8;

export interface Segments {
  /** The one being written; makes it when there is none. Throws what the disk throws. */
  current(): Segment<Log>;
  /** No more is written to the current one. */
  seal(): void;
  /** Bytes were added to the current segment; seals it when it is full. */
  grew(bytes: number): void;
  /** `log` has so many more bytes in `segment`. */
  charge(log: Log, segment: Segment<Log>, bytes: number): void;
  /**
   * Nobody needs these records of `log` any more (its `extents` are already what remains); `movedAt` is the write
   * that replaced them, 0 when none did.
   */
  release(log: Log, extents: readonly Extent<Log>[], movedAt: number): void;
  /** Deletes what nobody needs, from the front. `durable` is the last write that is on the disk. */
  sweep(durable: number): void;
  /** The oldest segments, when what they hold should be written again so that they can go. */
  wasteful(isFull: boolean): readonly Segment<Log>[];
  /** All of them, oldest first. */
  readonly all: readonly Segment<Log>[];
  /** Bytes of all of them. */
  readonly bytes: number;
  /** A segment was made since this was last asked. */
  tookNew(): boolean;
  /** Closes every file and forgets it; deletes it too when `remove`. */
  forget(remove: boolean): void;
}

export interface SegmentsOptions {
  readonly files: Files;
  /** Asked for each new file, because an owner can move. */
  readonly directory: () => string;
  readonly segmentBytes: number;
  readonly onError: (error: unknown) => void;
}

/** Keeps the segments of one directory. */
export function createSegments(options: SegmentsOptions): Segments {
  return new OwnSegments(options);
}

/** A class, because it is asked at every tick, and an accessor of an object literal is a slow one. */
class OwnSegments implements Segments {
  all: Segment<Log>[] = [];
  bytes = 0;
  readonly charge = charge;
  readonly release = release;
  readonly #options: SegmentsOptions;
  #open: Segment<Log> | undefined;
  #made = false;
  #lastNumber = 0;

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  current(): Segment<Log> {
    this.#open ??= this.#make();
    return this.#open;
  }

  seal(): void {
    this.#open = undefined;
  }

  grew(added: number): void {
    const open = this.#open;
    if (open === undefined) return;
    open.size += added;
    open.dirty = true;
    this.bytes += added;
    if (open.size >= this.#options.segmentBytes * SEAL_AT) this.#open = undefined;
  }

  sweep(durable: number): void {
    for (let first = this.all[0]; first !== undefined; first = this.all[0]) {
      if (first === this.#open || first.tenants.size > 0 || first.movedAt > durable) return;
      this.all.shift();
      this.bytes -= first.size;
      close(this.#options, first, true);
    }
  }

  wasteful(isFull: boolean): readonly Segment<Log>[] {
    return isFull ? wastefulFirst(this.all, this.#open) : wastefulRun(this.all, this.#open);
  }

  tookNew(): boolean {
    const made = this.#made;
    this.#made = false;
    return made;
  }

  forget(remove: boolean): void {
    for (const segment of this.all) close(this.#options, segment, remove);
    this.all = [];
    this.#open = undefined;
    this.bytes = 0;
  }

  #make(): Segment<Log> {
    const { files, directory } = this.#options;
    const name = segmentName(this.#lastNumber + 1);
    const path = segmentPath(directory(), name);
    const segment: Segment<Log> = {
      number: name.number,
      salt: name.salt,
      path,
      fd: files.create(path),
      size: 0,
      live: 0,
      tenants: new Set(),
      dirty: false,
      suspect: false,
      movedAt: 0,
    };
    this.#lastNumber = name.number;
    this.all.push(segment);
    this.#made = true;
    return segment;
  }
}

function close({ files, onError }: SegmentsOptions, segment: Segment<Log>, remove: boolean): void {
  try {
    files.close(segment.fd);
    if (remove) files.remove(segment.path);
  } catch (error) {
    onError(error);
  }
}

function charge(log: Log, segment: Segment<Log>, added: number): void {
  let extent = log.extents[log.extents.length - 1];
  if (extent?.segment !== segment) {
    extent = { segment, bytes: 0 };
    // Nearly always the only one; `push` and a spread would make room for sixteen more.
    log.extents = log.extents.concat(extent);
    segment.tenants.add(log);
  }
  extent.bytes += added;
  segment.live += added;
}

function release(log: Log, extents: readonly Extent<Log>[], movedAt: number): void {
  for (const { segment, bytes } of extents) {
    segment.live -= bytes;
    segment.movedAt = Math.max(segment.movedAt, movedAt);
  }
  for (const { segment } of extents) {
    if (!log.extents.some((still) => still.segment === segment)) segment.tenants.delete(log);
  }
}

/** The longest run of oldest segments that is mostly unneeded. */
function wastefulRun(
  all: readonly Segment<Log>[],
  open: Segment<Log> | undefined,
): readonly Segment<Log>[] {
  let size = 0;
  let live = 0;
  let run = 0;
  for (const [index, segment] of all.entries()) {
    if (segment === open) break;
    size += segment.size;
    live += segment.live;
    if (live < size * EMPTY_BELOW) run = index + 1;
  }
  return all.slice(0, run);
}

function wastefulFirst(
  all: readonly Segment<Log>[],
  open: Segment<Log> | undefined,
): readonly Segment<Log>[] {
  return all
    .slice(0, 1)
    .filter((first) => first !== open && first.live < first.size * EMPTY_BELOW_WHEN_FULL);
}
