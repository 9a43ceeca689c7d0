/**
 * Lists and drops messages of a journal for an operator, also while an owner is alive. Listing only reads. No function returns the text
 * of a message.
 */
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { holdProcess } from '../../core/clock.ts';
import { isMissing } from '../../core/values.ts';
import { dropRefused } from '../aside/dead-letters.ts';
import { diskFiles } from '../fs.ts';
import { isDead, storeOf } from '../lease/liveness.ts';
import { INSTANCE_NAME } from '../lease/owner-directory.ts';
import { originalName, withTaken } from '../lease/takeover.ts';
import { checkDirectory, isOurDirectory } from '../ours.ts';
import { BodyReader } from '../read/reader.ts';
import { segmentPath } from '../segment-name.ts';
import { closeSegment, listSegments, openSegment } from '../read/segment-file.ts';
import { Settlements } from '../read/settlements.ts';
import { indexRecord, isPoisonous, isWanted, unnamedStream } from '../read/stream-index.ts';
import type { IndexedFile, IndexedStream, StreamIndex } from '../read/stream-index.ts';
import { eraseRecords } from '../erase.ts';

export { dropRefused, listRefused, refusedMessages } from '../aside/dead-letters.ts';
export type { RefusedInfo, RefusedMessage } from '../aside/dead-letters.ts';
export { listDamaged } from '../aside/set-aside.ts';

/** One stream that is in a journal and not settled. */
export interface JournalListing {
  readonly messageId: string;
  /** The directory it is in. */
  readonly instance: string;
  /** `live`: its process runs. `left`: the next start recovers it. */
  readonly owner: 'live' | 'left';
  /** `ended`: it waits for the store. `open`: it still runs, or its process died before it ended. */
  readonly state: 'open' | 'ended';
  /** Bytes of its body. */
  readonly bytes: number;
  /** Epoch milliseconds; 0 when its open record cannot be read. */
  readonly startedAtMs: number;
  /** Two processes died while they read it: it is not read any more. */
  readonly isPoisonous: boolean;
  /** The store that it is for; `undefined` when no record names one. */
  readonly store: string | undefined;
}

/** `in-use`: its process runs and will save it; stop that first. */
export type DropResult = 'dropped' | 'not-found' | 'in-use';

/** Called for a directory or a segment that exists and cannot be read, so that its content is missing from the result. */
export type OnUnread = (path: string, error: unknown) => void;

/** The unsettled streams in the journal at `path`, oldest first. Rejects with the error of the file system when `path` does not exist. */
export async function listJournal(
  path: string,
  onUnread: OnUnread,
): Promise<readonly JournalListing[]> {
  const listings: JournalListing[] = [];
  await eachStream(path, onUnread, (stream, { directory, alive }) => {
    listings.push({
      messageId: messageIdOf(stream, directory),
      instance: basename(directory),
      owner: alive ? 'live' : 'left',
      state: stream.end === undefined ? 'open' : 'ended',
      bytes: stream.bodyEnd,
      startedAtMs: stream.startedAtMs,
      isPoisonous: isPoisonous(stream),
      store: stream.store ?? storeOf(directory),
    });
  });
  return listings.sort((a, b) => a.startedAtMs - b.startedAtMs);
}

/** Drops a refused message, or a message of a dead process, and erases its text from disk. */
export async function dropEntry(
  path: string,
  messageId: string,
  onUnread: OnUnread,
): Promise<DropResult> {
  if (dropRefused(path, ({ id }) => id === messageId) > 0) return 'dropped';
  let result: DropResult = 'not-found';
  await eachStream(path, onUnread, async (stream, { directory, alive }) => {
    if (messageIdOf(stream, directory) !== messageId) return;
    result = alive ? 'in-use' : 'dropped';
    if (alive) return;
    const settlements = new Settlements(directory);
    try {
      settlements.add(stream);
    } finally {
      settlements.close();
    }
    for (const file of listSegments(directory)) {
      const segment = { path: segmentPath(directory, file), salt: file.salt };
      await eraseRecords(segment, (number) => number === stream.number);
    }
  });
  return result;
}

/** One directory, and whether its process runs. */
export interface Where {
  readonly directory: string;
  readonly alive: boolean;
}

async function eachStream(
  path: string,
  onUnread: OnUnread,
  visit: (stream: IndexedStream, where: Where) => void | Promise<void>,
): Promise<void> {
  const reader = new BodyReader(diskFiles);
  for (const where of await directories(path, onUnread)) {
    const index: StreamIndex = new Map();
    for (const file of listSegments(where.directory)) {
      await scanSegment(where.directory, file, { reader, index, onUnread });
    }
    for (const stream of index.values()) if (isWanted(stream)) await visit(stream, where);
  }
}

interface Scan {
  readonly reader: BodyReader;
  readonly index: StreamIndex;
  readonly onUnread: OnUnread;
}

/** Indexes one segment. A file that was deleted meanwhile is ignored: its streams were settled. Reports one that cannot be read. */
async function scanSegment(
  directory: string,
  file: IndexedFile,
  { reader, index, onUnread }: Scan,
): Promise<void> {
  try {
    openSegment(directory, file);
    await reader.scan(file, (record, bytes) => indexRecord(index, file, record, bytes));
  } catch (error) {
    if (!isMissing(error)) onUnread(segmentPath(directory, file), error);
  } finally {
    closeSegment(file);
  }
}

/** The instance directories under a journal's path that are ours. Throws the error of the file system. */
export function instanceDirectories(path: string, onUnread: OnUnread): readonly string[] {
  checkDirectory(path);
  return readdirSync(path)
    .filter((entry) => INSTANCE_NAME.test(entry))
    .map((name) => join(path, name))
    .filter((instance) => isOurDirectory(instance, (error) => onUnread(instance, error)));
}

/** Every instance directory, and the directories that were taken into it. */
export async function directories(path: string, onUnread: OnUnread): Promise<Where[]> {
  const all: Where[] = [];
  const instances = instanceDirectories(path, onUnread);
  // On the command line nothing else keeps the process alive during the check.
  const areDead = await holdProcess(Promise.all(instances.map((instance) => isDead(instance))));
  for (const [index, instance] of instances.entries()) {
    // It may have been removed meanwhile: its process ended, or another process took it over.
    if (!existsSync(instance)) continue;
    const alive = areDead[index] !== true;
    all.push(...withTaken(instance).map((directory) => ({ directory, alive })));
  }
  return all;
}

function messageIdOf(stream: IndexedStream, directory: string): string {
  return stream.open === undefined
    ? unnamedStream(stream, originalName(directory)).messageId
    : stream.messageId;
}
