/**
 * What the owner of a stream shows to the relay: read when a flush is due, never told chunk by chunk. And the text in which
 * other instances are told what a stream is, its head; and the bytes of captured pieces, from any offset on. A piece is what a handler
 * wrote at once: text, or the bytes of an encoded body.
 */
import { Buffer } from 'node:buffer';
import { openedFrom } from '../core/opened-stream.ts';
import type { Captured, OpenedStream, Piece } from '../core/save-port.ts';
import { isRecord, toRecord } from '../core/values.ts';

/** The head of a response, as far as a resumed one repeats it. */
export interface ResumableHead {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
}

/** How the response of a stream ended. */
export interface SourceEnd {
  /** Its client saw a regular end, or would have. */
  readonly isTidy: boolean;
  readonly outcome: string;
  /** What became of its message; `null` while that is not known. */
  readonly save: string | null;
}

/** One live stream. */
export interface RelaySource {
  readonly opened: OpenedStream;
  readonly head: ResumableHead;
  /** Everything that was captured. */
  readonly body: Captured;
  /** False from the moment that the pieces are not the very bytes of the body any more: they are text, and the body was none. */
  readonly isExact: boolean;
  /** False from the moment that pieces have left memory: what the engine has of the body by then is all that it gets. */
  readonly isWhole: boolean;
  /** Index of the first piece that is not for readers yet; `undefined`: none. */
  readonly heldFrom: number | undefined;
  /** It may become known while the stream is on its way. */
  readonly conversationId: string | null;
  /** `undefined` while it goes on, or while its last bytes are held. */
  readonly end: SourceEnd | undefined;
}

/** What other instances know of a stream. */
export interface StreamHead {
  readonly opened: OpenedStream;
  /** `undefined`: it cannot be resumed. */
  readonly response: ResumableHead | undefined;
}

/** Heads of another version are read as far as they are understood. */
const VERSION = 1;

/** The text of a head. What JSON cannot hold of the app's metadata is left out rather than losing the stream. */
export function headJson({ opened, head, isExact }: RelaySource): string {
  const response = isExact ? head : undefined;
  try {
    return JSON.stringify({ version: VERSION, opened, response });
  } catch {
    return JSON.stringify({ version: VERSION, opened: { ...opened, metadata: null }, response });
  }
}

/** Reads the text of a head; what is missing gets its default. `undefined` for what is no head of a stream. */
export function parseHead(json: string): StreamHead | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const { opened, response } = toRecord(value);
  if (!isRecord(opened) || typeof opened['id'] !== 'string') return undefined;
  const { id } = opened;
  return { opened: openedFrom({ messageId: id, ...opened }), response: responseOf(response) };
}

function responseOf(value: unknown): ResumableHead | undefined {
  if (!isRecord(value) || typeof value['status'] !== 'number') return undefined;
  const given = Array.isArray(value['headers']) ? value['headers'] : [];
  const headers = given.flatMap((pair: unknown): [string, string][] => {
    if (!Array.isArray(pair)) return [];
    const [name, header] = pair;
    return typeof name === 'string' && typeof header === 'string' ? [[name, header]] : [];
  });
  return { status: value['status'], headers };
}

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
