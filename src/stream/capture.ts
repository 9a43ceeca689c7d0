/**
 * What a handler wrote, kept in memory until the message is settled. Strings stay strings; bytes are decoded in the
 * same call, because handlers reuse their buffers, and a character split over two chunks comes out whole. A body that
 * the handler encoded itself (gzip and the like) is kept as copied bytes and decoded when the message is read.
 */
import { Buffer } from 'node:buffer';
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
  /** What of the last write was kept, for the write-ahead log; undefined where there is nothing. */
  readonly kept: Piece | undefined;
  /** The whole of the last write as text, to look for frames in; undefined where there is none. */
  readonly text: string | undefined;
  /** The pieces from the one to before the other are frames that look alike: they were compared as they were written. */
  readonly alikeFrom: number;
  readonly alikeTo: number;
  /** The last write is such a frame. */
  noteAlike(): void;
  /** Takes one body write. False for what Node itself will refuse. */
  take(chunk: unknown, encoding: unknown): boolean;
}

export interface CaptureOptions {
  /** 0 keeps nothing: for streams that are only observed. */
  readonly maxBytes: number;
  readonly encoded: boolean;
}

export function createCapture(options: CaptureOptions): Capture {
  return new BodyCapture(options);
}

/** A class, because there is one for each live stream; what a write brought is in its fields, which costs no object. */
class BodyCapture implements Capture {
  pieces: Piece[] = [];
  bytes = 0;
  droppedBytes = 0;
  kept: Piece | undefined;
  text: string | undefined;
  alikeFrom = 0;
  alikeTo = 0;
  readonly #maxBytes: number;
  readonly #encoded: boolean;
  #decoder: StringDecoder | undefined;

  constructor({ maxBytes, encoded }: CaptureOptions) {
    this.#maxBytes = maxBytes;
    this.#encoded = encoded;
  }

  take(chunk: unknown, encoding: unknown): boolean {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return false;
    const size = sizeOf(chunk, encoding);
    this.bytes += size;
    if (this.#encoded) {
      this.text = undefined;
      this.#keep(copyOf(chunk, encoding), size);
    } else {
      const text = this.#textOf(chunk, encoding);
      this.text = text === '' ? undefined : text;
      this.#keep(this.text, size);
    }
    return true;
  }

  noteAlike(): void {
    // A piece that was cut is not what was compared.
    if (this.kept !== this.text) return;
    const count = this.pieces.length;
    if (this.alikeTo === 0) this.alikeFrom = count - 1;
    // One run is enough: what interrupts it is as a rule the end.
    else if (this.alikeTo !== count - 1) return;
    this.alikeTo = count;
  }

  #keep(piece: Piece | undefined, size: number): void {
    const keeps = piece !== undefined && this.#maxBytes > 0;
    this.kept = keeps ? this.#fit(piece, size) : undefined;
    if (this.kept === undefined) return;
    // A stream whose model is still thinking has said one thing, its role; `push` would make room for sixteen more.
    if (this.pieces.length === 0) this.pieces = [this.kept];
    else this.pieces.push(this.kept);
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
    this.#decoder ??= new StringDecoder('utf8');
    return this.#decoder.write(chunk);
  }
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
