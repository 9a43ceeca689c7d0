/**
 * Checks a journal record by record, for an operator who suspects a faulty disk: every checksum of every segment, and whether the
 * waiting bodies have gaps. Only reads, and never returns text of a message; works while an owner is alive.
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
  /** `live`: its process runs and may write to it. `left`: the next start reads it. `aside`: it is in `damaged/`. */
  readonly owner: 'live' | 'left' | 'aside';
  readonly bytes: number;
  /** Number of records with a correct checksum. */
  readonly records: number;
  /** Number of places that are not a record; a torn last record does not count. */
  readonly damaged: number;
  /** Its last record is half written, and it is the segment that was written last: this comes from the end of a process. */
  readonly isTorn: boolean;
}

/** What was found in a journal. */
export interface JournalCheck {
  readonly segments: readonly SegmentCheck[];
  /** Number of streams that are not settled. */
  readonly waiting: number;
  /** Number of these whose body has a gap, so that the rest after it is not read. */
  readonly withGap: number;
}

/**
 * Checks the journal at `path`. Calls `onUnread` for each directory and segment that exists and cannot be read. Rejects with the error
 * of the file system when `path` does not exist.
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

/** `undefined` for a file that was deleted meanwhile, and for one that cannot be read, which is reported. */
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
    // The scan does not count a torn end as damage in the segment that was written last.
    const isTorn = places > 0 && !file.isDamaged;
    return { path, owner, bytes: file.size, records, damaged: isTorn ? 0 : places, isTorn };
  } catch (error) {
    if (!isMissing(error)) onUnread(path, error);
    return undefined;
  } finally {
    closeSegment(file);
  }
}
