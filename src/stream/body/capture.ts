/**
 * What a handler wrote, kept in memory until the message is settled. Strings stay strings; bytes are decoded in the
 * same call, because handlers reuse their buffers, and a character split over two chunks comes out whole. A body that
 * the handler encoded itself (gzip and the like) is kept as copied bytes and decoded when the message is read.
 */
import { Buffer } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import type { Piece } from '../../core/save-port.ts';
import { isText, textDecoderFor } from '../../formats/index.ts';

/** What one write brought. */
export interface CapturedWrite {
  /** What of it was kept, for the write-ahead log; undefined where there is nothing. */
  kept: Piece | undefined;
  /** All of it as text, to look for frames in; undefined where there is none. */
  text: string | undefined;
}

/**
 * One for all streams: a field of each would cost the collector a look at every stream that has said something since it
 * was last there, a third of its pauses where there are ten thousand.
 */
const LAST_WRITE: CapturedWrite = { kept: undefined, text: undefined };

/** How much is kept, and as what. */
export interface CaptureOptions {
  /** 0 keeps nothing: for streams that are only observed. */
  readonly maxBytes: number;
  readonly encoded: boolean;
  /** It has a `Content-Encoding` that nobody knows: one control character shows that it is no text. */
  readonly strict: boolean;
  /** Of the bytes of a text; '' for UTF-8. */
  readonly charset: string;
}

/** What one stream's handler has written so far. */
export class Capture {
  /** Everything kept so far; grows, is never changed. */
  pieces: Piece[] = [];
  /** Bytes of all body writes, kept or not. */
  bytes = 0;
  /** Bytes beyond the limit. */
  droppedBytes = 0;
  /** The pieces from here to before `alikeTo` are frames that look alike: they were compared as they were written. */
  alikeFrom = 0;
  alikeTo = 0;
  readonly #maxBytes: number;
  /** Its bytes are kept as they are: it is encoded, or its first ones are no text. */
  #encoded: boolean;
  readonly #strict: boolean;
  readonly #charset: string;
  #decoder: PieceDecoder | undefined;

  constructor({ maxBytes, encoded, strict, charset }: CaptureOptions) {
    this.#maxBytes = maxBytes;
    this.#encoded = encoded;
    this.#strict = strict;
    this.#charset = charset;
  }

  /** Takes one body write; undefined for what Node itself will refuse. What is returned is filled anew by the next call. */
  take(chunk: unknown, encoding: unknown): Readonly<CapturedWrite> | undefined {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return undefined;
    const size = sizeOf(chunk, encoding);
    // Compression behind the guard names its coding when its first bytes are here.
    if (this.bytes === 0 && this.#charset === '' && typeof chunk !== 'string') {
      this.#encoded ||= !isText(chunk, this.#strict);
    }
    this.bytes += size;
    const text = this.#encoded ? undefined : this.#textOf(chunk, encoding) || undefined;
    LAST_WRITE.text = text;
    LAST_WRITE.kept = this.#keep(this.#encoded ? copyOf(chunk, encoding) : text, size);
    return LAST_WRITE;
  }

  /** The last write is a frame that looks like those before it. */
  noteAlike(): void {
    // A piece that was cut is not what was compared.
    if (this.droppedBytes > 0 || this.pieces.length === 0) return;
    const count = this.pieces.length;
    if (this.alikeTo === 0) this.alikeFrom = count - 1;
    // One run is enough: what interrupts it is as a rule the end.
    else if (this.alikeTo !== count - 1) return;
    this.alikeTo = count;
  }

  /** Returns what of it was kept. */
  #keep(piece: Piece | undefined, size: number): Piece | undefined {
    if (piece === undefined || this.#maxBytes === 0) return undefined;
    const kept = this.#fit(piece, size);
    if (kept === undefined) return undefined;
    // A stream whose model is still thinking has said one thing, its role; `push` would make room for sixteen more.
    if (this.pieces.length === 0) this.pieces = [kept];
    else this.pieces.push(kept);
    return kept;
  }

  /** The part of a piece that still fits, on a whole character. */
  #fit(piece: Piece, size: number): Piece | undefined {
    const room = this.#maxBytes - (this.bytes - size - this.droppedBytes);
    if (this.droppedBytes === 0 && size <= room) return piece;
    const kept = this.droppedBytes > 0 ? undefined : cut(piece, room);
    this.droppedBytes += size - (kept === undefined ? 0 : Buffer.byteLength(kept));
    return kept;
  }

  #textOf(chunk: string | Uint8Array, encoding: unknown): string {
    if (typeof chunk !== 'string') return this.#decode(chunk);
    if (!isUtf8(encoding)) return this.#decode(Buffer.from(chunk, asEncoding(encoding)));
    // Bytes of a character that never came stand before text that is not part of it.
    const text = this.#decoder === undefined ? chunk : this.#decoder.end() + chunk;
    // Node sends each string by itself, so half a pair at its edge reaches the client as U+FFFD.
    return text.isWellFormed() ? text : text.toWellFormed();
  }

  #decode(chunk: Uint8Array): string {
    this.#decoder ??= decoderOf(this.#charset);
    return this.#decoder.write(chunk);
  }
}

/** Decodes bytes that come in pieces. */
interface PieceDecoder {
  write(chunk: Uint8Array): string;
  /** What is left of a character that did not come. */
  end(): string;
}

function decoderOf(charset: string): PieceDecoder {
  if (charset === '') return new StringDecoder('utf8');
  const decoder = textDecoderFor(charset);
  return {
    write: (chunk) => decoder.decode(chunk, { stream: true }),
    end: () => decoder.decode(),
  };
}

function copyOf(chunk: string | Uint8Array, encoding: unknown): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, asEncoding(encoding)) : Buffer.from(chunk);
}

function sizeOf(chunk: string | Uint8Array, encoding: unknown): number {
  if (typeof chunk !== 'string') return chunk.byteLength;
  // Without an encoding Node need not look for it, which takes as long again.
  return encoding === undefined
    ? Buffer.byteLength(chunk)
    : Buffer.byteLength(chunk, asEncoding(encoding));
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
