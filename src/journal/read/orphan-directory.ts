/**
 * A directory of a dead process, taken over: which streams its segments hold, and which of them are settled by now.
 * Files go from the oldest on, each when nobody needs it and nobody has written to it since it was read: should its
 * owner be alive after all, nothing that it still says is lost.
 */
import { closeSync, fstatSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { removeIfEmpty } from '../lease/owner-directory.ts';
import { HEADER_BYTES, KIND, seal } from '../record.ts';
import { newSegmentName, parseSegmentName, segmentPath } from '../segment-name.ts';
import type { BodyReader, ReadBack } from './reader.ts';
import { indexRecord, isWanted } from './stream-index.ts';
import type { IndexedFile, IndexedStream, StreamIndex } from './stream-index.ts';

/** Files of ours are never larger; what lies behind this is not read. */
const MAX_FILE_BYTES = 2 ** 24 - 1;

export interface OrphanDirectoryOptions {
  readonly directory: string;
  readonly reader: BodyReader;
  readonly onError: (error: unknown) => void;
  /** Damaged places that were stepped over while reading. */
  readonly onCorrupt: (count: number) => void;
  /** A file was deleted. */
  readonly onFreed: () => void;
}

/** The unsettled streams of a directory, dead or alive. The files stay open. */
export async function readDirectory(
  directory: string,
  reader: BodyReader,
  onError: (error: unknown) => void,
): Promise<{ files: IndexedFile[]; streams: Set<IndexedStream>; damaged: number }> {
  const files = openFiles(directory, onError);
  const index: StreamIndex = new Map();
  let damaged = 0;
  for (const file of files) {
    damaged += await reader.scan(file, (record, bytes) => indexRecord(index, file, record, bytes));
  }
  return { files, streams: new Set([...index.values()].filter(isWanted)), damaged };
}

/** A segment behind the others of a directory that is not ours, in which settled streams are noted. */
export interface Settlements {
  readonly fd: number;
  readonly salt: number;
  readonly path: string;
  size: number;
}

/** Starts the segment of settlements of a directory that is not ours. */
export function openSettlements(directory: string): Settlements {
  const numbers = readdirSync(directory).map((name) => parseSegmentName(name)?.number ?? 0);
  const name = newSegmentName(Math.max(0, ...numbers) + 1);
  const path = segmentPath(directory, name);
  return { fd: openSync(path, 'wx', 0o600), salt: name.salt, path, size: 0 };
}

/** Adds one settlement. */
export function writeSettlement(to: Settlements, settled: IndexedStream): void {
  const record = Buffer.alloc(HEADER_BYTES + 4);
  record.writeInt32LE(settled.revision, HEADER_BYTES);
  const { number: stream, bodyEnd: offset } = settled;
  seal(record, 0, { kind: KIND.settled, stream, offset, payloadBytes: 4 }, to.salt);
  to.size += writeSync(to.fd, record, 0, record.length, to.size);
}

/** Reads what a taken directory holds. Files that cannot be opened are left where they are. */
export async function openOrphanDirectory(
  options: OrphanDirectoryOptions,
): Promise<OrphanDirectory> {
  const { directory, reader, onError, onCorrupt } = options;
  const { files, streams, damaged } = await readDirectory(directory, reader, onError);
  if (damaged > 0) onCorrupt(damaged);
  for (const stream of streams) for (const file of stream.files) file.needed++;
  const orphan = new OrphanDirectory(options, files, streams);
  if (streams.size === 0) orphan.sweep();
  return orphan;
}

export class OrphanDirectory {
  readonly directory: string;
  /** Streams that are not settled. */
  readonly streams: ReadonlySet<IndexedStream>;
  /** Of all its files. */
  bytes: number;
  readonly #options: OrphanDirectoryOptions;
  readonly #files: IndexedFile[];
  readonly #streams: Set<IndexedStream>;
  #settlements: Settlements | undefined;

  constructor(options: OrphanDirectoryOptions, files: IndexedFile[], streams: Set<IndexedStream>) {
    this.directory = options.directory;
    this.#options = options;
    this.#files = files;
    this.#streams = streams;
    this.streams = streams;
    this.bytes = files.reduce((sum, { size }) => sum + size, 0);
  }

  body(stream: IndexedStream): Promise<ReadBack> {
    return this.#options.reader.body(stream.files, stream.number);
  }

  /** Its message is where it belongs; nothing of it is needed here any more. */
  settle(stream: IndexedStream): void {
    if (!this.#streams.delete(stream)) return;
    for (const file of stream.files) file.needed--;
    // So that a second crash does not save everything again: an economy, hence no fsync.
    this.#attempt(() => {
      this.#settlements ??= openSettlements(this.directory);
      writeSettlement(this.#settlements, stream);
    });
    this.sweep();
  }

  /** Deletes the files that nobody needs, and the directory when it has none left. */
  sweep(): void {
    this.#attempt(() => this.#deleteUnneeded());
  }

  close(): void {
    for (const file of this.#files) this.#attempt(() => closeSync(file.fd));
    this.#files.length = 0;
    if (this.#settlements !== undefined) closeSync(this.#settlements.fd);
    this.#settlements = undefined;
  }

  #deleteUnneeded(): void {
    const files = this.#files;
    for (let first = files[0]; first !== undefined; first = files[0]) {
      const path = join(this.directory, first.name);
      if (first.needed > 0 || statSync(path).size !== first.size) return;
      rmSync(path);
      closeSync(first.fd);
      this.bytes -= first.size;
      files.shift();
      this.#options.onFreed();
    }
    if (this.#settlements !== undefined) {
      closeSync(this.#settlements.fd);
      rmSync(this.#settlements.path);
      this.#settlements = undefined;
    }
    removeIfEmpty(this.directory);
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

function openFiles(directory: string, onError: (error: unknown) => void): IndexedFile[] {
  const files: IndexedFile[] = [];
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
