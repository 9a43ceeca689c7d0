/**
 * The order in which messages on disk are sent: those of dead processes first, then our own, oldest first. A message that the
 * store did not take goes to the end of the queue and is then sent alone. A message that fails alone while the store takes
 * others is paused, so that it does not delay the rest.
 */
import type { Clock } from '../core/clock.ts';
import type { Journal, JournalEntry } from '../journal/port.ts';

/** The first pause of a message that fails alone, and the longest. */
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 300_000;

/** A message on disk, and its origin: this process or a dead one. */
export interface BacklogItem {
  readonly entry: JournalEntry;
  readonly origin: 'own' | 'dead';
}

/** What a backlog is made of. */
export interface BacklogOptions {
  readonly journal: Journal;
  /** A save of this stream is in memory, and the journal's entry is its to settle. */
  readonly isInMemory: (streamId: string) => boolean;
  readonly clock: Clock;
}

/** The retry state of a message that the store did not take. */
interface Returned {
  /** How often it failed alone while the store took others. */
  readonly failures: number;
  /** When it may go again; monotonic milliseconds. */
  readonly notBeforeMs: number;
  /** Lower for a message that failed earlier. */
  readonly turn: number;
}

/** The messages that wait on disk, in sending order. Choosing the next ones takes the same time for any number of messages. */
export class Backlog {
  readonly #options: BacklogOptions;
  readonly #adopted = new Map<ItemKey, BacklogItem>();
  readonly #returned = new Map<ItemKey, Returned>();
  /** Those of them that have a pause. */
  readonly #paused = new Map<ItemKey, Returned>();
  /** Our own, by stream id. */
  readonly #abandoned = new Set<string>();
  #lastTurn = 0;

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** Number of messages taken over from dead processes. */
  get adopted(): number {
    return this.#adopted.size;
  }

  /** All that wait. */
  get size(): number {
    return this.#adopted.size + this.#options.journal.backlogSize() - this.#abandoned.size;
  }

  /** Monotonic milliseconds of the next turn of a paused one; `undefined` when none is paused. */
  get nextTurnMs(): number | undefined {
    const turns = [...this.#paused.values()].map(({ notBeforeMs }) => notBeforeMs);
    return turns.length === 0 ? undefined : Math.min(...turns);
  }

  /** Adds a message of a dead process. */
  add(entry: JournalEntry): void {
    const item: BacklogItem = { entry, origin: 'dead' };
    this.#adopted.set(keyOf(item), item);
  }

  /** Up to `limit` messages that may be sent now: only first attempts, or else a single retry. */
  choose(limit: number): readonly BacklogItem[] {
    const nowMs = this.#options.clock.monotonicMs();
    const adopted = [...this.#adopted.values()].filter((item) => !this.#isPaused(item, nowMs));
    const own = this.#own(limit, nowMs);
    const fresh = [...adopted, ...own].filter((item) => !this.#returned.has(keyOf(item)));
    if (fresh.length > 0) return fresh.slice(0, limit);
    // Each of the two is ordered by the time of failure.
    const turnOf = (item: BacklogItem): number => this.#returned.get(keyOf(item))?.turn ?? 0;
    const [first] = [...adopted, ...own].sort((a, b) => turnOf(a) - turnOf(b));
    if (first === undefined) this.#forgetGone(nowMs);
    return first === undefined ? [] : [first];
  }

  /** It is stored or moved aside, and the journal knows. */
  remove(item: BacklogItem): void {
    const key = keyOf(item);
    this.#adopted.delete(key);
    this.#returned.delete(key);
    this.#paused.delete(key);
  }

  /** It stays on disk, for the next process. */
  abandon(item: BacklogItem): void {
    this.remove(item);
    if (item.origin === 'own') this.#abandoned.add(item.entry.opened.id);
  }

  /** It could not be stored. `storeWorks`: others could, at that time. */
  putBack(item: BacklogItem, storeWorks: boolean): void {
    const before = this.#returned.get(keyOf(item));
    this.#putBehind(item, (before?.failures ?? 0) + (storeWorks && before !== undefined ? 1 : 0));
  }

  /** It could not be read: its next turn is after a pause. */
  pause(item: BacklogItem): void {
    this.#putBehind(item, (this.#returned.get(keyOf(item))?.failures ?? 0) + 1);
  }

  #putBehind(item: BacklogItem, failures: number): void {
    const key = keyOf(item);
    const pauseMs = failures === 0 ? 0 : Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (failures - 1));
    const notBeforeMs = this.#options.clock.monotonicMs() + pauseMs;
    const returned = { failures, notBeforeMs, turn: ++this.#lastTurn };
    this.#returned.set(key, returned);
    this.#paused.delete(key);
    if (pauseMs > 0) this.#paused.set(key, returned);
    item.entry.postpone?.();
  }

  #isPaused(item: BacklogItem, nowMs: number): boolean {
    return (this.#paused.get(keyOf(item))?.notBeforeMs ?? 0) > nowMs;
  }

  #own(limit: number, nowMs: number): readonly BacklogItem[] {
    const { journal, isInMemory } = this.#options;
    const isSkipped = (id: string): boolean =>
      this.#abandoned.has(id) || isInMemory(id) || (this.#paused.get(id)?.notBeforeMs ?? 0) > nowMs;
    return journal.backlog(limit, isSkipped).map((entry) => ({ entry, origin: 'own' }));
  }

  /** Nothing may be sent: what is due all the same has left the journal by another way. */
  #forgetGone(nowMs: number): void {
    for (const [key, { notBeforeMs }] of this.#returned) {
      if (notBeforeMs > nowMs) continue;
      this.#returned.delete(key);
      this.#paused.delete(key);
    }
  }
}

/** A stream may be in the directories of two dead processes: each of its entries is settled by itself. */
type ItemKey = string | JournalEntry;

function keyOf({ entry, origin }: BacklogItem): ItemKey {
  return origin === 'own' ? entry.opened.id : entry;
}
