/**
 * Whose turn it is among the messages on disk: those that dead processes left, then our own, oldest first. A
 * message that came back unstored stands behind the others and then goes alone, and one that fails alone while the store
 * takes everything else is paused: whatever is wrong with it, it must not hold back the rest.
 */
import type { Clock } from '../core/clock.ts';
import type { Journal, JournalEntry } from '../journal/port.ts';

/** The first pause of a message that fails alone, and the longest. */
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 300_000;

/** A message on disk, and whose it was: ours, or a dead process's. */
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

/** The messages that wait on disk, and the order of their turns. */
export class Backlog {
  readonly #options: BacklogOptions;
  readonly #adopted = new Map<ItemKey, BacklogItem>();
  /** How often a message failed alone while the store took others, and when it may go again. */
  readonly #returned = new Map<ItemKey, { failures: number; notBeforeMs: number }>();
  readonly #abandoned = new Set<ItemKey>();

  constructor(options: BacklogOptions) {
    this.#options = options;
  }

  /** Those of dead processes that are in hand. */
  get adopted(): number {
    return this.#adopted.size;
  }

  /** All that wait. */
  get size(): number {
    return this.#adopted.size + this.#own(Number.MAX_SAFE_INTEGER).length;
  }

  /** Monotonic milliseconds of the next turn of a paused one; `undefined` when none is paused. */
  get nextTurnMs(): number | undefined {
    const turns = [...this.#returned.values()].map(({ notBeforeMs }) => notBeforeMs);
    return turns.length === 0 ? undefined : Math.min(...turns);
  }

  /** Takes in what a dead process left. */
  add(entry: JournalEntry): void {
    const item: BacklogItem = { entry, origin: 'dead' };
    this.#adopted.set(keyOf(item), item);
  }

  /** Up to `limit` that may be sent now. */
  choose(limit: number): readonly BacklogItem[] {
    const all = [...this.#adopted.values(), ...this.#own(limit + this.#returned.size)];
    const fresh = all.filter((item) => !this.#returned.has(keyOf(item)));
    if (fresh.length > 0) return fresh.slice(0, limit);
    const nowMs = this.#options.clock.monotonicMs();
    const byKey = new Map(all.map((item) => [keyOf(item), item]));
    // A map keeps its order: the one that came back first is first again.
    for (const [key, { notBeforeMs }] of this.#returned) {
      const item = byKey.get(key);
      if (item === undefined) this.#returned.delete(key);
      else if (notBeforeMs <= nowMs) return [item];
    }
    return [];
  }

  /** It is stored or moved aside, and the journal knows. */
  remove(item: BacklogItem): void {
    this.#adopted.delete(keyOf(item));
    this.#returned.delete(keyOf(item));
  }

  /** It stays on disk, for the next process. */
  abandon(item: BacklogItem): void {
    this.remove(item);
    this.#abandoned.add(keyOf(item));
  }

  /** It could not be stored. `storeWorks`: others could, at that time. */
  putBack(item: BacklogItem, storeWorks: boolean): void {
    const before = this.#returned.get(keyOf(item));
    const failures = (before?.failures ?? 0) + (storeWorks && before !== undefined ? 1 : 0);
    const pauseMs = failures === 0 ? 0 : Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (failures - 1));
    this.#returned.delete(keyOf(item));
    const notBeforeMs = this.#options.clock.monotonicMs() + pauseMs;
    this.#returned.set(keyOf(item), { failures, notBeforeMs });
  }

  /** Entries are read from disk: no more of them than it takes to find `limit` that may have a turn. */
  #own(limit: number): BacklogItem[] {
    const { journal, isInMemory } = this.#options;
    for (let window = limit; ; window *= 2) {
      const entries = journal.backlog(window);
      const wanted = entries.filter(
        ({ opened }) => !this.#abandoned.has(opened.id) && !isInMemory(opened.id),
      );
      if (wanted.length >= limit || entries.length < window) {
        return wanted.map((entry) => ({ entry, origin: 'own' }));
      }
    }
  }
}

/** A stream may be in the directories of two dead processes: each of its entries is settled by itself. */
type ItemKey = string | JournalEntry;

function keyOf({ entry, origin }: BacklogItem): ItemKey {
  return origin === 'own' ? entry.opened.id : entry;
}
