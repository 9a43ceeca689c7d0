/**
 * What the records of a directory say about each stream, gathered in one pass. It holds places, not texts: some
 * hundred bytes a stream, however long its body is.
 */
import { createHash } from 'node:crypto';
import type { OpenedStream } from '../../core/save-port.ts';
import { toRecord } from '../../core/values.ts';
import { KIND } from '../record.ts';
import type { FoundRecord } from '../record.ts';

/** A segment that somebody else wrote. */
export interface IndexedFile {
  readonly name: string;
  readonly number: number;
  readonly salt: number;
  /** -1 while it is not open. */
  fd: number;
  /** Of what is read of it. */
  size: number;
  /** When it was opened. */
  statSize: number;
  /** Streams in it that are not settled. */
  needed: number;
  /** How often reading it failed. */
  failures: number;
  isRead: boolean;
  /** Records in it are damaged, or it cannot be read at all. */
  isDamaged: boolean;
  /** A half-written record at its end is what the end of a process leaves, not damage. */
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
  /** Epoch milliseconds; 0 when no open record says it. */
  startedAtMs: number;
  messageId: string;
  /** `null` when the message has none, or no open record says it. */
  conversationId: string | null;
  /** The store that it is for; `undefined` when no open record says it. */
  store: string | undefined;
  open: IndexedPlace | undefined;
  end: IndexedPlace | undefined;
  /** Of the last end; -1 when there is none. */
  revision: number;
  /** Bytes of the body, as its end says. */
  endOffset: number;
  /** Where the last piece ends. */
  bodyEnd: number;
  /** How far the pieces go without a gap. */
  covered: number;
  /** Pieces behind the first gap, while a segment before theirs is not read. */
  ahead: readonly BodyRange[];
  settledOffset: number;
  /** Processes that died while they read it. */
  deaths: number;
  settledRevision: number;
  readonly files: IndexedFile[];
}

/** The streams of one directory, by number. */
export type StreamIndex = Map<number, IndexedStream>;

/** Adds one record. `bytes` is what was scanned; nothing of it is kept. False for a record that says nothing. */
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
    // No JSON, or too short: whoever wrote it, it costs itself only.
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
    // Written by a later version: what it means is not ours to say.
  }
}

/** Files are read in any order: a piece may come before those that it follows. */
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

/** A stream is not given again after so many processes died while they read it. */
const DEATHS = 2;

/** Whether processes died again and again while they read it. */
export function isPoisonous({ deaths }: IndexedStream): boolean {
  return deaths >= DEATHS;
}

/** Whether a record says that the store has all of it. */
export function isSettled(stream: IndexedStream): boolean {
  return stream.settledRevision >= stream.revision && stream.settledOffset >= stream.bodyEnd;
}

/** Whether the stream's message has still to be saved. */
export function isWanted(stream: IndexedStream): boolean {
  if (isSettled(stream)) return false;
  // Without its open record a stream is wanted when its text is there from the beginning (the record was damaged),
  // not when only a rest is (the segment with its beginning was deleted because it was settled).
  return stream.open !== undefined || stream.covered > 0;
}

/** Whether the stream went on after its end, and has no end since. */
export function isReopened(stream: IndexedStream): boolean {
  return stream.end !== undefined && stream.covered > stream.endOffset;
}

/** Whether the end speaks of more text than can be read. */
export function isCut(stream: IndexedStream): boolean {
  return stream.end !== undefined && stream.covered < stream.endOffset;
}

/** A stream whose open record was damaged: its text is kept under an id that every taker would give it. */
export function unnamedStream(
  stream: { readonly number: number; readonly startedAtMs: number },
  directoryName: string,
): OpenedStream {
  const digits = createHash('sha256').update(`${directoryName}/${stream.number}`).digest('hex');
  // RFC 9562, version 8: an id of our own making.
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
