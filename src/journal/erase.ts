/**
 * Erases text from disk: overwrites in place, with probe records, the records of streams that are not needed any more or are purged. No
 * other record moves, so a process that has the file open can still read it. Also parses a request to purge, and tests whether it
 * selects a message.
 */
import { closeSync, constants, fstatSync, fsyncSync, readSync, writeSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { openOurs } from './ours.ts';
import { HEADER_BYTES, KIND, scan, seal } from './record.ts';
import type { FoundRecord, RecordHead } from './record.ts';

/** Which messages are to be erased: those of a conversation, or those that began before a time. */
export type PurgeRequest =
  | { readonly conversationId: string }
  /** Epoch milliseconds. */
  | { readonly beforeMs: number };

/** Whether a request selects a message; never, where `startedAtMs` is 0, because then its conversation is unknown too. */
export function isMeantBy(
  request: PurgeRequest,
  message: { readonly conversationId: string | null; readonly startedAtMs: number },
): boolean {
  if (message.startedAtMs === 0) return false;
  return 'conversationId' in request
    ? message.conversationId === request.conversationId
    : message.startedAtMs < request.beforeMs;
}

/** Parses a request that was received. Throws an error with the code `ERR_REQUEST` if it is not valid. */
export function parsePurgeRequest(value: object): PurgeRequest {
  if ('conversationId' in value && typeof value.conversationId === 'string') {
    return { conversationId: value.conversationId };
  }
  if ('beforeMs' in value && typeof value.beforeMs === 'number') {
    return { beforeMs: value.beforeMs };
  }
  throw Object.assign(new Error('this is no request'), { code: 'ERR_REQUEST' });
}

/** A segment, by its path. */
export interface ErasableFile {
  readonly path: string;
  readonly salt: number;
  /** Bytes after this offset are not changed, because the owner may be writing there. Default: the whole file. */
  readonly until?: number;
}

/** Worked through before others get a turn. */
const STRETCH_BYTES = 256 * 1024;

/** Read at a time: a stretch, and the rest of a record that begins in it. */
const WINDOW_BYTES = STRETCH_BYTES + HEADER_BYTES + 1024 * 1024;

/** Kinds that carry what users wrote, or facts about it. */
const ERASED: readonly number[] = [KIND.open, KIND.text, KIND.bytes, KIND.end];

/**
 * Overwrites the records of the streams for which `isMeant` is true, and fsyncs. Skips damaged records, whose stream is unknown. Rejects
 * with the error of the file system, and with `NotOursError`.
 */
export async function eraseRecords(
  file: ErasableFile,
  isMeant: (stream: number) => boolean,
): Promise<void> {
  const fd = openOurs(file.path, constants.O_RDWR);
  try {
    const size = Math.min(fstatSync(fd).size, file.until ?? Number.POSITIVE_INFINITY);
    let hasErased = false;
    for (let from = 0; from < size;) {
      const end = Math.min(size, from + WINDOW_BYTES);
      const { next, erased } = eraseStretch(fd, { from, end, salt: file.salt }, isMeant);
      hasErased ||= erased;
      from = next;
      if (from < size) await nextTurn();
    }
    if (hasErased) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

interface Window {
  readonly from: number;
  readonly end: number;
  readonly salt: number;
}

/** Synchronous, so that nothing can be written between reading and writing back. */
function eraseStretch(
  fd: number,
  { from, end, salt }: Window,
  isMeant: (stream: number) => boolean,
): { readonly next: number; readonly erased: boolean } {
  const bytes = Buffer.alloc(end - from);
  let got = 0;
  for (let more = -1; more !== 0 && got < bytes.length; got += more) {
    more = readSync(fd, bytes, got, bytes.length - got, from + got);
  }
  const found: FoundRecord[] = [];
  const window = bytes.subarray(0, got);
  const { next } = scan(window, { from: 0, until: STRETCH_BYTES, salt }, (record) => {
    if (ERASED.includes(record.kind) && isMeant(record.stream)) found.push(record);
  });
  for (const { at, payloadAt, payloadBytes } of found) {
    const head: RecordHead = { kind: KIND.probe, stream: 0, offset: 0, payloadBytes };
    bytes.fill(0, payloadAt, payloadAt + payloadBytes);
    seal(bytes, at, head, salt);
    writeAll(fd, bytes.subarray(at, payloadAt + payloadBytes), from + at);
  }
  // A file that became shorter meanwhile has nothing more.
  return { next: got === 0 ? end : from + next, erased: found.length > 0 };
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
