/** Finds, opens and closes the segments that another process wrote. */
import { closeSync, fstatSync, readdirSync } from 'node:fs';
import { openOurs } from '../ours.ts';
import { parseSegmentName, segmentPath } from '../segment-name.ts';
import type { SegmentName } from '../segment-name.ts';
import type { IndexedFile } from './stream-index.ts';

/** Our files are never larger; bytes after this offset are not read. */
export const MAX_FILE_BYTES = 2 ** 24 - 1;

/** The segments of a directory, oldest first, none of them open. Throws the error of the file system. */
export function listSegments(directory: string): IndexedFile[] {
  const names = readdirSync(directory)
    .map(parseSegmentName)
    .filter((name) => name !== undefined)
    .sort((a, b) => a.number - b.number);
  // Only the segment written last can have a torn record from the end of its process.
  return names.map((name, index) => indexedFile(name, index === names.length - 1));
}

/** A segment in `damaged/`: its name begins with that of its directory. `undefined` for any other file. */
export function damagedSegment(name: string): IndexedFile | undefined {
  const [own = ''] = /\d+-[0-9a-f]+\.\w+$/.exec(name) ?? [];
  const parsed = parseSegmentName(own);
  return parsed && indexedFile({ ...parsed, name }, true);
}

function indexedFile(name: SegmentName, mayBeTorn: boolean): IndexedFile {
  return {
    ...name,
    fd: -1,
    size: 0,
    statSize: 0,
    needed: 0,
    failures: 0,
    isRead: false,
    isDamaged: false,
    mayBeTorn,
  };
}

/** Opens a segment unless it is open. Throws the error of the file system, and `NotOursError`. */
export function openSegment(directory: string, file: IndexedFile): void {
  if (file.fd !== -1) return;
  const fd = openOurs(segmentPath(directory, file));
  file.fd = fd;
  file.statSize = fstatSync(fd).size;
  file.size = Math.min(file.statSize, MAX_FILE_BYTES);
}

/** Closes a segment if it is open. */
export function closeSegment(file: IndexedFile): void {
  if (file.fd === -1) return;
  const { fd } = file;
  file.fd = -1;
  closeSync(fd);
}
