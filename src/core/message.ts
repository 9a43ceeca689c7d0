/**
 * The types of the domain: how a stream ends, the message that is saved of it, and the store. Every other file may import these; they
 * import nothing.
 */

/** How a stream ended. Each stream gets exactly one. */
export type Outcome =
  /** The finish marker was sent while the client was connected, or the handler ended normally where the format needs no marker. */
  | 'completed'
  /** The client left first. */
  | 'disconnected'
  /** `stopHandler()` or `stop()` ended it. */
  | 'stopped'
  /** The handler threw, rejected or destroyed the response, or the stream contained an error frame. */
  | 'failed'
  /** Nothing came for too long, from upstream or on the socket. */
  | 'timed-out'
  /** A clean end without the finish marker that the format needs. */
  | 'truncated'
  /** This process stopped, on purpose or by a crash. */
  | 'interrupted';

/** Who ended the stream. */
export type Side = 'client' | 'upstream' | 'server';

/** Every outcome, for code that needs the closed set (labels, option checks). */
export const OUTCOMES = [
  'completed',
  'disconnected',
  'stopped',
  'failed',
  'timed-out',
  'truncated',
  'interrupted',
] as const satisfies readonly Outcome[];

/**
 * The result of a message that was due: `saved` (committed), `journaled` (fsynced on local disk, replay will save it), `lost` (neither
 * store nor journal took it), `missing` (no answer in time).
 */
export type SaveResult = 'saved' | 'journaled' | 'lost' | 'missing';

/** Every save result, for code that needs the closed set. */
export const SAVE_RESULTS = [
  'saved',
  'journaled',
  'lost',
  'missing',
] as const satisfies readonly SaveResult[];

/** Why a stream has no message: it was empty, or the app's policy discarded it. */
export type SkipReason = 'empty' | 'discarded';

/** What is kept of one stream. */
export interface Message {
  /** A UUIDv7 made when the stream started, unless the app gave its own. */
  readonly id: string;
  /** A UUIDv7; the identity of the stream, which retries and replays share. */
  readonly streamId: string;
  /** `null` where the app named none. */
  readonly conversationId: string | null;
  /** `assistant` unless the app says otherwise. */
  readonly role: string;
  /** The text of the answer, as a client would show it. */
  readonly text: string;
  /** Every parsed payload; `null` where the text alone is the whole content. */
  readonly events: readonly unknown[] | null;
  /** The app's metadata, and under `lastchunk` what lastchunk adds (finish reason, requested id). JSON values only. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** True when this is the whole answer. */
  readonly complete: boolean;
  /** How its stream ended. */
  readonly outcome: Outcome;
  /** Who ended it. */
  readonly side: Side;
  /** 0, and one more for each time the stream continued after a terminal frame. */
  readonly revision: number;
  /** Body writes toward the client. */
  readonly chunks: number;
  /** Bytes of all body writes. */
  readonly bytes: number;
  /** Bytes beyond `maxBytes`, which were not kept. */
  readonly droppedBytes: number;
  /** The trace id of the request, 32 hex digits. */
  readonly traceId: string | null;
  /** Start of the request. */
  readonly startedAt: Date;
  /** End of the stream: `startedAt` plus the duration by the monotonic clock. */
  readonly endedAt: Date;
}

/**
 * Where messages go. `save` commits all of them or rejects; it must be idempotent by `message.id`
 * and never replace a row of the same stream by one of lower rank `(revision, complete, text length)`.
 *
 * When a message is sent alone, a rejection refuses it (*refused*: it can never be stored) if `refuse` has marked the error, or if the
 * `code` of the error or of one of its causes is an SQLSTATE of class 22 or 23, or 54000. After every other rejection the store counts as
 * *away*, and the message is tried again.
 */
export interface MessageStore {
  /** Resolves when every message is stored durably, each once by its `id`; rejects if one of them is not. */
  save(messages: readonly Message[]): Promise<void>;
  /** Releases connections. Called once, after the last save. */
  close(): Promise<void>;
}
