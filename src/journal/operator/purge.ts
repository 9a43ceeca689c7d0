/**
 * Erases messages from disk at the request of an operator, everywhere under a journal's path: takes over the directories of dead
 * processes, as a next start would; sends the request to living owners through their sockets; and erases from `refused/` and
 * `damaged/`.
 */
import { rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { holdProcess } from '../../core/clock.ts';
import { dropRefused } from '../aside/dead-letters.ts';
import { listDamaged } from '../aside/set-aside.ts';
import { eraseRecords, isMeantBy } from '../erase.ts';
import type { PurgeRequest } from '../erase.ts';
import { diskFiles } from '../fs.ts';
import type { DiskJournal } from '../journal.ts';
import { isDead } from '../lease/liveness.ts';
import { askOwner } from '../lease/requests.ts';
import type { PurgeCounts } from '../port.ts';
import { BodyReader } from '../read/reader.ts';
import { closeSegment, damagedSegment, openSegment } from '../read/segment-file.ts';
import { indexRecord } from '../read/stream-index.ts';
import type { IndexedStream, StreamIndex } from '../read/stream-index.ts';
import { instanceDirectories } from './inspect.ts';
import type { OnUnread } from './inspect.ts';

/** The result for the whole journal. */
export interface PurgeReport extends PurgeCounts {
  /** Segments that are still in `damaged/`: their damaged records cannot be read, and may contain text. */
  readonly damagedLeft: number;
}

/**
 * Purges the journal at `path`. `journal` is one that the caller opened there, for any store. Calls `onUnread` for each owner that
 * did not answer and each file that could not be read. Rejects with the error of the file system.
 */
export async function purgeEverywhere(
  path: string,
  request: PurgeRequest,
  { journal, onUnread }: { readonly journal: DiskJournal; readonly onUnread: OnUnread },
): Promise<PurgeReport> {
  await holdProcess(journal.takeDead(new AbortController().signal));
  const counts = { purged: 0, onTheWay: 0, unknown: 0 };
  const add = (more: Partial<PurgeCounts>): void => {
    counts.purged += more.purged ?? 0;
    counts.onTheWay += more.onTheWay ?? 0;
    counts.unknown += more.unknown ?? 0;
  };
  add(await journal.purge(request));
  for (const directory of instanceDirectories(path, onUnread)) {
    if (directory === journal.directory) continue;
    try {
      // A process that died since `takeDead` is reported: the operator repeats the purge.
      if (await holdProcess(isDead(directory))) throw new Error('its process has just ended');
      add(countsOf(await askOwner(directory, request)));
    } catch (error) {
      onUnread(directory, error);
    }
  }
  try {
    add({ purged: dropRefused(path, (info) => isRefusedMeant(request, info)) });
  } catch (error) {
    onUnread(join(path, 'refused'), error);
  }
  const damaged = await purgeDamaged(path, request, onUnread);
  add(damaged);
  return { ...counts, damagedLeft: damaged.left };
}

function isRefusedMeant(
  request: PurgeRequest,
  { conversationId, refusedAtMs }: { conversationId: string | null; refusedAtMs: number },
): boolean {
  return isMeantBy(request, { conversationId, startedAtMs: refusedAtMs });
}

/** The counts in an answer of an owner, which may run another version: a missing count is 0. */
function countsOf(answer: object): Partial<PurgeCounts> {
  const numberIn = (name: string): number => {
    const value: unknown = Reflect.get(answer, name);
    return typeof value === 'number' ? value : 0;
  };
  return {
    purged: numberIn('purged'),
    onTheWay: numberIn('onTheWay'),
    unknown: numberIn('unknown'),
  };
}

/** Deletes damaged segments older than `beforeMs`; in the others overwrites the readable records of the selected streams. */
async function purgeDamaged(
  path: string,
  request: PurgeRequest,
  onUnread: OnUnread,
): Promise<{ readonly purged: number; readonly left: number }> {
  let purged = 0;
  let left = 0;
  const all = await listDamaged(path).catch((error: unknown) => {
    onUnread(join(path, 'damaged'), error);
    return [];
  });
  for (const { file, writtenAtMs } of all) {
    try {
      if ('beforeMs' in request && writtenAtMs < request.beforeMs) {
        rmSync(file, { force: true });
        purged += 1;
        continue;
      }
      left += 1;
      purged += await purgeDamagedSegment(file, request);
    } catch (error) {
      onUnread(file, error);
    }
  }
  return { purged, left };
}

async function purgeDamagedSegment(path: string, request: PurgeRequest): Promise<number> {
  const file = damagedSegment(basename(path));
  if (file === undefined) throw new Error('its name is not one of ours');
  const index: StreamIndex = new Map();
  try {
    openSegment(dirname(path), file);
    await new BodyReader(diskFiles).scan(file, (record, bytes) =>
      indexRecord(index, file, record, bytes),
    );
  } finally {
    closeSegment(file);
  }
  const isMeant = (stream: IndexedStream | undefined): boolean =>
    stream !== undefined && isMeantBy(request, stream);
  await eraseRecords({ path, salt: file.salt }, (number) => isMeant(index.get(number)));
  return [...index.values()].filter(isMeant).length;
}
