/**
 * Readers of streams: served from memory where the stream is live in this process, and by one batched read of the engine for all
 * others. A reader stores its offset and no bytes; while its sink is full nothing is read for it.
 */
import type { Clock } from '../core/clock.ts';
import { type PieceCursor, START } from './source.ts';
import type { Relay, RelayEnd, RelayPosition, RelayTail } from './port.ts';
import type { RelayedStream } from './relayed-stream.ts';

/** How often streams of this process are read for their readers. */
const LOCAL_EVERY_MS = 25;
/** The most bytes that a reader gets in one write. */
const GIVEN_BYTES = 262_144;
/** Approximate bytes that one batched read requests for all positions together. */
const READING_BYTES = 8_388_608;
/** The least bytes that it requests for one position. */
const GIVEN_MIN_BYTES = 16_384;
/** How long a reader waits while the engine is unavailable. */
const AWAY_MAX_MS = 30_000;

/** Receives the bytes. */
export interface ReaderSink {
  /** Returns false where the sink is full: no more is written until `wake` is called. */
  write(body: Uint8Array): boolean;
  /** No more bytes follow. `false`: the stream ended irregularly or is unknown, the engine was unavailable too long, or we close. */
  end(isTidy: boolean): void;
}

/** Controls one reader. */
export interface ReaderHandle {
  /** The sink accepts bytes again. */
  wake(): void;
  /** Removes the reader; its sink is not called again. */
  stop(): void;
}

interface Reader {
  readonly streamId: string;
  readonly sink: ReaderSink;
  offset: number;
  cursor: PieceCursor;
  isFull: boolean;
  /** Monotonic; when the engine first failed to answer. */
  awaySinceMs: number | undefined;
}

/** Options of `Readers`. */
export interface ReadersOptions {
  readonly engine: Relay;
  readonly clock: Clock;
  /** How often other instances' streams are read. */
  readonly everyMs: number;
  readonly streamOf: (streamId: string) => RelayedStream | undefined;
  /** A stream of another instance has its first reader in this process. */
  readonly onFollow: () => void;
  readonly onError: (error: unknown) => void;
}

/** All readers of one instance. */
export class Readers {
  readonly #options: ReadersOptions;
  readonly #readers = new Set<Reader>();
  #cancelTimer: (() => void) | undefined;
  #isReading = false;
  #lastReadMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReadersOptions) {
    this.#options = options;
  }

  /** Writes everything from `offset` on to a sink, then calls its `end`. The first write is in a later turn. */
  follow({ streamId, offset }: RelayPosition, sink: ReaderSink): ReaderHandle {
    const isNew = this.#options.streamOf(streamId) === undefined && this.count(streamId) === 0;
    const cursor = START;
    const reader: Reader = {
      streamId,
      sink,
      offset,
      cursor,
      isFull: false,
      awaySinceMs: undefined,
    };
    this.#readers.add(reader);
    this.#lastReadMs = Number.NEGATIVE_INFINITY;
    this.#schedule(0);
    if (isNew) this.#options.onFollow();
    return {
      wake: () => {
        reader.isFull = false;
        this.#schedule(0);
      },
      stop: () => void this.#readers.delete(reader),
    };
  }

  /** Readers of one stream in this process. */
  count(streamId: string): number {
    let count = 0;
    for (const reader of this.#readers) if (reader.streamId === streamId) count += 1;
    return count;
  }

  /** Streams of other instances that have readers in this process. */
  following(): readonly string[] {
    const ids = new Set<string>();
    for (const { streamId } of this.#readers) {
      if (this.#options.streamOf(streamId) === undefined) ids.add(streamId);
    }
    return [...ids];
  }

  /** Ends every reader irregularly. */
  close(): void {
    this.#cancelTimer?.();
    for (const reader of this.#readers) this.#end(reader, false);
  }

  #schedule(ms: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#readers.size === 0) return;
    this.#cancelTimer = this.#options.clock.after(ms, () => {
      void this.#turn().finally(() => this.#schedule(LOCAL_EVERY_MS));
    });
  }

  /** Gives every reader whose sink is not full the bytes that are there. Never rejects. */
  async #turn(): Promise<void> {
    const remote: Reader[] = [];
    for (const reader of this.#readers) {
      if (reader.isFull) continue;
      const stream = this.#options.streamOf(reader.streamId);
      if (stream === undefined) remote.push(reader);
      else this.#giveLocal(reader, stream);
    }
    const { clock, everyMs } = this.#options;
    const isDue = clock.monotonicMs() - this.#lastReadMs >= everyMs;
    if (remote.length === 0 || this.#isReading || !isDue) return;
    this.#isReading = true;
    this.#lastReadMs = clock.monotonicMs();
    try {
      await this.#giveRemote(remote);
    } finally {
      this.#isReading = false;
    }
  }

  #giveLocal(reader: Reader, stream: RelayedStream): void {
    const { body, cursor } = stream.readFrom(reader.cursor, reader.offset, GIVEN_BYTES);
    reader.cursor = cursor;
    this.#give(reader, body, stream.localEnd);
  }

  async #giveRemote(readers: readonly Reader[]): Promise<void> {
    const { engine, onError } = this.#options;
    const keys = [...new Set(readers.map(keyOf))];
    const byKey = new Map(readers.map((reader) => [keyOf(reader), reader]));
    const positions = keys.flatMap((key): RelayPosition[] => {
      const reader = byKey.get(key);
      return reader === undefined ? [] : [{ streamId: reader.streamId, offset: reader.offset }];
    });
    const share = Math.floor(READING_BYTES / positions.length);
    const maxBytes = Math.min(GIVEN_BYTES, Math.max(GIVEN_MIN_BYTES, share));
    let tails: readonly (RelayTail | undefined)[];
    try {
      tails = await engine.read(positions, { maxBytes, withHeld: false });
    } catch (error) {
      onError(error);
      return this.#noteAway(readers);
    }
    const found = new Map(keys.map((key, index) => [key, tails[index]]));
    for (const reader of readers) {
      const tail = found.get(keyOf(reader));
      reader.awaySinceMs = undefined;
      if (tail === undefined) this.#end(reader, false);
      else this.#give(reader, tail.body, tail.end);
    }
    // A position got all that it requested, so more may be there: the next read is due at once.
    if (tails.some((tail) => tail !== undefined && tail.body.length >= maxBytes)) {
      this.#lastReadMs = Number.NEGATIVE_INFINITY;
    }
  }

  #give(reader: Reader, body: Uint8Array, end: RelayEnd | null): void {
    if (!this.#readers.has(reader)) return;
    reader.offset += body.length;
    try {
      if (body.length > 0) reader.isFull = !reader.sink.write(body);
    } catch (error) {
      // For example a header of another instance that this version of Node refuses. It does not affect other readers.
      this.#options.onError(error);
      return this.#end(reader, false);
    }
    if (end === null) return;
    if (reader.offset >= end.length) this.#end(reader, end.isTidy);
    // The engine does not have the rest, or readers may not have it.
    else if (body.length === 0) this.#end(reader, false);
  }

  #noteAway(readers: readonly Reader[]): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const reader of readers) {
      reader.awaySinceMs ??= nowMs;
      if (nowMs - reader.awaySinceMs > AWAY_MAX_MS) this.#end(reader, false);
    }
  }

  #end(reader: Reader, isTidy: boolean): void {
    if (!this.#readers.delete(reader)) return;
    try {
      reader.sink.end(isTidy);
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

/** Readers at the same offset of a stream share one position. */
function keyOf({ streamId, offset }: RelayPosition): string {
  return `${offset} ${streamId}`;
}
