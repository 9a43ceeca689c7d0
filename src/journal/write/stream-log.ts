/**
 * The log of one stream. `append` runs for every chunk of every response, so this is a class (one hidden shape, no closures) and
 * does the minimum: it adds the piece to a string, and with the first piece of a tick it adds the log to the writer's list.
 *
 * Pieces are joined by plain concatenation. That is correct because each piece is well-formed: the capture has replaced lone
 * surrogates, so two halves cannot join to a character that the client never received.
 */
import type { Captured, Piece, StreamLog, WriteTime } from '../../core/save-port.ts';
import { openJson } from '../record-json.ts';
import type { OpenFacts } from '../record-json.ts';

/** A segment of the running process: one file of records, and the writer's state of it. */
export interface Segment {
  readonly number: number;
  readonly salt: number;
  readonly path: string;
  readonly fd: number;
  /** Bytes of whole records. Bytes of the file after them are ignored. */
  size: number;
  /** Bytes of records that a log still needs. */
  live: number;
  /** The logs that have records in it. */
  readonly logs: Set<Log>;
  /** Written since the last successful fsync. */
  dirty: boolean;
  /** Its content cannot be relied on: an fsync failed, its tail is torn, or another process deleted or truncated it. */
  invalid: boolean;
  /** Records in it cannot be read: when no log needs it, it is moved to `damaged/` instead of deleted. */
  isDamaged: boolean;
  /** Bytes after `size` are not read, so there is no torn record. */
  readonly mayBeTorn: false;
  /** Number of the write that copied the last record out of it: the file may be deleted when that write is durable. */
  movedAt: number;
}

/** How many bytes of a segment one log needs. */
export interface Extent {
  readonly segment: Segment;
  bytes: number;
}

/** Where one record of ours begins. */
export interface RecordPlace {
  readonly segment: Segment;
  readonly position: number;
}

/** The writer, for a log. */
export interface LogHost {
  /** Puts the log on the list; with `schedules` also schedules the flush of the list. */
  enqueue(log: Log, schedules: boolean): void;
  flush(): void;
  /** A kept or settled stream continues. */
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

/** One stream in the journal. Members that are not in `StreamLog` are for the writer only. */
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
  /** A text piece can be added to `text` without any other step. */
  plain = true;
  readonly ahead: boolean;
  /** Epoch milliseconds. */
  readonly startedAtMs: number;

  state: LogState = 'live';
  /** Everything captured so far; `undefined` once it is only on disk. */
  body: Captured | undefined;
  /** Content of the open record; `undefined` once it is only on disk, at `openAt`. */
  openFacts: OpenFacts | undefined;
  endJson: string | undefined = undefined;
  opened = false;
  endPending = false;
  /** The store has it up to `offset` and `revision`; the `settled` record is not written yet. */
  settlePending = false;
  /** Bytes of the body that have been written. */
  offset = 0;
  /** Revision of the last `end`; -1 before it. */
  revision = -1;
  /** Bytes of the body that the last `end` covers; more may have followed. */
  endsAt = 0;

  extents: Extent[] = [];
  openAt: RecordPlace | undefined = undefined;
  endAt: RecordPlace | undefined = undefined;
  /** Its records are incomplete or cannot be relied on: it has to be written again before it is safe. */
  needsRewrite = false;
  /** A piece was not written and is not in memory: it can never be complete on disk again. */
  unrecoverable = false;
  /** An operator has purged it. */
  isPurged = false;
  /** The store has its message, but its stream may continue, and its body is not in memory: its records stay. */
  isSettled = false;
  /** Its stream is over. */
  isClosed = false;
  /** Number of the last write that contained a record of it. */
  writtenAt = 0;
  /** Number of the last write that contained all of it again, because its records could not be relied on. */
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

  /** JSON of the open record: serialised at each access, because nearly every stream writes it only once. */
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

  /** Discards the pending pieces and the pending end. */
  clearPending(): void {
    this.text = '';
    this.parts = undefined;
    this.endPending = false;
    this.plain = this.state === 'live' && !this.isSettled;
  }

  /** Everything is on disk: releases it from memory. */
  releaseMemory(): void {
    this.body = undefined;
    this.openFacts = undefined;
    this.endJson = undefined;
  }

  private appendOther(piece: Piece): void {
    // A pending end or settlement must be written before the piece that follows it.
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
    // The capture made its own copy of these bytes, so they do not change.
    this.parts.push(piece);
  }
}
