/**
 * What the owner of a stream shows to the relay: read when a flush is due, never told chunk by chunk. And the text in which
 * other instances are told what a stream is, its head.
 */
import { openedFrom } from '../core/opened-stream.ts';
import type { Captured, OpenedStream } from '../core/save-port.ts';
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
