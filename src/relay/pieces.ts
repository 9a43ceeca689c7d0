/** The bytes of captured pieces, from any offset on. A piece is what a handler wrote at once: text, or the bytes of an encoded body. */
import { Buffer } from 'node:buffer';
import type { Piece } from '../core/save-port.ts';

/** A place between two pieces. */
export interface PieceCursor {
  /** Index of the piece behind it. */
  readonly piece: number;
  /** Bytes of the body before it. */
  readonly at: number;
}

/** Before the first piece. */
export const START: PieceCursor = { piece: 0, at: 0 };

/** What was read, and where the next reading begins. */
export interface ReadPieces {
  readonly body: Buffer;
  readonly cursor: PieceCursor;
}

/**
 * The bytes from `offset` on, which is not before `cursor`, up to the piece with the index `end`. Whole pieces, until there
 * are `maxBytes` or a little more.
 */
export function readPieces(
  pieces: readonly Piece[],
  { cursor, offset, end }: { cursor: PieceCursor; offset: number; end: number },
  maxBytes: number,
): ReadPieces {
  const bytes: Uint8Array[] = [];
  let text = '';
  let size = 0;
  let { piece } = cursor;
  const enough = offset - cursor.at + maxBytes;
  for (; piece < end && size < enough; piece += 1) {
    const next = pieces[piece] ?? '';
    size += next.length;
    if (typeof next === 'string') text += next;
    else {
      if (text !== '') bytes.push(Buffer.from(text));
      text = '';
      bytes.push(next);
    }
  }
  if (text !== '') bytes.push(Buffer.from(text));
  const all = bytes.length === 1 ? asBuffer(bytes[0]) : Buffer.concat(bytes);
  return {
    body: all.subarray(offset - cursor.at),
    cursor: { piece, at: cursor.at + all.length },
  };
}

function asBuffer(bytes: Uint8Array | undefined): Buffer {
  if (bytes === undefined) return Buffer.alloc(0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
