/**
 * Lines that would repeat, told once a minute for each kind, with how many were left out. A kind is a string that no client
 * can choose. Nothing runs by itself: whoever wants what was left out told without a next line calls `writeDue`.
 */

/** A kind is told again after so long. */
export const REPEAT_MS = 60_000;

/** So many kinds are known at once; lines of others are left out until one of these is over. */
const KINDS_AT_MOST = 1_000;

/** Writes one line; gets how many of its kind were left out before it. */
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

  /** True while a line was left out that nobody has been told of. */
  get hasLeftOut(): boolean {
    return [...this.#told.values()].some(({ untold }) => untold > 0);
  }

  /**
   * Has a line written, unless `burst` lines of its kind (default 1) were within the last minute. Returns whether it was
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

  /** Writes the last line that was left out of each kind whose minute is over; with it a new minute begins. */
  writeDue(): void {
    this.#writeLast((sinceMs) => performance.now() - sinceMs >= REPEAT_MS);
  }

  /** Writes the last line that was left out of every kind, now. */
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

  /** Kinds whose minute is over and of which nothing was left out. */
  #forget(now: number): void {
    for (const [kind, { sinceMs, untold }] of this.#told) {
      if (untold === 0 && now - sinceMs >= REPEAT_MS) this.#told.delete(kind);
    }
  }
}
