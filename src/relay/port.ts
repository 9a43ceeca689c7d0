/**
 * The seam to an engine that several instances share: PostgreSQL, Redis, or another. It knows bytes, offsets and leases;
 * what a head or an ending says is text to it. `test/relay/conformance.ts` is what every engine has to pass.
 *
 * A stream belongs to one instance, which holds a lease. The lease is measured by the engine's clock alone. When it is over,
 * one other instance claims the streams; the first one finds that its lease is not held and registers under a new name.
 *
 * Every method rejects when the engine is away, within a time limit of the engine's own. Then it is not known whether the call was
 * carried out, so each of them may be repeated.
 */

/** A stream that the engine is told of for the first time, or again under a new lease. */
export interface RelayOpening {
  readonly streamId: string;
  /** What another instance needs to rebuild its message and to answer a reader; JSON. */
  readonly head: string;
  /** Epoch milliseconds, by the owner's clock: only for the order of streams of one conversation. */
  readonly startedAtMs: number;
}

/** Bytes of a body. Parts of a stream follow each other without a gap. */
export interface RelayPart {
  readonly streamId: string;
  /** Where it belongs: bytes of the body before it. An engine that has less refuses the batch, or gives nothing behind the gap. */
  readonly at: number;
  /** At least one byte. The longer one of two parts at the same place stays. */
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

/** All that can change of a stream beside its body. */
export interface RelayState {
  readonly streamId: string;
  readonly conversationId: string | null;
  /** Bytes from here on are not for readers yet; `null`: all are. */
  readonly heldFrom: number | null;
  /** What the stream's message is made from beside its body, JSON; `null` until the message is due. */
  readonly ending: string | null;
  /** `null` while it goes on. */
  readonly end: RelayEnd | null;
}

/** What an instance has to tell, in one round trip. */
export interface RelayBatch {
  readonly instance: string;
  /** The instance takes a new lease under this name; false: it renews the one it has. */
  readonly registers: boolean;
  /** From now on, by the engine's clock; 0: it leaves, and its streams may be claimed at once. */
  readonly leaseMs: number;
  /** How long a stream can be read after its end. */
  readonly retainMs: number;
  /** Each has an item in `states` too. */
  readonly openings: readonly RelayOpening[];
  readonly parts: readonly RelayPart[];
  readonly states: readonly RelayState[];
  /** Streams of this instance whose message is in the store, or that leave none. */
  readonly settled: readonly string[];
  /** Streams of others that somebody reads here. */
  readonly following: readonly string[];
}

/** What comes back. */
export interface RelayAnswer {
  /**
   * False: nothing of the batch was taken, and the instance tells its live streams anew under another name. The lease is not
   * held any more, or the engine has lost what it had acknowledged, as one does that fails over to a replica.
   */
  readonly isHeld: boolean;
  /** Of each opened stream, how many bytes from 0 on are there after the batch. */
  readonly lengths: ReadonlyMap<string, number>;
  /** Streams of this instance that somebody wants stopped; told until they have an end. */
  readonly stops: readonly string[];
  /** Streams that are followed on other instances. */
  readonly followed: readonly string[];
  /** The lease of another instance is over. */
  readonly hasExpired: boolean;
}

/** What is known of a stream without its body. */
export interface RelayRecord {
  readonly streamId: string;
  readonly conversationId: string | null;
  readonly head: string;
  readonly end: RelayEnd | null;
}

/** Which stream; of a conversation the newest one that has no end. */
export type RelayQuery = { readonly streamId: string } | { readonly conversationId: string };

/** From where somebody wants to read a stream on. */
export interface RelayPosition {
  readonly streamId: string;
  /** Bytes of the body, a whole number from 0 on; a reading with any other one rejects. */
  readonly offset: number;
}

/** How much of a body is given. */
export interface RelayReading {
  /** For each position; at least one part is given where there is one. */
  readonly maxBytes: number;
  /**
   * Also what is not for readers: held, or retained no longer. For whoever has to save the message, which may be long after the
   * end; only `purge` takes it.
   */
  readonly withHeld: boolean;
}

/** What there is of a stream from a position on. */
export interface RelayTail {
  /** Without a gap from the position on; empty where nothing is there yet. */
  readonly body: Uint8Array;
  readonly end: RelayEnd | null;
}

/** A stream whose owner's lease was over, and whose message is not known to be in the store. */
export interface RelayClaim {
  readonly streamId: string;
  readonly head: string;
  readonly ending: string | null;
}

/** An engine that several instances share. */
export interface Relay {
  /** Registers or renews a lease, and if it is held takes the whole batch, or nothing of it. */
  exchange(batch: RelayBatch): Promise<RelayAnswer>;
  /** `undefined` where nothing is known, or nothing is retained. */
  find(query: RelayQuery): Promise<RelayRecord | undefined>;
  /** An item for each position, in order; `undefined` for a stream that is unknown, or retained no longer. */
  read(
    positions: readonly RelayPosition[],
    reading: RelayReading,
  ): Promise<readonly (RelayTail | undefined)[]>;
  /** Asks the owner to stop a stream. False where the stream is unknown or has an end. */
  command(streamId: string): Promise<boolean>;
  /**
   * Takes over the streams of one instance whose lease is over, if `instance` holds its own. What was settled gets a broken end, if it
   * has none, and is not given.
   */
  claim(instance: string, retainMs: number): Promise<readonly RelayClaim[]>;
  /** The messages of claimed streams are in the store: each gets a broken end, if it has none. Not for streams that others own by now. */
  settled(instance: string, streamIds: readonly string[], retainMs: number): Promise<void>;
  /** Deletes what is retained no longer, or all of one conversation. Resolves to the number of streams. */
  purge(conversationId?: string): Promise<number>;
  /** Releases connections; resolves when that is done. */
  close(): Promise<void>;
}

/** What an instance does with an engine, as log lines call it. */
export type RelayTask = 'exchange' | 'read' | 'claim' | 'adopt' | 'settle' | 'purge' | 'close';
