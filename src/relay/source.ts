/**
 * What the owner of a stream provides to the relay: the relay reads it when a flush is due; it is not notified of each chunk. Also
 * the JSON that describes a stream to other instances, its head; and the bytes of captured pieces, from any offset on. A piece is
 * what a handler wrote in one call: text, or the bytes of an encoded body.
 */
import { Buffer } from 'node:buffer';
import { openedFrom } from '../core/opened-stream.ts';
import type { Captured, OpenedStream, Piece } from '../core/save-port.ts';
import { isRecord, toRecord } from '../core/values.ts';

/** Status and headers of a response, as far as a resumed response repeats them. */
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
  /** The result of its message; `null` while that is not known. */
  readonly save: string | null;
}

/** One live stream. */
export interface RelaySource {
  readonly opened: OpenedStream;
  readonly head: ResumableHead;
  /** Everything that was captured. */
  readonly body: Captured;
  /** False once the pieces are no longer the exact bytes of the body: they are text, and the body was not. */
  readonly isExact: boolean;
  /** False once pieces were removed from memory: the engine gets no more of the body than it has by then. */
  readonly isWhole: boolean;
  /** Index of the first piece that readers may not have yet; `undefined`: none. */
  readonly heldFrom: number | undefined;
  /** May be set while the stream runs. */
  readonly conversationId: string | null;
  /** `undefined` while the stream runs, or while its last bytes are held. */
  readonly end: SourceEnd | undefined;
}

/** What other instances know of a stream. */
export interface StreamHead {
  readonly opened: OpenedStream;
  /** `undefined`: it cannot be resumed. */
  readonly response: ResumableHead | undefined;
}

/** Of the format of heads. `parseHead` reads known fields from every version. */
const VERSION = 1;

/** The JSON of a head. Metadata of the app that cannot be serialised is replaced by `null`, so that the stream is not lost. */
export function headJson({ opened, head, isExact }: RelaySource): string {
  const response = isExact ? head : undefined;
  try {
    return JSON.stringify({ version: VERSION, opened, response });
  } catch {
    return JSON.stringify({ version: VERSION, opened: { ...opened, metadata: null }, response });
  }
}

/** Parses the JSON of a head; missing fields get defaults. `undefined` for JSON that is not a head. */
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

/** A position between two pieces. */
export interface PieceCursor {
  /** Index of the piece after it. */
  readonly piece: number;
  /** Bytes of the body before it. */
  readonly at: number;
}

/** Before the first piece. */
export const START: PieceCursor = { piece: 0, at: 0 };

/** What was read, and where the next read begins. */
export interface ReadPieces {
  readonly body: Buffer;
  readonly cursor: PieceCursor;
}

/**
 * The bytes from `offset` on, up to but without the piece with index `end`. `offset` must not be before `cursor`. Reads whole pieces
 * until there are `maxBytes` or more.
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
