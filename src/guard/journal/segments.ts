/**
 * The segments of the running process, oldest first: which is written now, who needs what of them, and when one may
 * go. A segment is deleted only after all older ones: a `settled` record stands behind the records it settles, so
 * as long as deletion goes from the front, no crash can bring a settled or discarded stream back.
 *
 * Emptying: when the records still needed in the oldest segments together are under a quarter of them, those are
 * written again at the head. So all sealed segments together never stay larger than four times what is needed.
 */
import { rmSync } from 'node:fs';
import type { Files } from './files.ts';
import type { Log } from './log.ts';
import { parseSegmentName, segmentName, segmentPath } from './segment.ts';
import type { Extent, Segment } from './segment.ts';

/** Segments whose needed part is smaller than this are emptied. */
const EMPTY_BELOW = 1 / 4;

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
  /** Logs to write again so that the oldest segments can go. */
  crowded(): readonly Log[];
  /** All of them, oldest first. */
  readonly all: readonly Segment<Log>[];
  /** Bytes of all of them. */
  readonly bytes: number;
  /** A segment was made since this was last asked. */
  tookNew(): boolean;
  /** Closes every file and forgets it; deletes it too when `remove`. */
  forget(remove: boolean): void;
}

/** Keeps the segments of one directory; `directory()` is asked for each new file, because an owner can move. */
export function createSegments(options: {
  readonly files: Files;
  readonly directory: () => string;
  readonly segmentBytes: number;
  readonly onError: (error: unknown) => void;
}): Segments {
  const { files, directory, segmentBytes, onError } = options;
  let all: Segment<Log>[] = [];
  let open: Segment<Log> | undefined;
  let bytes = 0;
  let made = false;
  let lastNumber = 0;

  const close = (segment: Segment<Log>, remove: boolean): void => {
    try {
      files.close(segment.fd);
      if (remove) files.remove(segment.path);
    } catch (error) {
      onError(error);
    }
  };
  const current = (): Segment<Log> => {
    if (open !== undefined) return open;
    const name = segmentName(lastNumber + 1);
    const path = segmentPath(directory(), name);
    const fd = files.create(path);
    lastNumber = name.number;
    open = { number: name.number, salt: name.salt, path, fd, ...fresh() };
    all.push(open);
    made = true;
    return open;
  };

  return {
    current,
    seal: () => (open = undefined),
    grew(added) {
      if (open === undefined) return;
      open.size += added;
      open.dirty = true;
      bytes += added;
      if (open.size >= segmentBytes * SEAL_AT) open = undefined;
    },
    charge(log, segment, added) {
      let extent = log.extents[log.extents.length - 1];
      if (extent?.segment !== segment) {
        extent = { segment, bytes: 0 };
        log.extents.push(extent);
        segment.tenants.add(log);
      }
      extent.bytes += added;
      segment.live += added;
    },
    release(log, extents, movedAt) {
      for (const { segment, bytes: released } of extents) {
        segment.live -= released;
        segment.movedAt = Math.max(segment.movedAt, movedAt);
      }
      for (const { segment } of extents) {
        if (!log.extents.some((still) => still.segment === segment)) segment.tenants.delete(log);
      }
    },
    sweep(durable) {
      for (let first = all[0]; first !== undefined; first = all[0]) {
        if (first === open || first.tenants.size > 0 || first.movedAt > durable) return;
        all.shift();
        bytes -= first.size;
        close(first, true);
      }
    },
    crowded: () => crowdedTenants(all, open),
    get all() {
      return all;
    },
    get bytes() {
      return bytes;
    },
    tookNew() {
      const was = made;
      made = false;
      return was;
    },
    forget(remove) {
      for (const segment of all) close(segment, remove);
      all = [];
      open = undefined;
      bytes = 0;
    },
  };
}

function fresh(): Pick<Segment<Log>, 'size' | 'live' | 'tenants' | 'dirty' | 'movedAt'> {
  return { size: 0, live: 0, tenants: new Set(), dirty: false, movedAt: 0 };
}

/** The tenants of the longest run of oldest segments that is mostly unneeded. */
function crowdedTenants(
  all: readonly Segment<Log>[],
  open: Segment<Log> | undefined,
): readonly Log[] {
  let size = 0;
  let live = 0;
  let run = 0;
  for (const [index, segment] of all.entries()) {
    if (segment === open) break;
    size += segment.size;
    live += segment.live;
    if (live < size * EMPTY_BELOW) run = index + 1;
  }
  return all.slice(0, run).flatMap((segment) => [...segment.tenants]);
}

/** Deletes the segments that a directory holds, whoever wrote them. */
export function removeSegments(directory: string, names: readonly string[]): void {
  for (const name of names) {
    const segment = parseSegmentName(name);
    if (segment !== undefined) rmSync(segmentPath(directory, segment), { force: true });
  }
}
