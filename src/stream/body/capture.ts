/**
 * What a handler wrote, kept in memory until the message is settled. Strings stay strings; bytes are decoded in the
 * same call, because handlers reuse their buffers, and a character split over two chunks comes out whole. A body that
 * the handler encoded itself (gzip and the like) is kept as copied bytes and decoded when the message is read.
 */
import { Buffer } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import type { Piece } from '../../core/save-port.ts';
import { isCompressed, isText, textDecoderFor } from '../../formats/index.ts';
import type { LiveBytes, StoredBeginning } from './live-bytes.ts';
import { bytesOfPieces, cut, joinShort } from './pieces.ts';

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
  /** It has an unknown `Content-Encoding`: a single control character shows that it is not text. */
  readonly strict: boolean;
  /** Of the bytes of a text; '' for UTF-8. */
  readonly charset: string;
  /** What the bodies of all streams take. */
  readonly live: LiveBytes;
  /** A caller needs to know whether the pieces are exactly the bytes of the body. */
  readonly watchesBytes?: boolean;
}

/** Beside its text, a piece takes so much memory: a header and its place in the list. */
const PIECE_BYTES = 32;

/**
 * A handler that writes one character at a time would take forty bytes for each: so many pieces are looked at together, and
 * joined if they are short.
 */
const JOINED_PIECES = 1_024;

/** What one stream's handler has written so far. */
export class Capture {
  /** Everything kept so far, less what has left memory. What was read of it is never changed. */
  pieces: Piece[] = [];
  /** What has left memory, in front of the pieces. */
  stored: StoredBeginning | undefined;
  /** Estimated bytes of memory of the pieces. */
  heldBytes = 0;
  /** It is being read, or was. */
  isRead = false;
  /** Bytes of all body writes, kept or not. */
  bytes = 0;
  /** Bytes beyond the limit, counted as those that are kept. */
  droppedBytes = 0;
  /** The pieces from here to before `alikeTo` are frames that look alike: they were compared as they were written. */
  alikeFrom = 0;
  alikeTo = 0;
  /** The pieces are the very bytes of the body so far; only kept up to date with `watchesBytes`. */
  isExact: boolean;
  /** Nothing of it has left memory or was cut away. */
  isWhole = true;
  readonly #watchesBytes: boolean;
  readonly #maxBytes: number;
  /** Its bytes are kept as they are: it is encoded, or its first ones are no text. */
  #encoded: boolean;
  readonly #strict: boolean;
  readonly #charset: string;
  #decoder: PieceDecoder | undefined;
  /** Of all that was ever kept, in memory or not. */
  #keptBytes = 0;
  readonly #live: LiveBytes;
  /** With so many pieces the last ones are joined if they are short. */
  #joinAt = JOINED_PIECES;

  constructor({ maxBytes, encoded, strict, charset, live, watchesBytes = false }: CaptureOptions) {
    this.isExact = encoded || charset === '';
    this.#watchesBytes = watchesBytes;
    this.#joinBehind(0);
    this.#maxBytes = maxBytes;
    this.#encoded = encoded;
    this.#strict = strict;
    this.#charset = charset;
    this.#live = live;
  }

  /** Takes one body write; undefined for what Node itself will refuse. What is returned is filled anew by the next call. */
  take(chunk: unknown, encoding: unknown): Readonly<CapturedWrite> | undefined {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return undefined;
    const size = sizeOf(chunk, encoding);
    // Compression behind the guard names its coding when its first bytes are here.
    if (this.bytes === 0 && typeof chunk !== 'string') {
      this.#encoded ||= this.#charset === '' ? !isText(chunk, this.#strict) : isCompressed(chunk);
    }
    this.bytes += size;
    const text = this.#encoded ? undefined : this.#textOf(chunk, encoding) || undefined;
    LAST_WRITE.text = text;
    const piece = this.#encoded ? copyOf(chunk, encoding) : text;
    // As it is kept: in UTF-8, without the half of a character that is still to come. To count it once is enough.
    const isCounted = piece === chunk && isUtf8(encoding);
    LAST_WRITE.kept = this.#keep(piece, isCounted ? size : Buffer.byteLength(piece ?? ''));
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
    this.#add(kept, kept === piece ? size : Buffer.byteLength(kept));
    return kept;
  }

  #add(kept: Piece, size: number): void {
    // A stream whose model is still thinking has said one thing, its role; `push` would make room for sixteen more.
    if (this.pieces.length === 0) this.pieces = [kept];
    else this.pieces.push(kept);
    this.#keptBytes += size;
    this.heldBytes += size + PIECE_BYTES;
    this.#live.bytes += size + PIECE_BYTES;
    if (this.pieces.length >= this.#joinAt) this.#joinShort();
  }

