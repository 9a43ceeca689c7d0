/**
 * Reads bodies back from segments, for messages that no memory holds any more. A file is scanned once into an index
 * of eight bytes a record; a body is then read record by record, wherever its pieces lie. Only a few indexes are kept,
 * so reading a journal of a gigabyte needs some megabytes.
 */
import { read, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HEADER_BYTES, KIND, recordAt, scan } from './record.ts';
import type { FoundRecord } from './record.ts';
import type { Piece } from '../../keeper.ts';

/** A file of records: `size` may grow. */
export interface RecordFile {
  readonly fd: number;
  readonly salt: number;
  readonly size: number;
}

/** A body, as far as it can be read without a gap. */
export interface ReadBack {
  readonly pieces: readonly Piece[];
  readonly bytes: number;
}

export interface Reader {
  body(files: readonly RecordFile[], stream: number): Promise<ReadBack>;
}

/** The text of the one record at `position`; `undefined` when it is damaged. */
export function readText(file: RecordFile, position: number): string | undefined {
  const window = readWindow(file, position);
  const record = recordIn(window, position, file);
  return record?.bytes.toString('utf8');
}

/** Indexes kept at a time: the largest has about 160 000 records of 50 bytes in 8 MiB, so 1.3 MB. */
const INDEXES = 16;

/** A key is `stream * POSITIONS + position`: exact in a double for 2^29 streams. */
const POSITIONS = 2 ** 24;

/** Scanned at a stretch before others get a turn. */
const STRETCH_BYTES = 512 * 1024;

/** Read at a time; a body's records often lie near each other. */
const WINDOW_BYTES = 16 * 1024;
const WINDOWS_PER_TURN = 64;

interface Index {
  keys: Float64Array;
  scannedTo: number;
}

export function createReader(): Reader {
  const indexes = new Map<RecordFile, Index>();

  const indexOf = async (file: RecordFile): Promise<Index> => {
    const index = indexes.get(file) ?? { keys: new Float64Array(0), scannedTo: 0 };
    indexes.delete(file);
    indexes.set(file, index);
    const oldest = indexes.keys().next().value;
    if (indexes.size > INDEXES && oldest !== undefined) indexes.delete(oldest);
    if (index.scannedTo < file.size) await extend(index, file);
    return index;
  };

  return {
    async body(files, stream) {
      const parts: Part[] = [];
      for (const file of files) {
        const { keys } = await indexOf(file);
        await collect(file, positionsOf(keys, stream), stream, parts);
      }
      return assemble(parts);
    },
  };
}

/** Reads `[from, to)` of a file; shorter where the file ends. */
export async function readRange(fd: number, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(to - from);
  let done = 0;
  while (done < bytes.length) {
    const got = await readSome(fd, bytes, done, from + done);
    if (got === 0) break;
    done += got;
  }
  return bytes.subarray(0, done);
}

/** Scans a buffer in stretches, so that a large file does not hold up the event loop. */
export async function scanAll(
  bytes: Buffer,
  salt: number,
  visit: (record: FoundRecord) => void,
): Promise<number> {
  let from = 0;
  let damaged = 0;
  while (from < bytes.length) {
    const result = scan(bytes, { from, until: from + STRETCH_BYTES, salt }, visit);
    damaged += result.damaged;
    from = result.next;
    if (from < bytes.length) await nextTurn();
  }
  return damaged;
}

async function extend(index: Index, file: RecordFile): Promise<void> {
  const start = index.scannedTo;
  const end = file.size;
  const found: number[] = [];
  await scanAll(await readRange(file.fd, start, end), file.salt, ({ kind, stream, at }) => {
    if (kind === KIND.text || kind === KIND.bytes) found.push(stream * POSITIONS + start + at);
  });
  // Two bodies may be read at once: the other one may have come first.
  if (index.scannedTo !== start) return;
  const keys = new Float64Array(index.keys.length + found.length);
  keys.set(index.keys);
  keys.set(found, index.keys.length);
  index.keys = keys.sort();
  index.scannedTo = end;
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

interface Part {
  readonly offset: number;
  readonly text: boolean;
  readonly bytes: Buffer;
}

interface Window {
  readonly start: number;
  readonly bytes: Buffer;
}

async function collect(
  file: RecordFile,
  positions: readonly number[],
  stream: number,
  into: Part[],
): Promise<void> {
  let window: Window = { start: 0, bytes: Buffer.alloc(0) };
  let windows = 0;
  for (const position of positions) {
    let record = recordIn(window, position, file);
    if (record === undefined) {
      window = readWindow(file, position);
      if (++windows % WINDOWS_PER_TURN === 0) await nextTurn();
      record = recordIn(window, position, file);
    }
    if (record?.found.stream !== stream) continue;
    const { offset, kind } = record.found;
    into.push({ offset, text: kind === KIND.text, bytes: record.bytes });
  }
}

/** Reads at least the whole record at `position`, if there is one. */
function readWindow(file: RecordFile, position: number): Window {
  const bytes = readNow(file.fd, position, WINDOW_BYTES);
  if (bytes.length < HEADER_BYTES) return { start: position, bytes };
  const length = HEADER_BYTES + bytes.readUInt32LE(4);
  if (length <= bytes.length || position + length > file.size) return { start: position, bytes };
  return { start: position, bytes: readNow(file.fd, position, length) };
}

function recordIn(
  window: Window,
  position: number,
  file: RecordFile,
): { found: FoundRecord; bytes: Buffer } | undefined {
  const at = position - window.start;
  if (at < 0) return undefined;
  const found = recordAt(window.bytes, at, file.salt);
  if (found === undefined) return undefined;
  const { payloadAt, payloadBytes } = found;
  return { found, bytes: window.bytes.subarray(payloadAt, payloadAt + payloadBytes) };
}

/** The pages were read a moment ago, by the scan or by the writer: a synchronous read costs less than a turn. */
function readNow(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  return bytes.subarray(0, readSync(fd, bytes, 0, length, position));
}

/** Puts the pieces together up to the first gap; a stream that was written twice has pieces that overlap. */
function assemble(parts: Part[]): ReadBack {
  parts.sort((a, b) => a.offset - b.offset || b.bytes.length - a.bytes.length);
  const runs: { text: boolean; bytes: Buffer[] }[] = [];
  let end = 0;
  for (const { offset, text, bytes } of parts) {
    if (offset > end) break;
    const added = bytes.subarray(end - offset);
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

function readSome(fd: number, into: Buffer, at: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, into, at, into.length - at, position, (error, got) => {
      if (error === null) resolve(got);
      else reject(error);
    });
  });
}
