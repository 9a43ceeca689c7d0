/**
 * Lists the records of one segment: positions, kinds, sizes and ids. Of text of users it shows only the length.
 */
import { basename } from 'node:path';
import { toRecord } from '../../core/values.ts';
import { diskFiles } from '../fs.ts';
import { openOurs } from '../ours.ts';
import { readRange } from '../read/reader.ts';
import { damagedSegment, MAX_FILE_BYTES } from '../read/segment-file.ts';
import { type FoundRecord, KIND, scan } from '../record.ts';

/** One record, or a range of bytes that is not a record. */
export interface DumpedRecord {
  /** Position in the file, bytes. */
  readonly at: number;
  /** Whole length in the file, bytes. */
  readonly bytes: number;
  /** Name of the kind; `damaged` for bytes that are not a record, `unknown` for a kind of a newer version. */
  readonly kind: keyof typeof KIND | 'damaged' | 'unknown';
  /** Number of the stream within its directory; `undefined` where the bytes are not a record. */
  readonly stream: number | undefined;
  /** Offset in the body, bytes. */
  readonly offset: number | undefined;
  /** Ids, times and codes from an open or end record; no text. */
  readonly facts: Readonly<Record<string, string>>;
}

/**
 * The records of a segment file. The file must have its original name, which contains the salt of the checksums. Rejects with
 * `NotOursError` for a file that other users could have written, `TypeError` for another name, else the error of the file system.
 */
export async function dumpSegment(path: string): Promise<readonly DumpedRecord[]> {
  const file = damagedSegment(basename(path));
  if (file === undefined) throw new TypeError(`${basename(path)} is not the name of a segment`);
  const fd = openOurs(path);
  let bytes: Buffer;
  try {
    const { size } = diskFiles.stat(fd);
    bytes = await readRange(diskFiles, fd, 0, Math.min(size, MAX_FILE_BYTES));
  } finally {
    diskFiles.close(fd);
  }
  const found: DumpedRecord[] = [];
  let end = 0;
  const skippedTo = (at: number): void => {
    if (at > end) found.push(damagedPlace(end, at - end));
  };
  scan(bytes, { from: 0, until: bytes.length, salt: file.salt }, (record) => {
    skippedTo(record.at);
    found.push(described(record, bytes));
    end = record.payloadAt + record.payloadBytes;
  });
  skippedTo(bytes.length);
  return found;
}

function damagedPlace(at: number, bytes: number): DumpedRecord {
  return { at, bytes, kind: 'damaged', stream: undefined, offset: undefined, facts: {} };
}

function described(record: FoundRecord, bytes: Buffer): DumpedRecord {
  const { at, payloadAt, payloadBytes, stream, offset } = record;
  const payload = bytes.subarray(payloadAt, payloadAt + payloadBytes);
  const length = payloadAt + payloadBytes - at;
  return {
    at,
    bytes: length,
    kind: nameOf(record.kind),
    stream,
    offset,
    facts: factsOf(record.kind, payload),
  };
}

const NAMES = new Map<number, keyof typeof KIND>(
  // The keys of the table.
  Object.entries(KIND).map(([name, kind]) => [kind, name as keyof typeof KIND]),
);

function nameOf(kind: number): DumpedRecord['kind'] {
  return NAMES.get(kind) ?? 'unknown';
}

/** The fields of the JSON of open and end records that are shown. */
const SHOWN: Readonly<Record<number, readonly string[]>> = {
  [KIND.open]: ['messageId', 'id', 'store', 'startedAtMs'],
  [KIND.end]: ['outcome', 'complete', 'revision', 'chunks', 'droppedBytes'],
};

function factsOf(kind: number, payload: Buffer): Readonly<Record<string, string>> {
  if (kind === KIND.settled && payload.length >= 4)
    return { revision: String(payload.readInt32LE(0)) };
  const shown = SHOWN[kind];
  if (shown === undefined) return {};
  try {
    const said = toRecord(JSON.parse(payload.toString('utf8')));
    return Object.fromEntries(
      shown.flatMap((name) => {
        const value = said[name];
        const isShort =
          typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
        return isShort ? [[name, String(value)] as const] : [];
      }),
    );
  } catch {
    return { json: 'unreadable' };
  }
}
