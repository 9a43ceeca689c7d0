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

/** Average length of short pieces, in characters or bytes. */
const SHORT_PIECE = 32;

/** Joins pieces whose average length is short; undefined where it is not, or where text and bytes are mixed. */
export function joinShort(pieces: readonly Piece[]): Piece | undefined {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  if (length > pieces.length * SHORT_PIECE) return undefined;
  const texts = pieces.filter((piece) => typeof piece === 'string');
  if (texts.length === pieces.length) return texts.join('');
  const bytes = pieces.filter((piece) => typeof piece !== 'string');
  return bytes.length === pieces.length ? Buffer.concat(bytes) : undefined;
}

/** The first `room` bytes of a piece, without half a character at the end; undefined when nothing of it fits. */
export function cut(piece: Piece, room: number): Piece | undefined {
  if (room <= 0) return undefined;
  // A copy: a view would keep the whole piece in memory.
  if (typeof piece !== 'string') return Buffer.from(piece.subarray(0, room));
  // The decoder does not return an incomplete character.
  const text = new StringDecoder('utf8').write(Buffer.from(piece).subarray(0, room));
  return text === '' ? undefined : text;
}
