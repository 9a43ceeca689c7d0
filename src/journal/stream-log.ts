/**
 * The log of one stream. `append` runs for every chunk of every response, so this is a class (one hidden shape, no
 * closures of its own) and does as little as can be done: the piece is added to a string, and the first piece of a
 * tick puts the log on the writer's list.
 *
 * Pieces are joined by plain concatenation. That is right because they arrive well-formed, one by one, as their
 * bytes go to the wire: a lone surrogate was replaced before it came here, so no two halves can meet in the string
 * and become a character that the client was never sent.
 */
import type { Captured, OpenedStream, Piece, StreamLog, WriteTime } from '../core/save-port.ts';
import type { Ending } from './port.ts';
import type { Extent, Place } from './segment.ts';

/** What a log needs of the writer. */
export interface LogHost {
  /** Puts the log on the list, and `schedules` that the list is written, unless the caller sees to it. */
  enqueue(log: Log, schedules: boolean): void;
  flush(): void;
  /** A stream goes on that was kept or settled. */
  reopen(log: Log): void;
  /** It leaves no message. */
  discard(log: Log): void;
}

/** A stream, and the directory of the process that opened it. */
export interface Opening {
  readonly stream: OpenedStream;
  readonly instance: string;
}

/** `live`: the saver or the stream has the text in memory. `kept`: only the disk has it. `over`: nobody needs it. */
export type LogState = 'live' | 'kept' | 'over';

/** One stream's place in the journal. What is not in `StreamLog` belongs to the writer. */
export class Log implements StreamLog {
  readonly host: LogHost;
  /** The stream's number in its records. */
  readonly number: number;
  /** Pending text, in order. */
  text = '';
  /** Pending pieces when some are bytes; `text` is empty then. */
  parts: Piece[] | undefined = undefined;
  /** On the writer's list. */
  queued = false;
  /** A text piece may simply be added to `text`. */
  plain = true;
  readonly ahead: boolean;

  state: LogState = 'live';
  /** Everything captured so far; gone once the saver let go. */
  body: Captured | undefined;
  /** What the open record says; gone once the saver let go, then `openAt` says where it is. */
  opening: Opening | undefined;
  endJson: string | undefined = undefined;
  opened = false;
  endPending = false;
  /** The store has it up to `offset` and `revision`, and the disk has to be told. */
  settlePending = false;
  /** Bytes of the body that have been written. */
  offset = 0;
  /** Revision of the last `end`; -1 before it. */
  revision = -1;
  /** Where the last `end` stands in the body; more may have come after it. */
  endsAt = 0;

  extents: Extent<Log>[] = [];
  openAt: Place<Log> | undefined = undefined;
  endAt: Place<Log> | undefined = undefined;
  /** Its records are not whole, or not to be trusted: it has to be written again before it is safe. */
  stale = false;
  /** A piece was missed that no memory has: it can never be whole on disk again. */
  broken = false;
  /** Number of the last write that held something of it. */
  writtenAt = 0;
  /** When it began to wait for the store; 0 when it does not. */
  waitingSinceMs = 0;

  constructor(
    host: LogHost,
    start: {
      number: number;
      opening: Opening | undefined;
      body: Captured;
      ahead: boolean;
    },
  ) {
    this.host = host;
    this.number = start.number;
    this.opening = start.opening;
    this.body = start.body;
    this.ahead = start.ahead;
  }

  append(piece: Piece, when: WriteTime): void {
    if (this.plain && typeof piece === 'string') this.text += piece;
    else this.appendOther(piece);
    if (!this.queued) this.host.enqueue(this, when !== 'turn');
    if (when === 'now' && this.ahead) this.host.flush();
  }

  /** JSON of the open record: made when it is written, which is once for nearly every stream, and not kept. */
  get openJson(): string | undefined {
    return this.opening && openJson(this.opening.stream, this.opening.instance);
  }

  get clean(): boolean {
    return !this.queued;
  }

  flush(): void {
    this.host.flush();
  }

  drop(): void {
    this.host.discard(this);
  }

  /** Forgets what waits to be written. */
  clearPending(): void {
    this.text = '';
    this.parts = undefined;
    this.endPending = false;
    this.plain = this.state === 'live';
  }

  /** The saver has let go, and everything is on disk: nothing of it stays in memory. */
  letGo(): void {
    this.body = undefined;
    this.opening = undefined;
    this.endJson = undefined;
  }

  private appendOther(piece: Piece): void {
    // What was already said about this stream (an end, a settlement) must be on disk before what comes after it.
    if (this.endPending || this.settlePending) this.host.flush();
    if (this.state !== 'live') this.host.reopen(this);
    if (typeof piece === 'string' && this.parts === undefined) {
      this.text += piece;
      this.plain = true;
      return;
    }
    if (this.parts === undefined) {
      this.parts = this.text === '' ? [] : [this.text];
      this.text = '';
      this.plain = false;
    }
    // Bytes are the capture's own copy; nobody writes to them again.
    this.parts.push(piece);
  }
}

/** The JSON of an open record. What JSON cannot hold is left out rather than losing the stream. */
export function openJson(stream: OpenedStream, instance: string): string {
  return json({ ...stream, instance }) ?? JSON.stringify({ ...stream, metadata: null, instance });
}

/** The JSON of an end record: the ending, its dates as epoch milliseconds. */
export function endJson(ending: Ending): string {
  const plain = {
    ...ending,
    startedAt: ending.startedAt.getTime(),
    endedAt: ending.endedAt.getTime(),
  };
  return json(plain) ?? JSON.stringify({ ...plain, metadata: null });
}

/** JSON records are bounded like all others; a larger `metadata` would be dropped by the store as well. */
const MAX_JSON_CHARACTERS = 256 * 1024;

function json(value: object): string | undefined {
  try {
    const text = JSON.stringify(value);
    return text.length > MAX_JSON_CHARACTERS ? undefined : text;
  } catch {
    // A metadata value that cannot be JSON (a cycle, a BigInt): the stream is journaled without it.
    return undefined;
  }
}
