/**
 * The facts of each stream in a directory, collected in one pass over its records. It holds positions, not text: some hundred bytes for
 * each stream, however long its body is.
 */
import { createHash } from 'node:crypto';
import type { OpenedStream } from '../../core/save-port.ts';
import { toRecord } from '../../core/values.ts';
import { KIND } from '../record.ts';
import type { FoundRecord } from '../record.ts';

/** A segment that another process wrote. */
export interface IndexedFile {
  readonly name: string;
  readonly number: number;
  readonly salt: number;
  /** -1 while it is not open. */
  fd: number;
  /** Bytes that are read of it. */
  size: number;
  /** Bytes of the file when it was opened. */
  statSize: number;
  /** Streams in it that are not settled. */
  needed: number;
  /** How often reading it failed. */
  failures: number;
  isRead: boolean;
  /** Records in it are damaged, or it cannot be read at all. */
  isDamaged: boolean;
  /** A half-written record at its end comes from the end of its process, and is not damage. */
  readonly mayBeTorn: boolean;
}

/** Where a record begins. */
export interface IndexedPlace {
  readonly file: IndexedFile;
  readonly position: number;
}

/** Bytes of a body that a record holds. */
interface BodyRange {
  readonly offset: number;
  readonly end: number;
}

/** One stream. */
export interface IndexedStream {
  readonly number: number;
  /** Epoch milliseconds; 0 without an open record. */
  startedAtMs: number;
  messageId: string;
  /** `null` when the message has none, or without an open record. */
  conversationId: string | null;
  /** The store that it is for; `undefined` when no open record names one. */
  store: string | undefined;
  open: IndexedPlace | undefined;
  end: IndexedPlace | undefined;
  /** Of the last end record; -1 when there is none. */
  revision: number;
  /** Bytes of the body, by its last end record. */
  endOffset: number;
  /** Where the last piece ends. */
  bodyEnd: number;
  /** How far the pieces go without a gap. */
  covered: number;
  /** Pieces after the first gap, which a segment that is read later may close. */
  ahead: readonly BodyRange[];
  settledOffset: number;
  /** Processes that died while they read it. */
  deaths: number;
  settledRevision: number;
  readonly files: IndexedFile[];
}

/** The streams of one directory, by number. */
export type StreamIndex = Map<number, IndexedStream>;

/** Adds one record. `bytes` is what was scanned; no part of it is kept. False for a record that cannot be parsed. */
export function indexRecord(
  streams: StreamIndex,
  file: IndexedFile,
  record: FoundRecord,
  bytes: Buffer,
): boolean {
  if (record.kind === KIND.probe) return true;
  let stream = streams.get(record.stream);
  if (stream === undefined) {
    stream = fresh(record.stream);
    streams.set(record.stream, stream);
  }
  if (!stream.files.includes(file)) stream.files.push(file);
  try {
    noteRecord(stream, { file, position: record.at }, record, bytes);
    return true;
  } catch {
    // Not JSON, or too short: only this record is ignored.
    return false;
  }
}

function noteRecord(
  stream: IndexedStream,
  place: IndexedPlace,
  record: FoundRecord,
  bytes: Buffer,
): void {
  const { kind, offset, payloadAt, payloadBytes } = record;
  const text = (): string => bytes.toString('utf8', payloadAt, payloadAt + payloadBytes);
  switch (kind) {
    case KIND.open:
      Object.assign(stream, openFacts(text()));
      stream.open = place;
      return;
    case KIND.text:
    case KIND.bytes: {
      const end = offset + payloadBytes;
      stream.bodyEnd = Math.max(stream.bodyEnd, end);
      cover(stream, { offset, end });
      return;
    }
    case KIND.end: {
      const revision = endRevision(text());
      if (revision < stream.revision) return;
      stream.revision = revision;
      stream.end = place;
      stream.endOffset = offset;
      return;
    }
    case KIND.settled: {
      const revision = bytes.subarray(payloadAt, payloadAt + payloadBytes).readInt32LE(0);
      stream.settledOffset = Math.max(stream.settledOffset, offset);
      stream.settledRevision = Math.max(stream.settledRevision, revision);
      return;
    }
    case KIND.reading:
      stream.deaths++;
      return;
    case KIND.wasRead:
      stream.deaths--;
      return;
    default:
    // Written by a later version: unknown kinds are ignored.
  }
}

