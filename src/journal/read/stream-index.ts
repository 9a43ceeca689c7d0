/**
 * What the records of a directory say about each stream, gathered in one pass. It holds places, not texts: some
 * hundred bytes a stream, however long its body is.
 */
import { createHash } from 'node:crypto';
import type { OpenedStream } from '../../core/save-port.ts';
import { KIND } from '../record.ts';
import type { FoundRecord } from '../record.ts';
import { toRecord } from '../../core/values.ts';

/** A segment that somebody else wrote. */
export interface FoundFile {
  readonly name: string;
  readonly number: number;
  readonly salt: number;
  readonly fd: number;
  readonly size: number;
  /** Streams in it that are not settled. */
  needed: number;
}

/** Where a record begins. */
export interface FoundPlace {
  readonly file: FoundFile;
  readonly position: number;
}

/** One stream. */
export interface Found {
  readonly number: number;
  /** Epoch milliseconds; 0 when no open record says it. */
  startedAtMs: number;
  messageId: string;
  open: FoundPlace | undefined;
  end: FoundPlace | undefined;
  /** Of the last end; -1 when there is none. */
  revision: number;
  /** Bytes of the body, as its end says. */
  endOffset: number;
  /** Where the last piece ends. */
  bodyEnd: number;
  /** How far the pieces go without a gap. */
  covered: number;
  settledOffset: number;
  settledRevision: number;
  readonly files: FoundFile[];
}

/** The streams of one directory, by number. */
export type FoundStreams = Map<number, Found>;

/** Adds one record. `bytes` is what was scanned; nothing of it is kept. */
export function note(
  streams: FoundStreams,
  file: FoundFile,
  record: FoundRecord,
  bytes: Buffer,
): void {
  if (record.kind === KIND.probe) return;
  let found = streams.get(record.stream);
  if (found === undefined) {
    found = fresh(record.stream);
    streams.set(record.stream, found);
  }
  if (found.files.at(-1) !== file) found.files.push(file);
  const place = { file, position: record.at };
  const text = (): string =>
    bytes.toString('utf8', record.payloadAt, record.payloadAt + record.payloadBytes);
  switch (record.kind) {
    case KIND.open:
      found.open = place;
      Object.assign(found, openFacts(text()));
      return;
    case KIND.text:
    case KIND.bytes: {
      const end = record.offset + record.payloadBytes;
      found.bodyEnd = Math.max(found.bodyEnd, end);
      if (record.offset <= found.covered) found.covered = Math.max(found.covered, end);
      return;
    }
    case KIND.end: {
      const revision = endRevision(text());
      if (revision < found.revision) return;
      found.revision = revision;
      found.end = place;
      found.endOffset = record.offset;
      return;
    }
    case KIND.settled:
      found.settledOffset = Math.max(found.settledOffset, record.offset);
      found.settledRevision = Math.max(found.settledRevision, bytes.readInt32LE(record.payloadAt));
      return;
    default:
    // Written by a later version: what it means is not ours to say.
  }
}

/** Whether the stream's message has still to be saved. */
export function isWanted(found: Found): boolean {
  if (found.settledRevision >= found.revision && found.settledOffset >= found.bodyEnd) return false;
  // Without its open record a stream is wanted when its text is there from the beginning (the record was damaged),
  // not when only a rest is (the segment with its beginning was deleted because it was settled).
  return found.open !== undefined || found.covered > 0;
}

/** Whether the stream went on after its end, and has no end since. */
export function isReopened(found: Found): boolean {
  return found.end !== undefined && found.covered > found.endOffset;
}

/** Whether the end speaks of more text than can be read. */
export function isCut(found: Found): boolean {
  return found.end !== undefined && found.covered < found.endOffset;
}

/** A stream whose open record was damaged: its text is kept under an id that every taker would give it. */
export function nameless(found: Found, directoryName: string): OpenedStream {
  const digits = createHash('sha256').update(`${directoryName}/${found.number}`).digest('hex');
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
    startedAtMs: found.startedAtMs,
    traceparent: null,
  };
}

function fresh(number: number): Found {
  return {
    number,
    startedAtMs: 0,
    messageId: '',
    open: undefined,
    end: undefined,
    revision: -1,
    endOffset: 0,
    bodyEnd: 0,
    covered: 0,
    settledOffset: -1,
    settledRevision: -2,
    files: [],
  };
}

function openFacts(json: string): Pick<Found, 'startedAtMs' | 'messageId'> {
  const value = toRecord(JSON.parse(json));
  return {
    startedAtMs: typeof value['startedAtMs'] === 'number' ? value['startedAtMs'] : 0,
    messageId: typeof value['messageId'] === 'string' ? value['messageId'] : '',
  };
}

function endRevision(json: string): number {
  const { revision } = toRecord(JSON.parse(json));
  return typeof revision === 'number' ? revision : 0;
}
