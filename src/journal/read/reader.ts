/**
 * Reads bodies from segments, for messages that are no longer in memory. A file is scanned once into an index of eight bytes for each
 * record; a body is then read record by record, wherever its pieces are. Only a few indexes are kept, so reading a journal of a
 * gigabyte needs some megabytes of memory.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Files } from '../fs.ts';
import { HEADER_BYTES, KIND, recordAt, scan } from '../record.ts';
import type { FoundRecord } from '../record.ts';
import type { Piece } from '../../core/save-port.ts';

/** A file of records: `size` may grow. */
export interface RecordFile {
  readonly fd: number;
  readonly salt: number;
  readonly size: number;
  /** Set when a record in it is found damaged. */
  isDamaged: boolean;
  /** A half-written record at its end does not count as damage. */
  readonly mayBeTorn: boolean;
}

/** A body up to the first gap. */
export interface ReadBack {
  readonly pieces: readonly Piece[];
  readonly bytes: number;
}

/** How many indexes are kept. The largest is of about 160 000 records of 50 bytes in 8 MiB, so it has 1.3 MB. */
const INDEXES = 16;

/** A key of the index is `stream * POSITIONS + position`, which is an exact double for 2^29 streams. */
const POSITIONS = 2 ** 24;

/** Bytes that are scanned before the event loop is yielded. */
const STRETCH_BYTES = 512 * 1024;

/** Bytes in one read: the records of a body are often near each other. */
const WINDOW_BYTES = 2 * 1024;
/** Reads before the event loop is yielded. */
const WINDOWS_PER_TURN = 256;
const NOTHING = Buffer.alloc(0);

interface PieceIndex {
  keys: Float64Array;
  scannedTo: number;
}

/** Reads bodies, and caches the indexes of the most recently used files. */
export class BodyReader {
  readonly #files: Files;
  readonly #indexes = new Map<RecordFile, PieceIndex>();

  constructor(files: Files) {
    this.#files = files;
  }

  /** The payload of the record at `position`, as text; `undefined` when it is damaged. Throws the error of the file system. */
  text(file: RecordFile, position: number): string | undefined {
    const space = Buffer.allocUnsafe(WINDOW_BYTES);
    const { bytes } = readWindow(this.#files, file, position, space);
    const found = recordAt(bytes, 0, file.salt);
    if (found === undefined) {
      file.isDamaged = true;
      return undefined;
    }
    return bytes.toString('utf8', found.payloadAt, found.payloadAt + found.payloadBytes);
  }

  /** Visits all records of a file, and caches its index. Resolves to the number of damaged places. */
  scan(file: RecordFile, visit: (record: FoundRecord, bytes: Buffer) => void): Promise<number> {
    return extend(this.#files, this.#use(file), file, visit);
  }

  /** The body of a stream up to the first gap, `most` bytes at most. Rejects with the error of the file system. */
  async body(
    files: readonly RecordFile[],
    stream: number,
    most = Number.POSITIVE_INFINITY,
  ): Promise<ReadBack> {
    const parts: BodyPart[] = [];
    for (const file of files) {
      const index = this.#use(file);
      if (index.scannedTo < file.size) await extend(this.#files, index, file, () => {});
      await this.#collect(file, positionsOf(index.keys, stream), stream, parts);
    }
    return assemble(parts, most);
  }

  async #collect(
    file: RecordFile,
    positions: readonly number[],
    stream: number,
    into: BodyPart[],
  ): Promise<void> {
    let window: ReadWindow = { start: 0, bytes: NOTHING };
    const space = Buffer.allocUnsafe(WINDOW_BYTES);
    let windows = 0;
    for (const position of positions) {
      let found = recordIn(window, position, file.salt);
      if (found === undefined) {
        if (++windows % WINDOWS_PER_TURN === 0) await nextTurn();
        window = readWindow(this.#files, file, position, space);
        found = recordIn(window, position, file.salt);
      }
      // The scan found a record at this position, so it was damaged since.
      if (found === undefined) file.isDamaged = true;
      if (found?.stream !== stream) continue;
      const { offset, kind, payloadAt, payloadBytes } = found;
      // A copy, because the buffer of the window is reused.
      const bytes = Buffer.from(window.bytes.subarray(payloadAt, payloadAt + payloadBytes));
      into.push({ offset, text: kind === KIND.text, bytes });
    }
  }

  #use(file: RecordFile): PieceIndex {
    const index = this.#indexes.get(file) ?? { keys: new Float64Array(0), scannedTo: 0 };
    this.#indexes.delete(file);
    this.#indexes.set(file, index);
    const [oldest] = this.#indexes.keys();
    if (this.#indexes.size > INDEXES && oldest !== undefined) this.#indexes.delete(oldest);
    return index;
  }
}

/** Extends an index to the end of the file. Yields to the event loop after each stretch. */
async function extend(
  files: Files,
  index: PieceIndex,
  file: RecordFile,
  visit: (record: FoundRecord, bytes: Buffer) => void,
): Promise<number> {
  const start = index.scannedTo;
  const bytes = await readRange(files, file.fd, start, file.size);
  const added: number[] = [];
  let from = 0;
  let damaged = 0;
  while (from < bytes.length) {
    const range = { from, until: from + STRETCH_BYTES, salt: file.salt };
    const result = scan(bytes, range, (record) => {
      const { kind, stream, at } = record;
      if (kind === KIND.text || kind === KIND.bytes) added.push(stream * POSITIONS + start + at);
      visit(record, bytes);
    });
    damaged += result.damaged;
    if (result.damaged > (result.isTorn && file.mayBeTorn ? 1 : 0)) file.isDamaged = true;
    from = result.next;
    if (from < bytes.length) await nextTurn();
  }
  // A concurrent read may have extended the index already.
  if (index.scannedTo === start) {
    index.keys = sortedKeys(index.keys, added);
    index.scannedTo = start + bytes.length;
  }
  return damaged;
}

function sortedKeys(keys: Float64Array, added: readonly number[]): Float64Array {
  const all = new Float64Array(keys.length + added.length);
  all.set(keys);
  all.set(added, keys.length);
  return all.sort();
}

/** Reads `[from, to)` of a file; fewer bytes where the file ends before `to`. */
export async function readRange(
  files: Files,
  fd: number,
  from: number,
  to: number,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(to - from);
  let done = 0;
  while (done < bytes.length) {
    const got = await files.read(fd, bytes, done, from + done);
    if (got === 0) break;
    done += got;
  }
  return bytes.subarray(0, done);
}

function positionsOf(keys: Float64Array, stream: number): number[] {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? 0) < stream * POSITIONS) low = middle + 1;
    else high = middle;
  }
  const positions: number[] = [];
  for (let at = low; at < keys.length; at++) {
    const position = (keys[at] ?? 0) - stream * POSITIONS;
    if (position >= POSITIONS) break;
    positions.push(position);
  }
  return positions;
}

