/**
 * The interface between a response and the saving of its message. The stream layer handles sockets, frames and outcomes; the guard layer
 * handles memory, disk and database. Neither imports the other; they communicate only through this interface.
 */
import type { Message, SaveResult } from './message.ts';
import type { HoldRelease, StreamView } from './observer.ts';

/** The facts of a stream when it opens: enough to rebuild its message in another process. */
export interface OpenedStream {
  readonly id: string;
  readonly messageId: string;
  readonly conversationId: string | null;
  readonly role: string;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly route: string;
  /** The option, `auto` included: decided anew when the body is read. Custom formats give their name. */
  readonly format: string;
  /** The response's media type without parameters, lower case, or ''. */
  readonly contentType: string;
  /** `identity`, or the coding the handler applied itself: then the body is bytes. */
  readonly contentEncoding: string;
  /** Whether every payload is to be stored. */
  readonly events: boolean;
  readonly startedAtMs: number;
  /** Of the body that is kept, decoded, in bytes. Absent in journals of older versions. */
  readonly maxBytes?: number | undefined;
  /** W3C `traceparent` of the stream's span, or `null`. */
  readonly traceparent: string | null;
}

/** A piece of a body: text, or the bytes of an encoded one. */
export type Piece = string | Uint8Array;

/** What was written of a stream so far. */
export interface Captured {
  readonly pieces: readonly Piece[];
}

/**
 * When a piece is written at the latest, if nobody flushes before. `tick`: with everything else of this tick, by a
 * `process.nextTick`. `turn`: the caller flushes at the end of this turn of the event loop.
 */
export type WriteTime = 'tick' | 'turn';

/** The write-ahead log of one stream. Every method returns at once and none throws. */
export interface StreamLog {
  /** Takes a piece before its bytes go toward the socket. */
  append(piece: Piece, when: WriteTime): void;
  /** True: bytes may be sent only after they are written to the journal. False with `flushMs` above 0. */
  readonly ahead: boolean;
  /** True when nothing of this stream waits to be written. */
  readonly clean: boolean;
  /** Writes everything that waits, of every stream. */
  flush(): void;
  /**
   * How many bytes were appended, if all of them are on disk: from then on the log does not read the body from memory, and `readBack`
   * returns it. `undefined`: the body must stay in memory.
   */
  releaseBody(): number | undefined;
  /** Reads the first `bytes` bytes back; less where the disk has less. Rejects with what the disk says. */
  readBack(bytes: number): Promise<readonly Piece[]>;
  /** The stream is over and leaves no message. */
  drop(): void;
  /** The stream is over: nothing more is appended. Until then its records stay where only they have the body. */
  close(): void;
}

/** One message to be saved. */
export interface Save {
  readonly message: Message;
  readonly stream: StreamView;
  /** `undefined` where there is no journal. */
  readonly log: StreamLog | undefined;
  /** Whether a terminal frame waits for it now. */
  readonly holds: () => boolean;
  /** After so long without a commit the message goes to the journal. */
  readonly confirmTimeoutMs: number;
  /** After so long without any result it is `missing`; without a journal, `lost`. */
  readonly missingAfterMs: number;
}

/** The progress of a save, in two steps: whether the held frame may be sent, and the result of the message. */
export interface SaveProgress {
  /** `saved`, `journaled`, or `unconfirmed` at the deadline. Never rejects. */
  readonly confirmed: Promise<Exclude<HoldRelease, 'client-gone'>>;
  /** Never rejects. */
  readonly result: Promise<{
    readonly result: SaveResult;
    readonly attempts: number;
    readonly errorType: string | undefined;
  }>;
}

/** A message that is due and still being read. */
export interface AnnouncedSave extends Pick<Save, 'stream' | 'holds' | 'confirmTimeoutMs'> {
  readonly messageId: string;
  /** Settles when it was read and handed over, or when that failed. */
  readonly saved: Promise<SaveProgress>;
}

/** Keeps messages. Implemented by the guard layer. It reports `onSave` and `onAttempt` itself; `onDue` is the stream's. */
export interface Keeper {
  /**
   * A guarded stream begins. `body` gives everything captured so far, for writing it again when a
   * segment of the journal has to go. `undefined` when there is no journal.
   */
  open(stream: OpenedStream, body: Captured): StreamLog | undefined;
  /**
   * A message is due that is still being read: it is pending until `saved` is settled. Resolves with what confirms it, or with
   * `unconfirmed` where reading it takes longer than `confirmTimeoutMs`. Never rejects.
   */
  announce(save: AnnouncedSave): SaveProgress['confirmed'];
  /** Takes a message. A second call with the same id and a higher revision is a reopened stream. */
  save(save: Save): SaveProgress;
}

/** What a body says, as far as it is kept. */
export interface BodyContent {
  readonly text: string;
  readonly events: readonly unknown[] | null;
  /** True when every payload was recognised as carrying nothing. */
  readonly empty: boolean;
  readonly finished: boolean;
  readonly unknownText: boolean;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** Of the decoded body, over `maxBytes`; absent for none. */
  readonly droppedBytes?: number;
}

/**
 * Rebuilds the message of a stream from its body, in the process that recovers it, in slices where it is large. Given to the
 * guard by the composition. Never rejects.
 */
export type ReadBody = (
  stream: OpenedStream,
  body: readonly Piece[],
) => BodyContent | Promise<BodyContent>;
