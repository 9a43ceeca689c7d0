/**
 * A journal checked record by record, for an operator who has doubts about a disk: every checksum of every segment, and
 * whether the bodies that wait are without a gap. Reads only, and never hands out a text; works while an owner is alive.
 */
import { basename, dirname, join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { listDamaged } from '../aside/set-aside.ts';
import { diskFiles } from '../fs.ts';
import { BodyReader } from '../read/reader.ts';
import { closeSegment, damagedSegment, listSegments, openSegment } from '../read/segment-file.ts';
import { indexRecord, isWanted } from '../read/stream-index.ts';
import type { IndexedFile, StreamIndex } from '../read/stream-index.ts';
import { directories, type OnUnread } from './inspect.ts';

/** What was found in one segment. */
export interface SegmentCheck {
  readonly path: string;
  /** `live`: its process runs and may write to it. `left`: the next start reads it. `aside`: it stands in `damaged/`. */
  readonly owner: 'live' | 'left' | 'aside';
  readonly bytes: number;
  /** Records whose checksum holds. */
  readonly records: number;
  /** Places that are no record, one that is only torn not among them. */
  readonly damaged: number;
  /** Its last record is half written, in the segment that was written last: what the end of a process leaves. */
  readonly isTorn: boolean;
}

/** What was found in a journal. */
export interface JournalCheck {
  readonly segments: readonly SegmentCheck[];
  /** Streams that are not settled. */
  readonly waiting: number;
  /** Of these, those whose body has a gap, so that not all of it can be read back. */
  readonly withGap: number;
}

/**
 * Checks the journal at `path`. `onUnread` is told each directory and segment that is there and cannot be read. Throws
 * what the disk throws when the journal is not there.
 */
export async function verifyJournal(path: string, onUnread: OnUnread): Promise<JournalCheck> {
  const segments: SegmentCheck[] = [];
  let waiting = 0;
  let withGap = 0;
  for (const { directory, alive } of await directories(path, onUnread)) {
    const owner = alive ? 'live' : 'left';
    const index: StreamIndex = new Map();
    for (const file of listSegments(directory)) {
      const check = await checkSegment(directory, file, { index, owner, onUnread });
      if (check !== undefined) segments.push(check);
    }
    for (const stream of index.values()) {
      if (!isWanted(stream)) continue;
      waiting += 1;
      if (stream.covered < Math.max(stream.bodyEnd, stream.endOffset)) withGap += 1;
    }
  }
  for (const { file } of await listDamaged(path)) {
    const segment = damagedSegment(basename(file));
    if (segment === undefined) continue;
    const task: CheckTask = { index: new Map(), owner: 'aside', onUnread };
    const check = await checkSegment(dirname(file), segment, task);
    if (check !== undefined) segments.push(check);
  }
  return { segments, waiting, withGap };
}

interface CheckTask {
  readonly index: StreamIndex;
  readonly owner: SegmentCheck['owner'];
  readonly onUnread: OnUnread;
}

/** `undefined` for a file that went while we looked, and for one that cannot be read, which is told. */
async function checkSegment(
  directory: string,
  file: IndexedFile,
  { index, owner, onUnread }: CheckTask,
): Promise<SegmentCheck | undefined> {
  const path = join(directory, file.name);
  let records = 0;
  try {
    openSegment(directory, file);
    const places = await new BodyReader(diskFiles).scan(file, (record, bytes) => {
      records += 1;
      indexRecord(index, file, record, bytes);
    });
    // The scan forgives a torn end where there may be one.
    const isTorn = places > 0 && !file.isDamaged;
    return { path, owner, bytes: file.size, records, damaged: isTorn ? 0 : places, isTorn };
  } catch (error) {
    if (!isMissing(error)) onUnread(path, error);
    return undefined;
  } finally {
    closeSegment(file);
  }
}
