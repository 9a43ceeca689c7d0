/**
 * One record of the journal: a header of 20 bytes and a payload. Records are self-contained, so that any surviving subset of them can be
 * combined: the record of a piece contains its offset in the body, not the number of its predecessor. So writing a stream twice is
 * harmless.
 *
 * | at | bytes | what |
 * |---|---|---|
 * | 0 | 4 | checksum of everything behind it, seeded with the segment's salt |
 * | 4 | 4 | length of the payload |
 * | 8 | 2 | mark, to find the next record behind a damaged one |
 * | 10 | 1 | kind |
 * | 11 | 1 | 0 |
 * | 12 | 4 | number of the stream within its directory |
 * | 16 | 4 | offset: bytes of the body before this piece, or its length so far |
 *
 * The salt is random for each segment. Bytes that an older file left on the disk, or that a client wrote to look
 * like a record, do not pass for one.
 */
// A namespace import: with a named import of `crc32` an older Node would fail here, before the check of its version.
import * as zlib from 'node:zlib';

/** What a record is. The numbers are on disk and never change their meaning. */
export const KIND = {
  /** JSON of the opened stream. */
  open: 1,
  /** A piece of a body, UTF-8. */
  text: 2,
  /** A piece of an encoded body. */
  bytes: 3,
  /** JSON of the ending; the offset is the length of the body. */
  end: 4,
  /** The store has the stream up to this offset and revision (payload: int32). */
  settled: 5,
  /** Written to see whether writing works; means nothing. */
  probe: 6,
  /** The body is about to be read by a recovering process, and was read: a process may die in between. */
  reading: 7,
  wasRead: 8,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

export const HEADER_BYTES = 20;

/** No payload is longer: a larger piece is written as several records. */
export const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Two bytes that never occur in UTF-8 text, so that a search for the mark skips text quickly. */
const MARK = [0xf9, 0xfe] as const;
const MARK_BYTES = Buffer.from(MARK);
const MARK_AT = 8;

/** A record as the scanner meets it. `payloadAt` is a position in the scanned bytes, valid during the call only. */
export interface FoundRecord {
  readonly kind: number;
  readonly stream: number;
  readonly offset: number;
  /** Position of the header. */
  readonly at: number;
  readonly payloadAt: number;
  readonly payloadBytes: number;
}

/** What a header says. One object that the caller keeps and fills again: this is made for every record. */
export interface RecordHead {
  kind: Kind;
  stream: number;
  offset: number;
  payloadBytes: number;
}

/** Writes the header at `at`, before a payload that already stands behind it. */
export function seal(buffer: Buffer, at: number, head: RecordHead, salt: number): void {
  putUint32(buffer, at + 4, head.payloadBytes);
  buffer[at + 8] = MARK[0];
  buffer[at + 9] = MARK[1];
  buffer[at + 10] = head.kind;
  buffer[at + 11] = 0;
  putUint32(buffer, at + 12, head.stream);
  putUint32(buffer, at + 16, head.offset);
  const end = at + HEADER_BYTES + head.payloadBytes;
  putUint32(buffer, at, checksum(buffer, at + 4, end, salt));
}

/** Whether a header may begin at `at`: its mark is there. */
export function hasMark(bytes: Buffer, at: number): boolean {
  return bytes[at + MARK_AT] === MARK[0] && bytes[at + MARK_AT + 1] === MARK[1];
}

/** The record at `at`, or `undefined` when there is no whole, undamaged one. */
export function recordAt(bytes: Buffer, at: number, salt: number): FoundRecord | undefined {
  if (at + HEADER_BYTES > bytes.length) return undefined;
  if (!hasMark(bytes, at)) return undefined;
  const payloadBytes = bytes.readUInt32LE(at + 4);
  const payloadAt = at + HEADER_BYTES;
  const end = payloadAt + payloadBytes;
  if (payloadBytes > MAX_PAYLOAD_BYTES || end > bytes.length) return undefined;
  if (checksum(bytes, at + 4, end, salt) !== bytes.readUInt32LE(at)) return undefined;
  return {
    kind: bytes[at + 10] ?? 0,
    stream: bytes.readUInt32LE(at + 12),
    offset: bytes.readUInt32LE(at + 16),
    at,
    payloadAt,
    payloadBytes,
  };
}

/** Where scanning stopped, and how many damaged places it stepped over. */
export interface ScanResult {
  readonly next: number;
  readonly damaged: number;
  /** The last damaged place goes to the end: there is no good record behind it. */
  readonly isTorn: boolean;
}

/**
 * Visits the records that begin in `[from, until)`. A damaged place is stepped over to the next good record; a torn
 * tail counts as one. Call it again with `next` to go on.
 */
export function scan(
  bytes: Buffer,
  range: { readonly from: number; readonly until: number; readonly salt: number },
  visit: (record: FoundRecord) => void,
): ScanResult {
  let at = range.from;
  let damaged = 0;
  while (at < range.until && at < bytes.length) {
    let record = recordAt(bytes, at, range.salt);
    if (record === undefined) {
      damaged++;
      record = nextRecord(bytes, at + 1, range.salt);
      if (record === undefined) return { next: bytes.length, damaged, isTorn: true };
    }
    visit(record);
    at = record.payloadAt + record.payloadBytes;
  }
  return { next: at, damaged, isTorn: false };
}

function nextRecord(bytes: Buffer, from: number, salt: number): FoundRecord | undefined {
  let mark = bytes.indexOf(MARK_BYTES, from + MARK_AT);
  while (mark >= 0) {
    const record = recordAt(bytes, mark - MARK_AT, salt);
    if (record !== undefined) return record;
    mark = bytes.indexOf(MARK_BYTES, mark + 1);
  }
  return undefined;
}

function putUint32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value;
  buffer[at + 1] = value >>> 8;
  buffer[at + 2] = value >>> 16;
  buffer[at + 3] = value >>> 24;
}

