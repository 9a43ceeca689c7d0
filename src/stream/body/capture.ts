/**
 * What a handler wrote, kept in memory until the message is settled. Strings stay strings; bytes are decoded in the
 * same call, because handlers reuse their buffers, and a character split over two chunks is joined. A body that
 * the handler encoded itself (gzip and the like) is kept as copied bytes and decoded when the message is read.
 */
import { Buffer } from 'node:buffer';
import { StringDecoder } from 'node:string_decoder';
import type { Piece } from '../../core/save-port.ts';
import { isCompressed, isText, textDecoderFor } from '../../formats/index.ts';
import type { LiveBytes, StoredBeginning } from './live-bytes.ts';
import { bytesOfPieces, cut, joinShort } from './pieces.ts';

/** What was captured of one write. */
export interface CapturedWrite {
  /** What of it was kept, for the write-ahead log; undefined where there is nothing. */
  kept: Piece | undefined;
  /** All of it as text, to look for frames in; undefined where there is none. */
  text: string | undefined;
}

/**
 * One object for all streams. With a field in each stream, the garbage collector would visit every stream that has written since
 * its last run: a third of its pauses with ten thousand streams.
 */
const LAST_WRITE: CapturedWrite = { kept: undefined, text: undefined };

/** How much is kept, and as what. */
export interface CaptureOptions {
  /** 0 keeps nothing: for streams that are only observed. */
  readonly maxBytes: number;
  readonly encoded: boolean;
  /** Its `Content-Encoding` is unknown: a single control character shows that the body is not text. */
  readonly strict: boolean;
  /** The charset of the body; '' for UTF-8. */
  readonly charset: string;
  /** Counts the memory of the bodies of all streams. */
  readonly live: LiveBytes;
  /** A caller needs to know whether the pieces are exactly the bytes of the body. */
  readonly watchesBytes?: boolean;
}

/** Memory of a piece beside its text: a header and its place in the list. */
const PIECE_BYTES = 32;

/**
 * A handler that writes one character at a time would take forty bytes of memory for each. So the last pieces, this many at a time,
 * are joined if they are short.
 */
const JOINED_PIECES = 1_024;

/** What one stream's handler has written so far. */
export class Capture {
  /** Everything kept so far, except what has left memory. A piece that was read is never changed. */
  pieces: Piece[] = [];
  /** What has left memory, in front of the pieces. */
  stored: StoredBeginning | undefined;
  /** Estimated bytes of memory of the pieces. */
  heldBytes = 0;
  /** It is being read, or was. */
  isRead = false;
  /** Bytes of all body writes, kept or not. */
  bytes = 0;
  /** Bytes that were not kept because of the limit, counted as UTF-8, as those that are kept. */
  droppedBytes = 0;
  /** The pieces from here to before `alikeTo` are frames that look alike: they were compared as they were written. */
  alikeFrom = 0;
  alikeTo = 0;
  /** The pieces are exactly the bytes of the body so far; updated only with `watchesBytes`. */
  isExact: boolean;
  /** Nothing of it has left memory or was cut away. */
  isWhole = true;
  readonly #watchesBytes: boolean;
  readonly #maxBytes: number;
  /** Its bytes are kept as they are: the body is encoded, or its first bytes are not text. */
  #encoded: boolean;
  readonly #strict: boolean;
  readonly #charset: string;
  #decoder: PieceDecoder | undefined;
  /** Of all that was ever kept, in memory or not. */
  #keptBytes = 0;
  readonly #live: LiveBytes;
  /** When there are this many pieces, the last ones are joined if they are short. */
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

  /** Takes one body write; undefined for a chunk that Node itself will refuse. The next call overwrites the returned object. */
  take(chunk: unknown, encoding: unknown): Readonly<CapturedWrite> | undefined {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return undefined;
    const size = sizeOf(chunk, encoding);
    // Compression behind the guard is not in the head that the guard has read: only the first bytes show it.
    if (this.bytes === 0 && typeof chunk !== 'string') {
      this.#encoded ||= this.#charset === '' ? !isText(chunk, this.#strict) : isCompressed(chunk);
    }
    this.bytes += size;
    const text = this.#encoded ? undefined : this.#textOf(chunk, encoding) || undefined;
    LAST_WRITE.text = text;
    const piece = this.#encoded ? copyOf(chunk, encoding) : text;
    // The size of what is kept: in UTF-8, without an incomplete character at its end. Mostly it is `size`, which is known.
    const isCounted = piece === chunk && isUtf8(encoding);
    LAST_WRITE.kept = this.#keep(piece, isCounted ? size : Buffer.byteLength(piece ?? ''));
    return LAST_WRITE;
  }

