/**
 * Encodes a log as records: its pending part, or all of it. Nothing here writes to a file; the batch does that.
 */
import type { Piece } from '../../core/save-port.ts';
import type { Batch } from './batch.ts';
import { KIND } from '../record.ts';
import type { Log } from './stream-log.ts';

/** The most of a body in one record: with three bytes for each UTF-16 unit it still fits into a payload. */
const TEXT_UNITS = 256 * 1024;
const BYTES = 512 * 1024;

/** A stream as it is to be written again. */
export interface WholeStream {
  readonly openJson: string;
  readonly body: readonly Piece[];
  readonly endJson: string | undefined;
}

/** Adds the pending part of a log: its open record if it has none on disk, its pieces, its ending. */
export function putPending(batch: Batch, log: Log): void {
  const openJson = log.opened ? undefined : log.openJson;
  if (openJson !== undefined) putOpen(batch, log, openJson);
  putPieces(batch, log);
  if (log.endPending) putEnd(batch, log);
  log.plain = log.state === 'live' && !log.isSettled;
}

/** Adds all of a log, which replaces its records on disk. */
export function putWhole(batch: Batch, log: Log, { openJson, body, endJson }: WholeStream): void {
  const expected = log.offset + pendingBytes(log);
  log.offset = 0;
  putOpen(batch, log, openJson);
  for (const piece of body) putPiece(batch, log, piece);
  // The capture may get a piece before the log does, or after; in the second case the piece is not in `body` yet.
  if (log.offset < expected) putPieces(batch, log);
  log.clearPending();
  log.endJson = endJson;
  putEnd(batch, log);
}

/** Adds a `settled` record: the store has the message, up to the log's offset and revision. */
export function putSettled(batch: Batch, log: Log): void {
  const revision = Buffer.alloc(4);
  revision.writeInt32LE(log.revision, 0);
  batch.put(log, KIND.settled, revision);
}

/** UTF-8 bytes of the pending pieces. */
export function pendingBytes(log: Log): number {
  if (log.parts === undefined) return Buffer.byteLength(log.text);
  return bytesOf(log.parts);
}

/** UTF-8 bytes of a body. */
export function bytesOf(pieces: readonly Piece[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += Buffer.byteLength(piece);
  return bytes;
}

function putOpen(batch: Batch, log: Log, openJson: string): void {
  batch.put(log, KIND.open, openJson);
  log.openAt = batch.lastPlace();
  log.opened = true;
}

function putEnd(batch: Batch, log: Log): void {
  log.endPending = false;
  if (log.endJson === undefined) return;
  batch.put(log, KIND.end, log.endJson, log.endsAt);
  log.endAt = batch.lastPlace();
}

function putPieces(batch: Batch, log: Log): void {
  if (log.text !== '') {
    putPiece(batch, log, log.text);
    log.text = '';
  } else if (log.parts !== undefined) {
    for (const part of log.parts) putPiece(batch, log, part);
    log.parts = undefined;
  }
}

function putPiece(batch: Batch, log: Log, piece: Piece): void {
  if (piece.length <= TEXT_UNITS) putPart(batch, log, piece);
  else for (const part of slices(piece)) putPart(batch, log, part);
}

function putPart(batch: Batch, log: Log, part: Piece): void {
  const bytes = batch.put(log, typeof part === 'string' ? KIND.text : KIND.bytes, part);
  if (bytes > 0) log.offset += bytes;
}

/** Cuts a long piece so that each part fits into a record; never between the two halves of a surrogate pair. */
function* slices(piece: Piece): Generator<Piece> {
  const step = typeof piece === 'string' ? TEXT_UNITS : BYTES;
  let from = 0;
  while (from < piece.length) {
    let to = Math.min(from + step, piece.length);
    if (typeof piece === 'string' && to < piece.length && isLowSurrogate(piece, to)) to--;
    yield typeof piece === 'string' ? piece.slice(from, to) : piece.subarray(from, to);
    from = to;
  }
}

function isLowSurrogate(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}
