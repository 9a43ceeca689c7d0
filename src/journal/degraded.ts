/**
 * Whether the journal can be relied on. It degrades for a reason out of a closed set, tells so once, and tries by
 * itself to be well again: a full disk is emptied, a volume comes back, and nobody restarts a process for that.
 */
import { isObject } from '../core/values.ts';

/** Why it cannot be relied on. */
export type Trouble = 'full' | 'read-only' | 'slow' | 'io-error';

/** What a file system error means for us; everything else is `io-error`. */
const TROUBLE_OF_CODE: Readonly<Record<string, Trouble>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  // A file size limit (setrlimit(2), RLIMIT_FSIZE).
  EFBIG: 'full',
  EROFS: 'read-only',
  EACCES: 'read-only',
  EPERM: 'read-only',
};

/** The first try to heal, and the longest time between two. */
const HEAL_FIRST_MS = 100;
const HEAL_MAX_MS = 5_000;

/** A disk that was slow is left alone for so long. */
const SLOW_PAUSE_MS = 10_000;

/** Which trouble an error is. */
export function troubleOf(error: unknown): Trouble {
  const code = isObject(error) && 'code' in error ? error.code : '';
  return (typeof code === 'string' ? TROUBLE_OF_CODE[code] : undefined) ?? 'io-error';
}

export interface Condition {
  /** Nothing may be written now. */
  readonly blocked: boolean;
  /** The journal's own bound is reached: only endings and settlements may be written. */
  readonly over: boolean;
  /** `undefined` when it can be relied on. */
  readonly reason: Trouble | undefined;
  /** Stops all writing until a try to heal. */
  block(trouble: Trouble): void;
  setOver(over: boolean): void;
  /** A try to heal went well; some logs may still have to be written again. */
  unblock(): void;
  /** Tells when the reason has changed; call it when the number of stale logs did. */
  review(): void;
  stop(): void;
}

export interface ConditionOptions {
  /** Counts the logs that are not whole on disk. */
  readonly stale: () => number;
  /** Tries to write again. */
  readonly heal: () => void;
  readonly onDegraded: (reason: Trouble | undefined) => void;
  /** Default 10 s. */
  readonly slowPauseMs: number | undefined;
}

export function createCondition(options: ConditionOptions): Condition {
  return new JournalCondition(options);
}

/** A class, because it is asked at every tick, and an accessor of an object literal is a slow one (V8, Node 20 to 26). */
class JournalCondition implements Condition {
  blocked = false;
  over = false;
  readonly #options: ConditionOptions;
  #trouble: Trouble | undefined;
  #told: Trouble | undefined;
  #delayMs = HEAL_FIRST_MS;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: ConditionOptions) {
    this.#options = options;
  }

  get reason(): Trouble | undefined {
    if (this.blocked) return this.#trouble;
    if (this.over) return 'full';
    return this.#options.stale() > 0 ? this.#told : undefined;
  }

  block(found: Trouble): void {
    const { heal, slowPauseMs = SLOW_PAUSE_MS } = this.#options;
    this.#trouble = found;
    this.blocked = true;
    this.review();
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(heal, found === 'slow' ? slowPauseMs : this.#delayMs);
    this.#timer.unref();
    this.#delayMs = Math.min(this.#delayMs * 2, HEAL_MAX_MS);
  }

  setOver(over: boolean): void {
    this.over = over;
    this.review();
  }

  unblock(): void {
    this.blocked = false;
    this.review();
  }

  review(): void {
    const now = this.reason;
    if (now === undefined) this.#delayMs = HEAL_FIRST_MS;
    if (now === this.#told) return;
    this.#told = now;
    this.#options.onDegraded(now);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
