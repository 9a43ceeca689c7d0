/**
 * A log as records: what waits of it, or all of it. Nothing here touches a file; that is the batch's.
 */
import type { Piece } from '../../keeper.ts';
import type { Batch } from './batch.ts';
import type { Log } from './log.ts';
import { KIND } from './record.ts';
import type { Segments } from './segments.ts';

/** One record holds so much of a body at most; three bytes for each UTF-16 unit still fit into a payload. */
const TEXT_UNITS = 256 * 1024;
const BYTES = 512 * 1024;

/** A stream as it is to be written again. */
export interface Whole {
  readonly openJson: string;
  readonly body: readonly Piece[];
  readonly endJson: string | undefined;
}

export interface Encoder {
  /** What waits of a log: its opening if it has none, its pieces, its ending. */
  pending(log: Log): void;
  /** All of it, in place of what there is. */
  whole(log: Log, whole: Whole): void;
  /** That the store has it. */
  settled(log: Log): void;
  /** Every log whose opening was written; whoever settles one takes it out. */
  readonly members: Set<Log>;
}

export function createEncoder(batch: Batch, segments: Segments): Encoder {
  const members = new Set<Log>();
  const putOpen = (log: Log, openJson: string): void => {
    batch.put(log, KIND.open, openJson, 0);
    log.openAt = batch.lastPlace();
    log.opened = true;
    members.add(log);
  };
  const putPart = (log: Log, part: Piece): void => {
    const kind = typeof part === 'string' ? KIND.text : KIND.bytes;
    const bytes = batch.put(log, kind, part, log.offset);
    if (bytes > 0) log.offset += bytes;
  };
  const putPiece = (log: Log, piece: Piece): void => {
    if (piece.length <= TEXT_UNITS) putPart(log, piece);
    else for (const part of slices(piece)) putPart(log, part);
  };
  const putPieces = (log: Log): void => {
    if (log.text !== '') {
      putPiece(log, log.text);
      log.text = '';
    } else if (log.parts !== undefined) {
      for (const part of log.parts) putPiece(log, part);
      log.parts = undefined;
    }
  };
  const putEnd = (log: Log): void => {
    if (log.endJson === undefined) return;
    batch.put(log, KIND.end, log.endJson, log.offset);
    log.endAt = batch.lastPlace();
    log.endPending = false;
  };

  return {
    members,
    pending(log) {
      if (!log.opened && log.openJson !== undefined) putOpen(log, log.openJson);
      putPieces(log);
      if (log.endPending) putEnd(log);
      log.plain = log.state === 'live';
    },
    whole(log, { openJson, body, endJson }) {
      const expected = log.offset + pendingBytes(log);
      log.offset = 0;
      putOpen(log, openJson);
      for (const piece of body) putPiece(log, piece);
      // The capture may take a piece before the log does, or after; in the second case it is not in `body` yet.
      if (log.offset < expected) putPieces(log);
      log.clearPending();
      log.endJson = endJson;
      putEnd(log);
    },
    settled(log) {
      const revision = Buffer.alloc(4);
      revision.writeInt32LE(log.settledRevision, 0);
      batch.put(log, KIND.settled, revision, log.settledOffset);
      log.settlePending = false;
      // Nobody needs the settlement itself: it goes with the segment it stands in.
      const extents = log.extents;
      log.extents = [];
      segments.release(log, extents, 0);
    },
  };
}

/** UTF-8 bytes of what waits. */
export function pendingBytes(log: Log): number {
  if (log.parts === undefined) return Buffer.byteLength(log.text);
  let bytes = 0;
  for (const part of log.parts) bytes += Buffer.byteLength(part);
  return bytes;
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
