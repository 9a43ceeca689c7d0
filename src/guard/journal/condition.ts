/**
 * Whether the journal can be relied on. It degrades for a reason out of a closed set, tells so once, and tries by
 * itself to be well again: a full disk is emptied, a volume comes back, and nobody restarts a process for that.
 */

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
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : '';
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
  const { stale, heal, onDegraded, slowPauseMs = SLOW_PAUSE_MS } = options;
  let trouble: Trouble | undefined;
  let blocked = false;
  let over = false;
  let told: Trouble | undefined;
  let delayMs = HEAL_FIRST_MS;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const reason = (): Trouble | undefined => {
    if (blocked) return trouble;
    if (over) return 'full';
    return stale() > 0 ? told : undefined;
  };
  const review = (): void => {
    const now = reason();
    if (now === undefined) delayMs = HEAL_FIRST_MS;
    if (now === told) return;
    told = now;
    onDegraded(now);
  };

  return {
    get blocked() {
      return blocked;
    },
    get over() {
      return over;
    },
    get reason() {
      return reason();
    },
    block(found) {
      trouble = found;
      blocked = true;
      review();
      if (stopped) return;
      clearTimeout(timer);
      timer = setTimeout(heal, found === 'slow' ? slowPauseMs : delayMs);
      timer.unref();
      delayMs = Math.min(delayMs * 2, HEAL_MAX_MS);
    },
    setOver(is) {
      over = is;
      review();
    },
    unblock() {
      blocked = false;
      review();
    },
    review,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
