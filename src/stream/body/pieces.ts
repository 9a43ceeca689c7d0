/** Pieces of a body: text, or bytes. */
import { Buffer } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import type { Piece } from '../../core/save-port.ts';

/** UTF-8 bytes of pieces of a body. */
export function bytesOfPieces(pieces: readonly Piece[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += Buffer.byteLength(piece);
  return bytes;
}

/** In characters or bytes. */
const SHORT_PIECE = 32;

/** Joins pieces that are short as a rule; undefined where they are not short. */
export function joinShort(pieces: readonly Piece[]): Piece | undefined {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  if (length > pieces.length * SHORT_PIECE) return undefined;
  const texts = pieces.filter((piece) => typeof piece === 'string');
  if (texts.length === pieces.length) return texts.join('');
  const bytes = pieces.filter((piece) => typeof piece !== 'string');
  return bytes.length === pieces.length ? Buffer.concat(bytes) : undefined;
}

/** The first `room` bytes of a piece, without half a character; undefined when nothing of it fits. */
export function cut(piece: Piece, room: number): Piece | undefined {
  if (room <= 0) return undefined;
  // A copy: a view would keep all of it in memory.
  if (typeof piece !== 'string') return Buffer.from(piece.subarray(0, room));
  // The decoder keeps an incomplete character to itself.
  const text = new StringDecoder('utf8').write(Buffer.from(piece).subarray(0, room));
  return text === '' ? undefined : text;
}
