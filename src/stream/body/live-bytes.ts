/**
 * Limits the memory of the bodies of all live streams together. Each stream has its own limit, but a thousand streams within theirs can
 * still exhaust the heap: answers without a client go on for minutes, and twenty large ones may end at once. Over the limit, bodies that
 * the journal has leave memory, the largest first, and are read back when their message is due. Where no journal has them, the largest are
 * cut.
 */
import type { Piece } from '../../core/save-port.ts';

/** A body whose memory is counted. */
export interface HeldBody {
  /** Estimated bytes of memory of what it keeps. */
  readonly heldBytes: number;
  /** It is being read, or was: it stays in memory, uncut, until its stream is over. */
  readonly isRead: boolean;
  /** Leaves memory if the journal has all of it. */
  leaveMemory(): void;
  /** Keeps no more than its first `bytes` bytes of memory, and nothing that is written later. */
  cutTo(bytes: number): void;
}

/** The beginning of a body that is on disk only. */
export interface StoredBeginning {
  readonly bytes: number;
  /** Pieces of it are bytes, not text. */
  readonly isBytes: boolean;
  /** Reads it back for `use`, one body at a time. Bytes that cannot be read are missing at the end of `pieces`. */
  readBack<T>(use: (pieces: readonly Piece[]) => Promise<T>): Promise<T>;
}

/** The bound, the streams that it covers, and what is told of a cut. */
export interface LiveBytesOptions {
  readonly maxBytes: number;
  /** The live streams. */
  readonly streams: ReadonlyMap<string, { readonly body: HeldBody | undefined }>;
  /** Called with the number of bodies that were cut just now. */
  readonly onCut: (count: number) => void;
}

/** The bound where the app gives none and the heap is large. */
export const MAX_LIVE_BYTES = 512 * 1024 * 1024;

/** The part of the bound that is released at a time, so that the next chunk does not trigger another search. */
const LET_GO = 1 / 4;
/** If nothing could be released, the next attempt is made when this part of the bound more is held. */
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

  /** Read with each chunk: memory has to be released. */
  get isOver(): boolean {
    return this.bytes > this.#actAt;
  }

  /** Releases memory: bodies that the journal has leave it; if that is not enough, the largest are cut. */
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

  /** This many bytes of a body have left memory. */
  release(bytes: number): void {
    this.bytes -= bytes;
    if (this.bytes <= this.maxBytes) this.#actAt = this.maxBytes;
  }

  /** Runs the readings of stored bodies one after the other: each takes twice the size of its body while it runs. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#reading.then(work, work);
    this.#reading = turn.catch(() => {
      // The caller of this turn receives the error; the next turn runs all the same.
    });
    return turn;
  }

  /** Cuts all bodies above one size to that size, which is chosen so that `excess` bytes are released. */
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
