/**
 * Whether the journal can be relied on. It degrades for a reason out of a closed set, tells so once, and tries by
 * itself to work again: a full disk is emptied, a volume comes back, and nobody restarts a process for that.
 */
import { isObject } from '../../core/values.ts';

/** Why it cannot be relied on. */
export type DegradedReason = 'full' | 'read-only' | 'slow' | 'io-error' | 'untrusted';

/** What a file system error means for us; everything else is `io-error`. */
const REASON_OF_CODE: Readonly<Record<string, DegradedReason>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  // A file size limit (setrlimit(2), RLIMIT_FSIZE).
  EFBIG: 'full',
  EROFS: 'read-only',
  EACCES: 'read-only',
  EPERM: 'read-only',
  // See ours.ts.
  ENOTOURS: 'untrusted',
};

/** The first probe of the disk, and the longest time between two. */
const PROBE_FIRST_MS = 100;
const PROBE_MAX_MS = 5_000;

/** A disk that was slow is left alone for so long. */
const SLOW_PAUSE_MS = 10_000;

/** Which reason an error is. */
export function reasonOf(error: unknown): DegradedReason {
  const code = isObject(error) && 'code' in error ? error.code : '';
  return (typeof code === 'string' ? REASON_OF_CODE[code] : undefined) ?? 'io-error';
}

export interface JournalHealthOptions {
  /** Counts the logs that are not whole on disk. */
  readonly incomplete: () => number;
  /** Makes the directory when there is none. Rejects with what the disk says. */
  readonly ensureDirectory: () => Promise<void>;
  /** Writes and fsyncs a record that means nothing. False when the disk did not take it and `block` was called. */
  readonly probeDisk: () => Promise<boolean>;
  /** Writes again what is not whole on disk, and fsyncs it. */
  readonly rewrite: () => Promise<void>;
  readonly onDegraded: (reason: DegradedReason | undefined) => void;
  readonly onError: (error: unknown) => void;
  /** Default 10 s. */
  readonly slowPauseMs: number | undefined;
}

/** A class, because it is asked at every tick, and an accessor of an object literal is a slow one (V8, Node 20 to 26). */
export class JournalHealth {
  /** Nothing may be written now. */
  blocked = false;
  /** The journal's own bound is reached: only endings and settlements may be written. */
  over = false;
  readonly #options: JournalHealthOptions;
  #blockedFor: DegradedReason | undefined;
  #told: DegradedReason | undefined;
  #delayMs = PROBE_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: JournalHealthOptions) {
    this.#options = options;
  }

  /** `undefined` when it can be relied on. */
  get reason(): DegradedReason | undefined {
    if (this.blocked) return this.#blockedFor;
    if (this.over) return 'full';
    return this.#options.incomplete() > 0 ? this.#told : undefined;
  }

  /** Stops all writing until a probe of the disk went well. */
  block(reason: DegradedReason): void {
    const { slowPauseMs = SLOW_PAUSE_MS } = this.#options;
    this.#blockedFor = reason;
    this.blocked = true;
    this.review();
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    const delayMs = reason === 'slow' ? slowPauseMs : this.#delayMs;
    this.#timer = setTimeout(() => void this.#recover(), delayMs);
    this.#timer.unref();
    this.#delayMs = Math.min(this.#delayMs * 2, PROBE_MAX_MS);
  }

  setOver(over: boolean): void {
    this.over = over;
    this.review();
  }

  /** Tells when the reason has changed; call it when the number of incomplete logs did. */
  review(): void {
    const now = this.reason;
    if (now === undefined) this.#delayMs = PROBE_FIRST_MS;
    if (now === this.#told) return;
    this.#told = now;
    this.#options.onDegraded(now);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Only when a record has reached the disk are streams written to the journal again, first those that are not whole. */
  async #recover(): Promise<void> {
    const { ensureDirectory, probeDisk, rewrite, onError } = this.#options;
    try {
      await ensureDirectory();
      if (!(await probeDisk())) return;
      this.blocked = false;
      this.review();
      await rewrite();
      this.review();
    } catch (error) {
      onError(error);
      this.block(reasonOf(error));
    }
  }
}

/** Pieces are taken up to this share, and again when there is a little room below it. */
const BODY_SHARE = 0.95;
const RESUME_SHARE = 0.9;

/**
 * The bound of everything that a journal may hold. Pieces of bodies may fill most of it; the rest is kept for endings
 * and settlements, so that a full journal can still say what became of the streams in it.
 */
export class Quota {
  readonly #maxBytes: number;
  readonly #usedBytes: () => number;
  readonly #health: JournalHealth;

  /** `usedBytes` is asked each time. */
  constructor(maxBytes: number, usedBytes: () => number, health: JournalHealth) {
    this.#maxBytes = maxBytes;
    this.#usedBytes = usedBytes;
    this.#health = health;
  }

  /** Tells health when the share for pieces would be used up by so many bytes more, or has room again. */
  review(moreBytes: number): void {
    const share = (this.#usedBytes() + moreBytes) / this.#maxBytes;
    const { over } = this.#health;
    if (over ? share < RESUME_SHARE : share >= BODY_SHARE) this.#health.setOver(!over);
  }

  /** Not even an ending fits. */
  isReached(): boolean {
    return this.#usedBytes() >= this.#maxBytes;
  }

  /** So many bytes more fit into the share for pieces; into all of it, when they make room for others. */
  fits(bytes: number, share: 'pieces' | 'all'): boolean {
    return this.#usedBytes() + bytes <= this.#maxBytes * (share === 'pieces' ? BODY_SHARE : 1);
  }
}
