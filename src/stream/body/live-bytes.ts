/**
 * How much memory the bodies of all streams on their way take together. Each stream has its own bound, but a thousand of them
 * have none together: abandoned answers go on for minutes, and twenty large ones may end at once. Over the bound, bodies that
 * the journal holds leave memory, the largest first, and are read back when their message is due. Where no journal can hold
 * them, the largest are cut.
 */
import type { Piece } from '../../core/save-port.ts';

/** A body whose memory is counted. */
export interface HeldBody {
  /** Estimated bytes of memory of what it keeps. */
  readonly heldBytes: number;
  /** It is being read, or was: it stays as it is until its stream is over. */
  readonly isRead: boolean;
  /** Leaves memory if the journal holds it. */
  leaveMemory(): void;
  /** Keeps no more than its first `bytes` bytes of memory, and nothing that comes. */
  cutTo(bytes: number): void;
}

/** The beginning of a body that is on disk only. */
export interface StoredBeginning {
  readonly bytes: number;
  /** Pieces of it are bytes, not text. */
  readonly isBytes: boolean;
  /** Reads it back for `use`, one body at a time. What the disk does not give any more is missing at its end. */
  readBack<T>(use: (pieces: readonly Piece[]) => Promise<T>): Promise<T>;
}

/** What the bound is made of. */
export interface LiveBytesOptions {
  readonly maxBytes: number;
  /** Those that are on their way. */
  readonly streams: ReadonlyMap<string, { readonly body: HeldBody | undefined }>;
  /** So many bodies were cut just now. */
  readonly onCut: (count: number) => void;
}

/** The bound where the app says nothing and the heap is large. */
export const MAX_LIVE_BYTES = 512 * 1024 * 1024;

/** Bytes released at a time, so that the next chunk does not trigger another search. */
const LET_GO = 1 / 4;
/** If nothing could be released, the next attempt is made when this many more bytes are held. */
const TRY_AGAIN = 1 / 16;

/** Counts the memory of all bodies, and keeps it bounded. */
export class LiveBytes {
  /** Estimated; changed by the bodies themselves. */
  bytes = 0;
  readonly maxBytes: number;
  readonly #options: LiveBytesOptions;
  #actAt: number;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(options: LiveBytesOptions) {
    this.#options = options;
    this.maxBytes = options.maxBytes;
    this.#actAt = options.maxBytes;
  }

  /** Asked with each chunk. */
  get isOver(): boolean {
    return this.bytes > this.#actAt;
  }

  /** Makes room. */
  relieve(): void {
    const { maxBytes } = this;
    const target = maxBytes * (1 - LET_GO);
    const bodies: HeldBody[] = [];
    for (const { body } of this.#options.streams.values()) {
      if (body !== undefined && body.heldBytes > 0 && !body.isRead) bodies.push(body);
    }
    for (const body of bodies.toSorted(bySize)) {
      if (this.bytes <= target) break;
      body.leaveMemory();
    }
    if (this.bytes > maxBytes) this.#cutLargest(bodies.toSorted(bySize), this.bytes - target);
    this.#actAt = Math.max(maxBytes, this.bytes + maxBytes * TRY_AGAIN);
  }

  /** A body is gone from memory. */
  release(bytes: number): void {
    this.bytes -= bytes;
    if (this.bytes <= this.maxBytes) this.#actAt = this.maxBytes;
  }

  /** Runs what reads a body back, one after the other: each takes twice its size while it lasts. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#reading.then(work, work);
    this.#reading = turn.catch(() => {
      // Told to whoever waits for this turn; the next one goes on.
    });
    return turn;
  }

  /** Cuts all that are larger than a size to that size, which is chosen so that `excess` bytes go. */
  #cutLargest(largestFirst: readonly HeldBody[], excess: number): void {
    let left = excess;
    let level = 0;
    let count = 0;
    for (const [index, { heldBytes }] of largestFirst.entries()) {
      const next = largestFirst[index + 1]?.heldBytes ?? 0;
      count = index + 1;
      level = Math.max(next, heldBytes - left / count);
      left -= (heldBytes - level) * count;
      if (left <= 0) break;
    }
    const cut = largestFirst.slice(0, count);
    for (const body of cut) body.cutTo(level);
    if (cut.length > 0) this.#options.onCut(cut.length);
  }
}

function bySize(a: HeldBody, b: HeldBody): number {
  return b.heldBytes - a.heldBytes;
}
