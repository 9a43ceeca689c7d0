/**
 * The log of one stream. `append` runs for every chunk of every response, so this is a class (one hidden shape, no closures) and
 * does the minimum: it adds the piece to a string, and with the first piece of a tick it adds the log to the writer's list.
 *
 * Pieces are joined by plain concatenation. That is right because they arrive well-formed, one by one, as their
 * bytes go to the wire: a lone surrogate was replaced before it came here, so no two halves can meet in the string
 * and become a character that the client was never sent.
 */
import type { Captured, Piece, StreamLog, WriteTime } from '../../core/save-port.ts';
import { openJson } from '../record-json.ts';
import type { OpenFacts } from '../record-json.ts';

/** A segment of the running process: one file of records, and what the writer knows about it. */
export interface Segment {
  readonly number: number;
  readonly salt: number;
  readonly path: string;
  readonly fd: number;
  /** Bytes of whole records. What lies behind them, if anything, is nothing. */
  size: number;
  /** Bytes of records that somebody still needs. */
  live: number;
  /** The logs that have records in it. */
  readonly logs: Set<Log>;
  /** Written since the last fsync that worked. */
  dirty: boolean;
  /** What is in it is not relied on: an fsync failed, or its tail is torn. */
  invalid: boolean;
  /** Records in it cannot be read back: it is set aside when nobody needs it, not deleted. */
  isDamaged: boolean;
  /** What is behind its size is not read. */
  readonly mayBeTorn: false;
  /** The write that moved the last record out of it: the file may go when that write is durable. */
  movedAt: number;
}

/** Part of a segment that one log fills. */
export interface Extent {
  readonly segment: Segment;
  bytes: number;
}

/** Where one record of ours begins. */
export interface RecordPlace {
  readonly segment: Segment;
  readonly position: number;
}

/** What a log needs of the writer. */
export interface LogHost {
  /** Puts the log on the list, and `schedules` that the list is written, unless the caller sees to it. */
  enqueue(log: Log, schedules: boolean): void;
  flush(): void;
  /** A stream goes on that was kept or settled. */
  reopen(log: Log): void;
  /** See `StreamLog`. */
  releaseBody(log: Log): number | undefined;
  readBack(log: Log, bytes: number): Promise<readonly Piece[]>;
  /** The stream has no message: its records may be deleted. */
  discard(log: Log): void;
  /** Nothing more is appended to it. */
  close(log: Log): void;
}

/** `live`: the saver or the stream has the text in memory. `kept`: only the disk has it. `over`: it is no longer needed. */
export type LogState = 'live' | 'kept' | 'over';

/** One stream's place in the journal. What is not in `StreamLog` belongs to the writer. */
export class Log implements StreamLog {
  readonly host: LogHost;
  /** The stream's number in its records. */
  readonly number: number;
  /** '' for a log without a stream. */
  readonly streamId: string;
  /** Pending text, in order. */
  text = '';
  /** Pending pieces when some are bytes; `text` is empty then. */
  parts: Piece[] | undefined = undefined;
  /** On the writer's list. */
  queued = false;
  /** A text piece may simply be added to `text`. */
  plain = true;
  readonly ahead: boolean;
  /** Epoch milliseconds. */
  readonly startedAtMs: number;

  state: LogState = 'live';
  /** Everything captured so far; gone once it is kept. */
  body: Captured | undefined;
  /** What the open record says; gone once it is kept, then `openAt` says where it is. */
  openFacts: OpenFacts | undefined;
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

  extents: Extent[] = [];
  openAt: RecordPlace | undefined = undefined;
  endAt: RecordPlace | undefined = undefined;
  /** Its records are not whole, or not to be trusted: it has to be written again before it is safe. */
  needsRewrite = false;
  /** A piece was missed that no memory has: it can never be whole on disk again. */
  unrecoverable = false;
  /** An operator has given it up. */
  isPurged = false;
  /** The store has all that it said, but its stream may go on, and no memory has the body: its records stay. */
  isSettled = false;
  /** Its stream is over. */
  isClosed = false;
  /** Number of the last write that held something of it. */
  writtenAt = 0;
  /** Number of the last write that held all of it again, because what there was could not be relied on. */
  rewrittenAt = 0;
  /** When it began to wait for the store, by `performance.now()`; 0 when it does not. */
  waitingSinceMs = 0;

  constructor(
    host: LogHost,
    start: {
      number: number;
      openFacts: OpenFacts | undefined;
      body: Captured;
      ahead: boolean;
    },
  ) {
    this.host = host;
    this.number = start.number;
    this.streamId = start.openFacts?.stream.id ?? '';
    this.openFacts = start.openFacts;
    this.startedAtMs = start.openFacts?.stream.startedAtMs ?? 0;
    this.body = start.body;
    this.ahead = start.ahead;
  }

  append(piece: Piece, when: WriteTime): void {
    if (this.plain && typeof piece === 'string') this.text += piece;
    else this.appendOther(piece);
    if (!this.queued) this.host.enqueue(this, when !== 'turn');
  }

  /** JSON of the open record: made when it is written, which is once for nearly every stream, and not kept. */
  get openJson(): string | undefined {
    return this.openFacts && openJson(this.openFacts);
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

  close(): void {
    this.host.close(this);
  }

  releaseBody(): number | undefined {
    return this.host.releaseBody(this);
  }

  readBack(bytes: number): Promise<readonly Piece[]> {
    return this.host.readBack(this, bytes);
  }

  /** Forgets what waits to be written. */
  clearPending(): void {
    this.text = '';
    this.parts = undefined;
    this.endPending = false;
    this.plain = this.state === 'live' && !this.isSettled;
  }

  /** The message is kept, and everything is on disk: nothing of it stays in memory. */
  releaseMemory(): void {
    this.body = undefined;
    this.openFacts = undefined;
    this.endJson = undefined;
  }

  private appendOther(piece: Piece): void {
    // What was already said about this stream (an end, a settlement) must be on disk before what comes after it.
    if (this.endPending || this.settlePending) this.host.flush();
    if (this.state !== 'live' || this.isSettled) this.host.reopen(this);
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