  /** From now on the pieces that are there stay as they are. */
  noteReading(): void {
    this.isRead = true;
    this.#joinBehind(this.pieces.length);
  }

  /** All that was kept is on disk, and leaves memory: `stored` gives it back, and is asked for nothing else. */
  leaveMemory(stored: Omit<StoredBeginning, 'isBytes'>): void {
    this.stored = { ...stored, isBytes: this.#encoded };
    this.#dropFrom(0);
  }

  /** Keeps the beginning of what is in memory, about `bytes` bytes of memory, and nothing that comes. */
  cutTo(bytes: number): void {
    let room = bytes;
    let count = 0;
    for (const piece of this.pieces) {
      const size = Buffer.byteLength(piece) + PIECE_BYTES;
      if (size > room) break;
      room -= size;
      count += 1;
    }
    const gone = this.pieces.slice(count);
    const first = gone[0] === undefined ? undefined : cut(gone[0], room - PIECE_BYTES);
    this.droppedBytes += bytesOfPieces(gone);
    this.#dropFrom(count);
    if (first === undefined) return;
    this.droppedBytes -= Buffer.byteLength(first);
    this.#add(first, Buffer.byteLength(first));
  }

  #dropFrom(count: number): void {
    this.pieces = this.pieces.slice(0, count);
    this.alikeTo = Math.min(this.alikeTo, count);
    this.isWhole = false;
    this.#joinBehind(count);
    const before = this.heldBytes;
    this.heldBytes = bytesOfPieces(this.pieces) + count * PIECE_BYTES;
    this.#live.release(before - this.heldBytes);
  }

  /** Its stream is over. */
  release(): void {
    this.#live.release(this.heldBytes);
    this.heldBytes = 0;
  }

  /** Pieces are joined from here on; never where somebody counts them. */
  #joinBehind(count: number): void {
    this.#joinAt = this.#watchesBytes ? Number.POSITIVE_INFINITY : count + JOINED_PIECES;
  }

  /** Joins the last pieces, if they are so short that they take much more memory than their text. */
  #joinShort(): void {
    const from = this.#joinAt - JOINED_PIECES;
    const short = this.pieces.slice(from);
    const joined = this.alikeTo > from ? undefined : joinShort(short);
    if (joined !== undefined) {
      this.pieces.splice(from, short.length, joined);
      const freed = (short.length - 1) * PIECE_BYTES;
      this.heldBytes -= freed;
      this.#live.bytes -= freed;
    }
    this.#joinBehind(this.pieces.length);
  }

  /** The part of a piece that still fits, on a whole character. */
  #fit(piece: Piece, size: number): Piece | undefined {
    const room = this.#maxBytes - this.#keptBytes;
    if (this.droppedBytes === 0 && size <= room) return piece;
    const kept = this.droppedBytes > 0 ? undefined : cut(piece, room);
    this.droppedBytes += size - (kept === undefined ? 0 : Buffer.byteLength(kept));
    return kept;
  }

  #textOf(chunk: string | Uint8Array, encoding: unknown): string {
    if (typeof chunk !== 'string') return this.#decode(chunk);
    if (!isUtf8(encoding)) return this.#decode(Buffer.from(chunk, asEncoding(encoding)));
    // Bytes of a character that never came stand before text that is not part of it.
    const begun = this.#decoder?.end() ?? '';
    if (begun !== '') this.isExact = false;
    const text = begun + chunk;
    // Node sends each string by itself, so half a pair at its edge reaches the client as U+FFFD.
    return text.isWellFormed() ? text : text.toWellFormed();
  }

  #decode(chunk: Uint8Array): string {
    this.#decoder ??= decoderOf(this.#charset);
    const text = this.#decoder.write(chunk);
    // What was no character is one now; the body's own U+FFFD stays what it is.
    if (this.#watchesBytes && text.includes(REPLACEMENT) && !holdsReplacement(chunk)) {
      this.isExact = false;
    }
    return text;
  }
}

/** The replacement character, for bytes that are not a valid character. */
const REPLACEMENT = '\uFFFD';

function holdsReplacement(chunk: Uint8Array): boolean {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).includes(REPLACEMENT);
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

function isUtf8(encoding: unknown): boolean {
  if (encoding === undefined || encoding === 'utf8') return true;
  return typeof encoding !== 'string' || /^utf-?8$/i.test(encoding);
}

/** Node takes unknown encodings as its own error; here they fall back to what it would use. */
function asEncoding(encoding: unknown): BufferEncoding {
  return typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8';
}