/** Extends `covered` by a range. Files are read in any order, so a piece may be indexed before the pieces that precede it. */
function cover(stream: IndexedStream, range: BodyRange): void {
  if (range.offset > stream.covered) {
    stream.ahead = [...stream.ahead, range];
    return;
  }
  stream.covered = Math.max(stream.covered, range.end);
  if (stream.ahead.length === 0) return;
  const { ahead } = stream;
  stream.ahead = [];
  for (const next of ahead.toSorted((a, b) => a.offset - b.offset)) cover(stream, next);
}

/** A stream is not returned again after this many processes died while they read it. */
const DEATHS = 2;

/** Whether processes died again and again while they read it. */
export function isPoisonous({ deaths }: IndexedStream): boolean {
  return deaths >= DEATHS;
}

/** Whether a settled record covers all of it: the store has the message. */
export function isSettled(stream: IndexedStream): boolean {
  return stream.settledRevision >= stream.revision && stream.settledOffset >= stream.bodyEnd;
}

/** Whether the stream's message has still to be saved. */
export function isWanted(stream: IndexedStream): boolean {
  if (isSettled(stream)) return false;
  // Without an open record: where the text is there from offset 0, the open record was damaged, so the stream is wanted. Where only
  // later text is there, the segment with the beginning was deleted because the stream was settled.
  return stream.open !== undefined || stream.covered > 0;
}

/** Whether the stream continued after its last end record. */
export function isReopened(stream: IndexedStream): boolean {
  return stream.end !== undefined && stream.covered > stream.endOffset;
}

/** Whether the body has a gap before the length in its end record. */
export function isCut(stream: IndexedStream): boolean {
  return stream.end !== undefined && stream.covered < stream.endOffset;
}

/** The facts of a stream whose open record was damaged. The id is derived, so that every taker gives it the same one. */
export function unnamedStream(
  stream: { readonly number: number; readonly startedAtMs: number },
  directoryName: string,
): OpenedStream {
  const digits = createHash('sha256').update(`${directoryName}/${stream.number}`).digest('hex');
  // RFC 9562, version 8: a UUID of a custom format.
  const id = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `8${digits.slice(13, 16)}`,
    `a${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join('-');
  return {
    id,
    messageId: id,
    conversationId: null,
    role: 'assistant',
    metadata: null,
    route: 'unmatched',
    format: 'auto',
    contentType: '',
    contentEncoding: 'identity',
    events: false,
    startedAtMs: stream.startedAtMs,
    traceparent: null,
  };
}

function fresh(number: number): IndexedStream {
  return {
    number,
    startedAtMs: 0,
    messageId: '',
    conversationId: null,
    store: undefined,
    open: undefined,
    end: undefined,
    revision: -1,
    endOffset: 0,
    bodyEnd: 0,
    covered: 0,
    ahead: [],
    settledOffset: -1,
    deaths: 0,
    settledRevision: -2,
    files: [],
  };
}

type OpenRecordFacts = Pick<
  IndexedStream,
  'startedAtMs' | 'messageId' | 'conversationId' | 'store'
>;

function openFacts(json: string): OpenRecordFacts {
  const value = toRecord(JSON.parse(json));
  const { startedAtMs, messageId, conversationId, store } = value;
  return {
    startedAtMs: typeof startedAtMs === 'number' ? startedAtMs : 0,
    messageId: typeof messageId === 'string' ? messageId : '',
    conversationId: typeof conversationId === 'string' ? conversationId : null,
    store: typeof store === 'string' ? store : undefined,
  };
}

function endRevision(json: string): number {
  const { revision } = toRecord(JSON.parse(json));
  return typeof revision === 'number' ? revision : 0;
}
