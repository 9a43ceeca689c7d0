/**
 * The interface to an engine that several instances share: PostgreSQL, Redis, or another. The engine handles bytes, offsets and
 * leases; a head and an ending are opaque text to it. Every engine must pass the tests in `test/relay/conformance.ts`.
 *
 * A stream belongs to one instance, which holds a lease. The engine measures leases by its own clock alone. When a lease expires,
 * one other instance claims the streams; the next exchange of the former owner answers that the lease is not held, and that owner
 * registers under a new name.
 *
 * Every method rejects when the engine is unavailable, within a time limit of the engine's own. The caller then cannot tell whether
 * the call took effect, so every method can be repeated safely.
 */

/** A stream that is sent to the engine for the first time, or again under a new lease. */
export interface RelayOpening {
  readonly streamId: string;
  /** What another instance needs to rebuild its message and to answer a reader; JSON. */
  readonly head: string;
  /** Epoch milliseconds, by the owner's clock: only for the order of streams of one conversation. */
  readonly startedAtMs: number;
}

/** Bytes of a body. The parts of a stream in a batch are contiguous. */
export interface RelayPart {
  readonly streamId: string;
  /** Offset in the body. An engine that has fewer bytes refuses the batch, or returns no bytes after the gap. */
  readonly at: number;
  /** At least one byte. Of two parts at the same offset the longer one is kept. */
  readonly body: Uint8Array;
}

/** How a response ended. */
export interface RelayEnd {
  /** False where the connection of the client was broken, or would have been. */
  readonly isTidy: boolean;
  /** Bytes of the whole body. */
  readonly length: number;
  /** An `Outcome`. */
  readonly outcome: string;
  /** A `SaveResult` or a `SkipReason`; `null` while it is not known. */
  readonly save: string | null;
}

/** The mutable fields of a stream, without its body. */
export interface RelayState {
  readonly streamId: string;
  readonly conversationId: string | null;
  /** Offset in bytes from which readers get nothing yet; `null`: readers get all. */
  readonly heldFrom: number | null;
  /** What the message is built from together with the body, JSON; `null` until the message is due. */
  readonly ending: string | null;
  /** `null` while the stream runs. */
  readonly end: RelayEnd | null;
}

/** What an instance sends in one round trip. */
export interface RelayBatch {
  readonly instance: string;
  /** The instance takes a new lease under this name; false: it renews the one it has. */
  readonly registers: boolean;
  /** Duration of the lease from now, by the engine's clock; 0: the instance stops, and its streams may be claimed at once. */
  readonly leaseMs: number;
  /** How long a stream can be read after its end. */
  readonly retainMs: number;
  /** Each has an item in `states` too. */
  readonly openings: readonly RelayOpening[];
  readonly parts: readonly RelayPart[];
  readonly states: readonly RelayState[];
  /** Streams of this instance whose message is in the store, or that have none. */
  readonly settled: readonly string[];
  /** Streams of other instances that have readers at this one. */
  readonly following: readonly string[];
}

/** The answer of the engine to a batch. */
export interface RelayAnswer {
  /**
   * False: nothing of the batch was stored, and the instance sends its live streams again under another name. Either the lease is no
   * longer held, or the engine has lost data that it had acknowledged, for example in a failover to a replica.
   */
  readonly isHeld: boolean;
  /** For each opened stream, how many bytes the engine has, contiguous from 0, after the batch. */
  readonly lengths: ReadonlyMap<string, number>;
  /** Streams of this instance for which `command` was called; repeated until they have an end. */
  readonly stops: readonly string[];
  /** Streams that have readers at other instances. */
  readonly followed: readonly string[];
  /** The lease of another instance has expired. */
  readonly hasExpired: boolean;
}

/** A stream without its body. */
export interface RelayRecord {
  readonly streamId: string;
  readonly conversationId: string | null;
  readonly head: string;
  readonly end: RelayEnd | null;
}

/** Selects a stream by id, or the newest stream of a conversation that has no end. */
export type RelayQuery = { readonly streamId: string } | { readonly conversationId: string };

/** The position in a stream from which to read. */
export interface RelayPosition {
  readonly streamId: string;
  /** Offset in bytes, a non-negative integer; `read` rejects for any other value. */
  readonly offset: number;
}

/** How much of a body `read` returns. */
export interface RelayReading {
  /** For each position; at least one part is returned where there is one. */
  readonly maxBytes: number;
  /**
   * Also returns what readers do not get: held bytes, and streams whose retention time is over. Used to save the message, possibly
   * long after the end; until `purge` deletes the stream.
   */
  readonly withHeld: boolean;
}

/** The bytes of a stream from a position on. */
export interface RelayTail {
  /** Contiguous from the position on; empty where nothing is there yet. */
  readonly body: Uint8Array;
  readonly end: RelayEnd | null;
}

/** A claimed stream: the lease of its owner had expired, and its message is not known to be in the store. */
export interface RelayClaim {
  readonly streamId: string;
  readonly head: string;
  readonly ending: string | null;
}

/** An engine that several instances share. */
export interface Relay {
  /** Registers or renews a lease. If the lease is held, stores the whole batch, else nothing of it. */
  exchange(batch: RelayBatch): Promise<RelayAnswer>;
  /** `undefined` for a stream that is unknown, or whose retention time is over. */
  find(query: RelayQuery): Promise<RelayRecord | undefined>;
  /** An item for each position, in order; `undefined` for a stream that is unknown, or whose retention time is over. */
  read(
    positions: readonly RelayPosition[],
    reading: RelayReading,
  ): Promise<readonly (RelayTail | undefined)[]>;
  /** Asks the owner to stop a stream. False where the stream is unknown or has an end. */
  command(streamId: string): Promise<boolean>;
  /**
   * Takes over the streams of one instance whose lease has expired, if `instance` holds its own lease. A settled stream is not
   * returned; it gets an irregular end, if it has none. With `repeats` the result also contains the streams that `instance` claimed
   * before and that are not settled: the reply to an earlier call may have been lost. `false` by default.
   */
  claim(instance: string, retainMs: number, repeats?: boolean): Promise<readonly RelayClaim[]>;
  /** The messages of claimed streams are in the store: each gets an irregular end, if it has none. Ignores streams of other owners. */
  settled(instance: string, streamIds: readonly string[], retainMs: number): Promise<void>;
  /** Deletes streams whose retention time is over, or all streams of one conversation. Resolves to the number of streams. */
  purge(conversationId?: string): Promise<number>;
  /** Releases connections; resolves when that is done. */
  close(): Promise<void>;
}

/** The operations of an instance on an engine, by their names in log lines. */
export type RelayTask = 'exchange' | 'read' | 'claim' | 'adopt' | 'settle' | 'purge' | 'close';
