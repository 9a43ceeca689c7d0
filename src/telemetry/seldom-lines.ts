/**
 * Limits repeated log lines to one a minute for each kind, and counts the lines that were suppressed. A client must not be able to
 * choose a kind. There is no timer: the owner calls `writeDue` to have suppressed lines written when no further line comes.
 */

/** A kind is written again after this time, in milliseconds. */
export const REPEAT_MS = 60_000;

/** Kinds that are tracked at once; lines of further kinds are suppressed until the minute of one of these is over. */
const KINDS_AT_MOST = 1_000;

/** Writes one line; `untold` is the number of lines of its kind that were suppressed before it. */
type Write = (untold: number) => void;

interface Told {
  readonly sinceMs: number;
  /** Lines written since then. */
  lines: number;
  /** Lines left out since then. */
  untold: number;
  /** The last of those. */
  last: Write | undefined;
}

/** Decides which lines are written. What `write` throws goes to the caller. */
export class SeldomLines {
  readonly #told = new Map<string, Told>();

  /** True while suppressed lines have not been reported. */
  get hasLeftOut(): boolean {
    return [...this.#told.values()].some(({ untold }) => untold > 0);
  }

  /**
   * Writes a line, unless `burst` lines of its kind (default 1) were written within the last minute. Returns whether it was
   * written.
   */
  tell(kind: string, write: Write, burst = 1): boolean {
    const now = performance.now();
    const before = this.#told.get(kind);
    if (before !== undefined && now - before.sinceMs < REPEAT_MS) {
      if (before.lines < burst) {
        before.lines += 1;
        write(0);
        return true;
      }
      before.untold += 1;
      before.last = write;
      return false;
    }
    if (before === undefined && this.#told.size >= KINDS_AT_MOST) {
      this.#forget(now);
      if (this.#told.size >= KINDS_AT_MOST) return false;
    }
    this.#told.set(kind, { sinceMs: now, lines: 1, untold: 0, last: undefined });
    write(before?.untold ?? 0);
    return true;
  }

  /** Writes the last suppressed line of each kind whose minute is over; a new minute begins with it. */
  writeDue(): void {
    this.#writeLast((sinceMs) => performance.now() - sinceMs >= REPEAT_MS);
  }

  /** Writes the last suppressed line of every kind, now. */
  flush(): void {
    this.#writeLast(() => true);
  }

  #writeLast(isDue: (sinceMs: number) => boolean): void {
    const now = performance.now();
    for (const [kind, { sinceMs, untold, last }] of this.#told) {
      if (last === undefined || !isDue(sinceMs)) continue;
      this.#told.set(kind, { sinceMs: now, lines: 1, untold: 0, last: undefined });
      last(untold - 1);
    }
  }

  /** Removes kinds whose minute is over and that have no suppressed line. */
  #forget(now: number): void {
    for (const [kind, { sinceMs, untold }] of this.#told) {
      if (untold === 0 && now - sinceMs >= REPEAT_MS) this.#told.delete(kind);
    }
  }
}
