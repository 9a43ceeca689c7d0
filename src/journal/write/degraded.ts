/**
 * Whether the journal can be relied on. It degrades for one of a closed set of reasons, reports each change once, and recovers by
 * itself: when a full disk is freed or a volume is mounted again, no restart is needed.
 */
import { isObject } from '../../core/values.ts';

/** Why it cannot be relied on. */
export type DegradedReason = 'full' | 'read-only' | 'slow' | 'io-error' | 'untrusted';

/** The reason for an error code of the file system; every other code is `io-error`. */
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

/** The time to the first probe of the disk, and the longest time between two. */
const PROBE_FIRST_MS = 100;
const PROBE_MAX_MS = 5_000;

/** How long nothing is written to a disk that was slow. */
const SLOW_PAUSE_MS = 10_000;

/** The reason for an error. */
export function reasonOf(error: unknown): DegradedReason {
  const code = isObject(error) && 'code' in error ? error.code : '';
  return (typeof code === 'string' ? REASON_OF_CODE[code] : undefined) ?? 'io-error';
}

export interface JournalHealthOptions {
  /** Number of logs that are incomplete on disk. */
  readonly incomplete: () => number;
  /** Creates the directory when there is none. Rejects with the error of the file system. */
  readonly ensureDirectory: () => Promise<void>;
  /** Writes and fsyncs a probe record. False when that failed or was slow and `block` was called. */
  readonly probeDisk: () => Promise<boolean>;
  /** Writes again and fsyncs the logs that are incomplete on disk. */
  readonly rewrite: () => Promise<void>;
  readonly onDegraded: (reason: DegradedReason | undefined) => void;
  readonly onError: (error: unknown) => void;
  /** Default 10 s. */
  readonly slowPauseMs: number | undefined;
}

/** A class, because it is read at every tick, and an accessor of an object literal is slow (V8, Node 20 to 26). */
export class JournalHealth {
  /** Nothing may be written now. */
  blocked = false;
  /** The share of `maxBytes` for bodies is used up: only endings and settlements may be written. */
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

  /** Stops all writing until a probe of the disk succeeds. */
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

  /** Calls `onDegraded` when the reason has changed; to be called after the number of incomplete logs has changed. */
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

  /** Probes the disk; when the probe record is fsynced, allows writing again and rewrites the incomplete logs first. */
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

/** Shares of `maxBytes`: pieces of bodies are written up to the first, and after that again below the second. */
const BODY_SHARE = 0.95;
const RESUME_SHARE = 0.9;

/**
 * The size limit of a journal. Pieces of bodies may use most of it; the rest is reserved for endings and settlements, so that a full
 * journal can still record how its streams ended.
 */
export class Quota {
  readonly #maxBytes: number;
  readonly #usedBytes: () => number;
  readonly #health: JournalHealth;

  /** `usedBytes` is called at each check. */
  constructor(maxBytes: number, usedBytes: () => number, health: JournalHealth) {
    this.#maxBytes = maxBytes;
    this.#usedBytes = usedBytes;
    this.#health = health;
  }

  /** Updates `health.over`: whether `moreBytes` would use up the share for pieces, or there is room again. */
  review(moreBytes: number): void {
    const share = (this.#usedBytes() + moreBytes) / this.#maxBytes;
    const { over } = this.#health;
    if (over ? share < RESUME_SHARE : share >= BODY_SHARE) this.#health.setOver(!over);
  }

  /** Whether `maxBytes` is used up, so that not even an ending fits. */
  isReached(): boolean {
    return this.#usedBytes() >= this.#maxBytes;
  }

  /** Whether `bytes` more fit into the share for pieces, or into `all` of the limit, for a copy that lets segments be deleted. */
  fits(bytes: number, share: 'pieces' | 'all'): boolean {
    return this.#usedBytes() + bytes <= this.#maxBytes * (share === 'pieces' ? BODY_SHARE : 1);
  }
}
