/**
 * A directory of a dead process, taken over: which streams its segments hold, and which of them are settled by now.
 * Files go from the oldest on, each when nobody needs it and nobody has written to it since it was read: should its
 * owner be alive after all, nothing that it still says is lost.
 */
import { closeSync, fstatSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isWanted, note } from './stream-index.ts';
import type { Found, FoundFile, FoundStreams } from './stream-index.ts';
import { removeIfEmpty } from '../lease/owner-directory.ts';
import type { Reader, ReadBack } from './reader.ts';
import { HEADER_BYTES, KIND, seal } from '../record.ts';
import { parseSegmentName, segmentName, segmentPath } from '../segment.ts';

export interface Taken {
  readonly directory: string;
  /** Streams that are not settled. */
  readonly found: ReadonlySet<Found>;
  readonly bytes: number;
  body(found: Found): Promise<ReadBack>;
  /** Its message is where it belongs; nothing of it is needed here any more. */
  settle(found: Found): void;
  /** The directory is gone: there is nothing left to do. */
  readonly finished: boolean;
  close(): void;
}

/** Files of ours are never larger; what lies behind this is not read. */
const MAX_FILE_BYTES = 2 ** 24 - 1;

export interface TakenOptions {
  readonly directory: string;
  readonly reader: Reader;
  readonly onError: (error: unknown) => void;
  /** Damaged places that were stepped over while reading. */
  readonly onCorrupt: (count: number) => void;
  /** A file was deleted. */
  readonly onFreed: () => void;
}

/** Reads what a taken directory holds. Files that cannot be opened are left where they are. */
export async function openTaken(options: TakenOptions): Promise<Taken> {
  const { directory, reader, onError, onCorrupt } = options;
  const { files, found, damaged } = await readDirectory(directory, reader, onError);
  if (damaged > 0) onCorrupt(damaged);
  for (const stream of found) for (const file of stream.files) file.needed++;
  const taken = manage(options, files, found);
  if (found.size === 0) taken.sweep();
  return taken;
}

/** The unsettled streams of a directory, dead or alive. The files stay open. */
export async function readDirectory(
  directory: string,
  reader: Reader,
  onError: (error: unknown) => void,
): Promise<{ files: FoundFile[]; found: Set<Found>; damaged: number }> {
  const files = openFiles(directory, onError);
  const streams: FoundStreams = new Map();
  let damaged = 0;
  for (const file of files) {
    damaged += await reader.scan(file, (record, bytes) => note(streams, file, record, bytes));
  }
  return { files, found: new Set([...streams.values()].filter(isWanted)), damaged };
}

/**
 * Notes that a stream is settled, in a segment of its own behind the others. Returns its file's name and what is
 * needed to go on writing there.
 */
export interface Settlements {
  readonly fd: number;
  readonly salt: number;
  readonly path: string;
  size: number;
}

/** Starts the segment of settlements of a directory that is not ours. */
export function openSettlements(directory: string): Settlements {
  const numbers = readdirSync(directory).map((name) => parseSegmentName(name)?.number ?? 0);
  const name = segmentName(Math.max(0, ...numbers) + 1);
  const path = segmentPath(directory, name);
  return { fd: openSync(path, 'wx', 0o600), salt: name.salt, path, size: 0 };
}

/** Adds one settlement. */
export function writeSettlement(to: Settlements, found: Found): void {
  const record = Buffer.alloc(HEADER_BYTES + 4);
  record.writeInt32LE(found.revision, HEADER_BYTES);
  const { number: stream, bodyEnd: offset } = found;
  seal(record, 0, { kind: KIND.settled, stream, offset, payloadBytes: 4 }, to.salt);
  to.size += writeSync(to.fd, record, 0, record.length, to.size);
}

function manage(
  { directory, reader, onError, onFreed }: TakenOptions,
  files: FoundFile[],
  found: Set<Found>,
): Taken & { sweep(): void } {
  let bytes = files.reduce((sum, { size }) => sum + size, 0);
  let finished = false;
  let settlements: Settlements | undefined;

  const attempt = (work: () => void): void => guarded(work, onError);
  const finish = (): void => {
    if (settlements !== undefined) {
      closeSync(settlements.fd);
      rmSync(settlements.path);
      settlements = undefined;
    }
    removeIfEmpty(directory);
    finished = true;
  };
  const sweep = (): void => {
    for (let first = files[0]; first !== undefined; first = files[0]) {
      const path = join(directory, first.name);
      if (first.needed > 0 || statSync(path).size !== first.size) return;
      rmSync(path);
      closeSync(first.fd);
      bytes -= first.size;
      files.shift();
      onFreed();
    }
    finish();
  };

  return {
    directory,
    found,
    get bytes() {
      return bytes;
    },
    get finished() {
      return finished;
    },
    body: (stream) => reader.body(stream.files, stream.number),
    sweep: () => attempt(sweep),
    settle(stream) {
      if (!found.delete(stream)) return;
      for (const file of stream.files) file.needed--;
      // So that a second crash does not save everything again: an economy, hence no fsync.
      attempt(() => writeSettlement((settlements ??= openSettlements(directory)), stream));
      attempt(sweep);
    },
    close() {
      for (const file of files) attempt(() => closeSync(file.fd));
      files.length = 0;
      if (settlements !== undefined) closeSync(settlements.fd);
      settlements = undefined;
    },
  };
}

function guarded(work: () => void, onError: (error: unknown) => void): void {
  try {
    work();
  } catch (error) {
    onError(error);
  }
}

function openFiles(directory: string, onError: (error: unknown) => void): FoundFile[] {
  const files: FoundFile[] = [];
  for (const entry of readdirSync(directory)) {
    const name = parseSegmentName(entry);
    if (name === undefined) continue;
    try {
      const fd = openSync(segmentPath(directory, name), 'r');
      const size = Math.min(fstatSync(fd).size, MAX_FILE_BYTES);
      files.push({ ...name, fd, size, needed: 0 });
    } catch (error) {
      onError(error);
    }
  }
  return files.sort((a, b) => a.number - b.number);
}