  /** Notes that the last write is a frame that fits the template, like those before it. */
  noteAlike(): void {
    // A piece that was cut is not what was compared.
    if (this.droppedBytes > 0 || this.pieces.length === 0) return;
    const count = this.pieces.length;
    if (this.alikeTo === 0) this.alikeFrom = count - 1;
    // Only the first run is noted: what interrupts it is usually the end.
    else if (this.alikeTo !== count - 1) return;
    this.alikeTo = count;
  }

  /** Returns the part that was kept. */
  #keep(piece: Piece | undefined, size: number): Piece | undefined {
    if (piece === undefined || this.#maxBytes === 0) return undefined;
    const kept = this.#fit(piece, size);
    if (kept === undefined) return undefined;
    this.#add(kept, kept === piece ? size : Buffer.byteLength(kept));
    return kept;
  }

  #add(kept: Piece, size: number): void {
    // While its model is still thinking, a stream has one piece, the role; `push` would reserve room for sixteen more.
    if (this.pieces.length === 0) this.pieces = [kept];
    else this.pieces.push(kept);
    this.#keptBytes += size;
    this.heldBytes += size + PIECE_BYTES;
    this.#live.bytes += size + PIECE_BYTES;
    if (this.pieces.length >= this.#joinAt) this.#joinShort();
  }

  /** Reading begins: the present pieces are not changed from now on. */
  noteReading(): void {
    this.isRead = true;
    this.#joinBehind(this.pieces.length);
  }

  /** All that was kept is on disk and leaves memory; `stored` reads it back. */
  leaveMemory(stored: Omit<StoredBeginning, 'isBytes'>): void {
    this.stored = { ...stored, isBytes: this.#encoded };
    this.#dropFrom(0);
  }

  /** Keeps the first pieces, about `bytes` bytes of memory, and nothing that is written later. */
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

  /** Pieces from `count` on may be joined; with `watchesBytes` none, because the relay counts them. */
  #joinBehind(count: number): void {
    this.#joinAt = this.#watchesBytes ? Number.POSITIVE_INFINITY : count + JOINED_PIECES;
  }

  /** Joins the last pieces if they are short: then they take much more memory than their text. */
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

  /** The part of a piece that still fits, cut at a character boundary. */
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
    // Bytes of a character that was never completed stand before this text.
    const begun = this.#decoder?.end() ?? '';
    if (begun !== '') this.isExact = false;
    const text = begun + chunk;
    // Node encodes each string by itself, so half a surrogate pair at its edge reaches the client as U+FFFD.
    return text.isWellFormed() ? text : text.toWellFormed();
  }

  #decode(chunk: Uint8Array): string {
    this.#decoder ??= decoderOf(this.#charset);
    const text = this.#decoder.write(chunk);
    // Decoding put U+FFFD in the place of invalid bytes, unless the body itself contains U+FFFD.
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
  /** The text for the bytes of an incomplete character. */
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
  // Without an encoding Node skips its lookup, which takes as long as the count itself.
  return encoding === undefined
    ? Buffer.byteLength(chunk)
    : Buffer.byteLength(chunk, asEncoding(encoding));
}

function isUtf8(encoding: unknown): boolean {
  if (encoding === undefined || encoding === 'utf8') return true;
  return typeof encoding !== 'string' || /^utf-?8$/i.test(encoding);
}

/** Node itself throws for an unknown encoding; here it is read as UTF-8, Node's default. */
function asEncoding(encoding: unknown): BufferEncoding {
  return typeof encoding === 'string' && Buffer.isEncoding(encoding) ? encoding : 'utf8';
}
