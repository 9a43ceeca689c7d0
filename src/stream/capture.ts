/**
 * What a handler wrote, kept in memory until the message is settled. Strings stay strings; bytes are decoded in the
 * same call, because handlers reuse their buffers, and a character split over two chunks comes out whole. A body that
 * the handler encoded itself (gzip and the like) is kept as copied bytes and decoded when the message is read.
 */
import { StringDecoder } from 'node:string_decoder';
import type { Piece } from '../keeper.ts';

/** Bodies without a coding, by the names they go by. */
const IDENTITY: ReadonlySet<string> = new Set(['', 'identity']);

/** Whether the handler writes an encoded body. */
export function isEncoded(contentEncoding: string): boolean {
  return !IDENTITY.has(contentEncoding);
}

export interface Capture {
  /** Everything kept so far; grows, is never changed. */
  readonly pieces: readonly Piece[];
  /** Bytes of all body writes, kept or not. */
  readonly bytes: number;
  /** Bytes beyond the limit. */
  readonly droppedBytes: number;
  /**
   * Takes one body write. Returns what of it is kept (for the write-ahead log) and the whole of it as text (to look for
   * frames in), both undefined where there is nothing, or `invalid` for what Node itself will refuse.
   */
  take(chunk: unknown, encoding: unknown): Taken | 'invalid';
}

/** One body write, as text. */
export interface Taken {
  readonly kept: Piece | undefined;
  readonly text: string | undefined;
}

const NOTHING: Taken = { kept: undefined, text: undefined };

export interface CaptureOptions {
  /** 0 keeps nothing: for streams that are only observed. */
  readonly maxBytes: number;
  readonly encoded: boolean;
}

export function createCapture({ maxBytes, encoded }: CaptureOptions): Capture {
  const pieces: Piece[] = [];
  let decoder: StringDecoder | undefined;
  let bytes = 0;
  let droppedBytes = 0;

  /** The part of a piece that still fits, on a whole character. */
  const fit = (piece: Piece, size: number): Piece | undefined => {
    const room = maxBytes - (bytes - size - droppedBytes);
    if (droppedBytes === 0 && size <= room) return piece;
    const kept = droppedBytes > 0 ? undefined : cut(piece, room);
    droppedBytes += size - (kept === undefined ? 0 : Buffer.byteLength(kept));
    return kept;
  };

  const decode = (chunk: Uint8Array): string => {
    decoder ??= new StringDecoder('utf8');
    return decoder.write(chunk);
  };

  /** Bytes of a character that never came, before text that is not part of it. */
  const flushDecoder = (text: string): string =>
    decoder === undefined ? text : decoder.end() + text;

  const textOf = (chunk: string | Uint8Array, encoding: unknown): string => {
    if (typeof chunk !== 'string') return decode(chunk);
    if (isUtf8(encoding)) {
      const text = flushDecoder(chunk);
      // Node sends each string by itself, so half a pair at its edge reaches the client as U+FFFD.
      return text.isWellFormed() ? text : text.toWellFormed();
    }
    return decode(Buffer.from(chunk, asEncoding(encoding)));
  };

  const take = (chunk: unknown, encoding: unknown): Taken | 'invalid' => {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return 'invalid';
    const size = sizeOf(chunk, encoding);
    bytes += size;
    if (encoded) {
      const copy =
        typeof chunk === 'string' ? Buffer.from(chunk, asEncoding(encoding)) : Buffer.from(chunk);
      const kept = fit(copy, size);
      if (kept !== undefined) pieces.push(kept);
      return { kept, text: undefined };
    }
    const text = textOf(chunk, encoding);
    if (text === '') return NOTHING;
    const kept = maxBytes === 0 ? undefined : fit(text, size);
    if (kept !== undefined) pieces.push(kept);
    return { kept, text };
  };

  return {
    pieces,
    take,
    get bytes() {
      return bytes;
    },
    get droppedBytes() {
      return droppedBytes;
    },
  };
}

function sizeOf(chunk: string | Uint8Array, encoding: unknown): number {
  if (typeof chunk !== 'string') return chunk.byteLength;
  return Buffer.byteLength(chunk, asEncoding(encoding));
}

/** The first `room` bytes of a piece, without half a character; undefined when nothing of it fits. */
function cut(piece: Piece, room: number): Piece | undefined {
  if (room <= 0) return undefined;
  if (typeof piece !== 'string') return piece.subarray(0, room);
  // The decoder keeps an incomplete character to itself.
  const text = new StringDecoder('utf8').write(Buffer.from(piece).subarray(0, room));
  return text === '' ? undefined : text;
}

function isUtf8(encoding: unknown): boolean {
  if (encoding === undefined || encoding === 'utf8') return true;
  return typeof encoding !== 'string' || /^utf-?8$/i.test(encoding);
}

/** Node takes unknown encodings as its own error; here they fall back to what it would use. */
function asEncoding(encoding: unknown): BufferEncoding {
  return typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8';
}