interface BodyPart {
  readonly offset: number;
  readonly text: boolean;
  readonly bytes: Buffer;
}

interface ReadWindow {
  readonly start: number;
  readonly bytes: Buffer;
}

/** Reads at least the whole record at `position`, if there is one; into `space` where the record fits. */
function readWindow(files: Files, file: RecordFile, position: number, space: Buffer): ReadWindow {
  const bytes = readNow(files, file.fd, position, space);
  if (bytes.length < HEADER_BYTES) return { start: position, bytes };
  const length = HEADER_BYTES + bytes.readUInt32LE(4);
  if (length <= bytes.length || position + length > file.size) return { start: position, bytes };
  return {
    start: position,
    bytes: readNow(files, file.fd, position, Buffer.allocUnsafeSlow(length)),
  };
}

function recordIn(window: ReadWindow, position: number, salt: number): FoundRecord | undefined {
  const at = position - window.start;
  return at < 0 ? undefined : recordAt(window.bytes, at, salt);
}

/** Synchronous: the scan or the writer has just brought the pages into the cache, so a read costs less than a turn of the event loop. */
function readNow(files: Files, fd: number, position: number, into: Buffer): Buffer {
  return into.subarray(0, files.readNow(fd, into, position));
}

/** Joins the pieces up to the first gap, or to `most` bytes. Pieces of a stream that was written twice overlap. */
function assemble(parts: BodyPart[], most: number): ReadBack {
  parts.sort((a, b) => a.offset - b.offset || b.bytes.length - a.bytes.length);
  const runs: { text: boolean; bytes: Buffer[] }[] = [];
  let end = 0;
  for (const { offset, text, bytes } of parts) {
    if (offset > end || end >= most) break;
    const added = bytes.subarray(end - offset, most - offset);
    if (added.length === 0) continue;
    end += added.length;
    const run = runs.at(-1);
    if (run?.text === text) run.bytes.push(added);
    else runs.push({ text, bytes: [added] });
  }
  const pieces = runs.map(({ text, bytes }): Piece => {
    const whole = Buffer.concat(bytes);
    return text ? whole.toString('utf8') : whole;
  });
  return { pieces, bytes: end };
}
