/** The streams of one instance that are being sent to the engine, and what one exchange contains of them. */
import type { RelayAnswer, RelayBatch, RelayPart, RelayState } from './port.ts';
import { RelayedStream, type StreamShare } from './relayed-stream.ts';
import type { RelaySource } from './source.ts';

/** Approximate bytes of all streams in one exchange. */
const BATCH_BYTES = 4_194_304;
/** Limits for ended streams that wait for the engine: how many, and how many bytes of their bodies. */
const ENDED_MAX = 1_000;
const ENDED_MAX_BYTES = 67_108_864;

/** What one exchange contains of the streams. */
export interface SetShare {
  readonly shares: ReadonlyMap<RelayedStream, StreamShare>;
  /** Streams whose message is in the store. */
  readonly settled: readonly string[];
  /** After this exchange the engine lacks only what is captured from now on, and the bytes of streams that this exchange opens. */
  readonly isAll: boolean;
}

/** An exchange that only renews the lease. */
export const NOTHING: SetShare = { shares: new Map(), settled: [], isAll: false };

/** The part of a batch that it makes. */
export function toldBy({ shares, settled }: SetShare): ToldStreams {
  const all = [...shares.values()];
  return {
    openings: all.flatMap(({ opening }) => opening ?? []),
    parts: all.flatMap(({ parts }): readonly RelayPart[] => parts),
    states: all.flatMap(({ state }): RelayState[] => (state === undefined ? [] : [state])),
    settled,
  };
}

type ToldStreams = Pick<RelayBatch, 'openings' | 'parts' | 'states' | 'settled'>;

/** All streams of an instance, in the order in which they began. */
export class StreamSet {
  readonly #streams = new Map<string, RelayedStream>();
  /** Ids of streams that were removed from `#streams` before their message was settled. */
  readonly #settled = new Set<string>();
  #dropped = 0;

  get size(): number {
    return this.#streams.size;
  }

  /** A stream begins. */
  add(source: RelaySource): RelayedStream {
    const stream = new RelayedStream(source);
    this.#streams.set(stream.id, stream);
    return stream;
  }

  /** The stream that is live here, or whose end the engine does not have yet. */
  get(streamId: string): RelayedStream | undefined {
    return this.#streams.get(streamId);
  }

  /** The newest stream of a conversation that has no end. */
  newestOf(conversationId: string): string | undefined {
    let newest: string | undefined;
    for (const { id, source } of this.#streams.values()) {
      if (source.conversationId === conversationId && source.end === undefined) newest = id;
    }
    return newest;
  }

  /** Its message is in the store, or it has none. */
  settle(streamId: string): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#settled.add(streamId);
    else stream.settle();
  }

  /** Bytes of ended bodies that are kept until the engine has them. */
  get endedBytes(): number {
    let bytes = 0;
    for (const stream of this.#streams.values()) bytes += stream.endedBytes;
    return bytes;
  }

  /** Ended streams that were dropped before the engine had all of them, so far. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether the engine lacks anything. */
  get hasNews(): boolean {
    if (this.#settled.size > 0) return true;
    for (const stream of this.#streams.values()) if (stream.hasNews) return true;
    return false;
  }

  /** Whether a caller waits until the engine has a stream. */
  get isAsked(): boolean {
    for (const { waiters } of this.#streams.values()) if (waiters.length > 0) return true;
    return false;
  }

  /** What the engine lacks of the streams, up to the size of one exchange; the next call returns the rest. */
  take(): SetShare {
    const shares = new Map<RelayedStream, StreamShare>();
    const settled = [...this.#settled];
    let bytes = 0;
    let isAll = true;
    for (const stream of this.#streams.values()) {
      if (bytes > BATCH_BYTES) {
        isAll = false;
        break;
      }
      const share = stream.next();
      if (share === undefined) {
        stream.takeWaiters();
        // When the body was removed from memory, the engine never gets the bytes that it lacked then.
        stream.tellTaken(stream.source.isWhole);
        continue;
      }
      if (share.isAll) stream.takeWaiters();
      else if (share.opening === undefined && stream.source.isWhole) isAll = false;
      if (share.isSettled) settled.push(stream.id);
      shares.set(stream, share);
      for (const { body } of share.parts) bytes += body.length;
    }
    return { shares, settled, isAll };
  }

  /** The engine has stored it. A stream of which it has everything is removed. */
  confirm({ shares, settled }: SetShare, answer: RelayAnswer): void {
    for (const id of settled) this.#settled.delete(id);
    for (const [stream, share] of shares) {
      stream.confirm(share, answer.lengths.get(stream.id));
      if (share.isAll) stream.tellTaken(true);
      if (!stream.isTold) continue;
      this.#streams.delete(stream.id);
      // Callers that began to wait since: no later exchange will contain this stream.
      stream.takeWaiters();
      stream.tellTaken(stream.source.isWhole);
    }
  }

  /** The exchange failed: everything that waits for it resolves to false. */
  refuseWaiters(): void {
    for (const stream of this.#streams.values()) {
      stream.takeWaiters();
      stream.tellTaken(false);
    }
  }

  /** All streams are sent to the engine again from the beginning. */
  reopen(): void {
    for (const stream of this.#streams.values()) stream.reopen();
  }

  /** Removes the oldest ended streams above the limits; true where it removed any. */
  dropOldest(): boolean {
    const newestFirst = [...this.#streams.values()].toReversed();
    let kept = 0;
    let bytes = 0;
    let dropped = 0;
    for (const { id, source, endedBytes } of newestFirst) {
      if (source.end === undefined) continue;
      kept += 1;
      bytes += endedBytes;
      if (kept <= ENDED_MAX && bytes <= ENDED_MAX_BYTES) continue;
      this.#streams.delete(id);
      dropped += 1;
    }
    this.#dropped += dropped;
    return dropped > 0;
  }
}
