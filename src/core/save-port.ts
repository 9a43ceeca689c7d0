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
  /** The option, `auto` included, which is resolved again when the body is read. For a custom format its name. */
  readonly format: string;
  /** The response's media type without parameters, lower case, or ''. */
  readonly contentType: string;
  /** `identity`, or the content coding that the handler applied itself: then the body is bytes. */
  readonly contentEncoding: string;
  /** Whether every payload is to be stored. */
  readonly events: boolean;
  readonly startedAtMs: number;
  /** Limit of the captured, decoded body, in bytes. Absent in journals of older versions. */
  readonly maxBytes?: number | undefined;
  /** W3C `traceparent` of the stream's span, or `null`. */
  readonly traceparent: string | null;
}

/** A piece of a body: text, or the bytes of an encoded one. */
export type Piece = string | Uint8Array;

/** The captured part of a body so far. */
export interface Captured {
  readonly pieces: readonly Piece[];
}

/**
 * The latest time at which a piece is written, unless `flush` is called before. `tick`: together with the other pieces of this tick, in a
 * `process.nextTick`. `turn`: the caller flushes at the end of this turn of the event loop.
 */
export type WriteTime = 'tick' | 'turn';

/** The write-ahead log of one stream. Every method returns at once and none throws. */
export interface StreamLog {
  /** Appends a piece before its bytes are written to the socket. */
  append(piece: Piece, when: WriteTime): void;
  /** True: bytes may be sent only after they are written to the journal. False with `flushMs` above 0. */
  readonly ahead: boolean;
  /** True when every piece of this stream is written. */
  readonly clean: boolean;
  /** Writes the waiting pieces of all streams. */
  flush(): void;
  /**
   * How many bytes were appended, if all of them are on disk: from then on the log does not read the body from memory, and `readBack`
   * returns it. `undefined`: the body must stay in memory.
   */
  releaseBody(): number | undefined;
  /** Reads the first `bytes` bytes back; fewer where the disk has fewer. Rejects with the error of the file system. */
  readBack(bytes: number): Promise<readonly Piece[]>;
  /** The stream has ended without a message. */
  drop(): void;
  /**
   * The stream has ended: nothing more is appended. Before this call, the records of a saved message are kept if its body is not in memory.
   */
  close(): void;
}

/** One message to be saved. */
export interface Save {
  readonly message: Message;
  readonly stream: StreamView;
  /** `undefined` where there is no journal. */
  readonly log: StreamLog | undefined;
  /** Whether a terminal frame waits for this save now. */
  readonly holds: () => boolean;
  /** If the store does not commit within this time, the message is written to the journal. */
  readonly confirmTimeoutMs: number;
  /** If there is no result within this time, the result is `missing`; without a journal `lost`. */
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

/** A save whose message is due, while its body is still being read. */
export interface AnnouncedSave extends Pick<Save, 'stream' | 'holds' | 'confirmTimeoutMs'> {
  readonly messageId: string;
  /** Resolves once the body was read and the message passed to `save`; rejects if that failed. */
  readonly saved: Promise<SaveProgress>;
}

/** Saves messages; implemented by the guard layer. It reports `onSave` and `onAttempt`; the stream layer reports `onDue`. */
export interface Keeper {
  /**
   * Opens the log of a guarded stream. `body` provides everything captured so far, to write it again when a segment of the journal has to
   * be deleted. `undefined` without a journal.
   */
  open(stream: OpenedStream, body: Captured): StreamLog | undefined;
  /**
   * Registers a message that is due while its body is still being read: it is pending until `saved` settles. Resolves as
   * `SaveProgress.confirmed`, or to `unconfirmed` if reading takes longer than `confirmTimeoutMs`. Never rejects.
   */
  announce(save: AnnouncedSave): SaveProgress['confirmed'];
  /** Saves a message. A second call with the same id and a higher revision belongs to a reopened stream. */
  save(save: Save): SaveProgress;
}

/** The content of a body, as far as it is captured. */
export interface BodyContent {
  readonly text: string;
  readonly events: readonly unknown[] | null;
  /** True when every payload was recognised and none has content. */
  readonly empty: boolean;
  readonly finished: boolean;
  readonly unknownText: boolean;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** Bytes of the decoded body beyond `maxBytes`; absent where there are none. */
  readonly droppedBytes?: number;
}

/**
 * Rebuilds the message of a stream from its body, in the process that recovers it; a large body is read in slices. The composition passes
 * this function to the guard. Never rejects.
 */
export type ReadBody = (
  stream: OpenedStream,
  body: readonly Piece[],
) => BodyContent | Promise<BodyContent>;
