/**
 * The interface of the journal for the saver. The journal knows files, records and owners; the saver knows when a message is
 * safe. Nothing here throws: a journal that cannot write returns `false`, and its state says why.
 */
import type { Captured, OpenedStream, Piece, StreamLog } from '../core/save-port.ts';
import type { Message } from '../core/message.ts';
import type { RefusedMessage } from './aside/dead-letters.ts';
import type { AsideCount } from './aside/set-aside.ts';

export type { RefusedMessage };

/** The facts of a finished stream, written as its `end` record: the message less what the body already says. */
export type Ending = Omit<Message, 'text' | 'events'>;

/** A stream found in a journal: this process's own, waiting for the store, or a dead one's. */
export interface JournalEntry {
  readonly opened: OpenedStream;
  /**
   * Absent when the process died before the stream ended: the message is an `interrupted` partial. Asked for after
   * `body`, it is not complete where the body was found to have a hole.
   */
  readonly ending: Ending | undefined;
  /**
   * How many bytes of the body the ending covers, where more followed and the process died before the next end. Only the format of the
   * body can tell whether these bytes belong to the answer.
   */
  readonly endsAt?: number | undefined;
  /** Whether part of the body is known to be missing; to be read after `body`. Absent where it cannot be determined. */
  readonly hasHole?: boolean;
  /** Reads the body from disk; empty, and without an ending from then on, where an operator has purged the message. */
  body(): Promise<readonly Piece[]>;
  /** To be called after the body was read into a message, or that failed: until this call a death of the process counts as caused by it. */
  wasRead?(): void;
  /** The store has it: its records may go. */
  settle(): Promise<void>;
  /** Moves the entry to the end of the backlog. Absent for an entry of a dead process, which is not in the backlog. */
  postpone?(): void;
  /** The store can never take it: moved to `refused/` with the SQLSTATE, kept until an operator acts. */
  refuse(message: Message, sqlstate: string): Promise<void>;
}

/**
 * `unreadable`: files and messages that cannot be read now. `damaged`: segments in `damaged/`. `untrusted`: files and directories that
 * other users could have written, not read. `poisonous`: streams that repeatedly killed the process that read them, not read any more.
 * `foreign`: directories, or messages in a directory of ours, that are for another store.
 */
export type JournalProblem = 'unreadable' | 'damaged' | 'untrusted' | 'poisonous' | 'foreign';

/** The result of erasing messages from disk. */
export interface PurgeCounts {
  readonly purged: number;
  /** Streams that run, or whose message is being saved: they are not erased and are saved as usual. */
  readonly onTheWay: number;
  /** Streams of dead processes with a damaged open record: their conversation and age are unknown, so they are not erased. */
  readonly unknown: number;
}

/** The state of the journal, for health, metrics and log lines. */
export interface JournalState {
  /** Messages (finished or not) whose records are on disk and not settled. */
  readonly entries: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  /** Epoch milliseconds of the oldest entry that waits for the store; 0 when none does. */
  readonly oldestEntryMs: number;
  /** Why it cannot be relied on now: full, read-only, slow, I/O error; `undefined` when it can. */
  readonly degraded: string | undefined;
  /** Records cut as torn or damaged since start. */
  readonly corruptRecords: number;
  /** `none` until its directory could be opened once. */
  readonly fileSystem: 'disk' | 'overlay' | 'tmpfs' | 'network' | 'none';
  readonly ephemeral: boolean;
  /** What an operator should look at, and how much of it there is; kinds of which there is nothing are absent. */
  readonly problems?: Readonly<Partial<Record<JournalProblem, number>>>;
  /** What stands aside, and how many files this process has deleted because they were too old or too much. */
  readonly setAside?: Readonly<Record<'damaged' | 'refused', AsideCount>>;
}

/** The append-only log on local disk that streams are written ahead to. */
export interface Journal {
  /**
   * Starts the log of a stream; its `open` record is written with its first piece. `body` must give everything that
   * was ever appended (it may already hold the piece being appended), for as long as the stream may go on.
   */
  open(stream: OpenedStream, body: Captured): StreamLog;
  /**
   * Appends the `end` record of a stream (again, for a higher revision). From here on the stream is an entry
   * that replay may find.
   */
  end(log: StreamLog, ending: Ending): void;
  /**
   * True once everything appended to this log before the call is fsynced; false when it cannot be. What is appended later
   * changes nothing. One fsync for all that wait.
   */
  sync(log: StreamLog): Promise<boolean>;
  /** The store has this stream's message (up to the last `end`): its records may go. */
  settled(log: StreamLog): void;
  /** Moves a message of a live log to `refused/`; false when that could not be written. */
  refuse(log: StreamLog, message: Message, sqlstate: string): Promise<boolean>;
  /** What this store has refused and stands in `refused/`, oldest first. Throws where that cannot be read. */
  refusedMessages(): readonly RefusedMessage[];
  /**
   * The first entries of this process for which `keep` was called and that are not settled, in the order of their turns:
   * oldest first, postponed ones behind the others. Reads no more than `limit` of them from disk; `isSkipped` is asked
   * before that, by stream id.
   */
  backlog(limit: number, isSkipped?: (streamId: string) => boolean): readonly JournalEntry[];
  /** How many entries wait there. */
  backlogSize(): number;
  /** The saver has dropped the message from memory: from now on the entry is in `backlog`. What is on disk is not asked of `body` again. */
  keep(log: StreamLog): void;
  /**
   * Takes over the journals of dead processes, oldest entry first. Each entry is given to one caller only; one that is neither settled nor
   * refused is found again by the next process.
   */
  recover(signal: AbortSignal): AsyncIterable<JournalEntry>;
  state(): JournalState;
  /**
   * Flushes, fsyncs, releases the directory; removes it when nothing waits in it. Records that come after that are still written, into
   * another directory, and can be synced while the process lives.
   */
  close(): Promise<void>;
}