/** From this many bytes on, the native call is faster. */
const NATIVE_FROM_BYTES = 320;

/** The reflected polynomial of IEEE 802.3. */
const POLYNOMIAL = 0xedb88320;

/** Table `k` says what a byte does to the sum when `k` more bytes follow it in the same step. */
const TABLES = makeTables();

/**
 * CRC-32 (the one of zip, gzip and PNG) of `bytes[from, to)`, started from `seed`: different seeds give different sums for the same bytes.
 * Node's own function, with the view that it needs, has a fixed cost: for less than some hundred bytes eight tables ("slicing by eight")
 * are faster, measured on Node 20.
 */
export function checksum(bytes: Uint8Array, from: number, to: number, seed: number): number {
  if (to - from >= NATIVE_FROM_BYTES) return zlib.crc32(bytes.subarray(from, to), seed);
  const t = TABLES;
  let sum = ~seed;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    sum ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16);
    sum ^= byte(bytes, at + 3) << 24;
    sum =
      word(t, 0x700 | (sum & 0xff)) ^
      word(t, 0x600 | ((sum >>> 8) & 0xff)) ^
      word(t, 0x500 | ((sum >>> 16) & 0xff)) ^
      word(t, 0x400 | (sum >>> 24)) ^
      word(t, 0x300 | byte(bytes, at + 4)) ^
      word(t, 0x200 | byte(bytes, at + 5)) ^
      word(t, 0x100 | byte(bytes, at + 6)) ^
      word(t, byte(bytes, at + 7));
  }
  for (; at < to; at++) sum = word(t, (sum ^ byte(bytes, at)) & 0xff) ^ (sum >>> 8);
  return ~sum >>> 0;
}

// Every index above is inside its array; the zeros are for the compiler and cost nothing.
function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function word(table: Int32Array, at: number): number {
  return table[at] ?? 0;
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let value = 0; value < 256; value++) {
    let sum = value;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? POLYNOMIAL ^ (sum >>> 1) : sum >>> 1;
    tables[value] = sum;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = word(tables, at - 256);
    tables[at] = word(tables, before & 0xff) ^ (before >>> 8);
  }
  return tables;
}
