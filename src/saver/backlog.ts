/**
 * Whose turn it is among the messages on disk: those that dead processes left, then our own, oldest first. A
 * message that came back unstored stands behind the others and then goes alone, and one that fails alone while the store takes
 * everything else is left in peace for a while: whatever is wrong with it, it must not hold back the rest.
 */
import type { Clock } from '../core/clock.ts';
import type { Journal, JournalEntry } from '../journal/port.ts';

/** The first pause of a message that fails alone, and the longest. */
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 300_000;

/** A message on disk, and whose it was: ours, or a dead process's. */
export interface Waiting {
  readonly entry: JournalEntry;
  readonly origin: 'own' | 'dead';
}

export interface Backlog {
  /** Takes in what a dead process left. */
  add(entry: JournalEntry): void;
  /** Up to `limit` that may be sent now. */
  choose(limit: number): readonly Waiting[];
  /** It is stored or moved aside, and the journal knows. */
  finish(waiting: Waiting): void;
  /** It stays on disk, for the next process. */
  giveUp(waiting: Waiting): void;
  /** It could not be stored. `storeWorks`: others could, at that time. */
  putBack(waiting: Waiting, storeWorks: boolean): void;
  /** Those of dead processes that are in hand. */
  readonly adopted: number;
  /** All that wait. */
  readonly size: number;
  /** Monotonic milliseconds of the next turn of a paused one; `undefined` when none is paused. */
  readonly nextTurnMs: number | undefined;
}

export interface BacklogOptions {
  readonly journal: Journal;
  /** A save of this stream is in memory, and the journal's entry is its to settle. */
  readonly isInMemory: (streamId: string) => boolean;
  readonly clock: Clock;
}

export function createBacklog({ journal, isInMemory, clock }: BacklogOptions): Backlog {
  const adopted = new Map<string, Waiting>();
  /** How often a message failed alone while the store took others, and when it may go again. */
  const returned = new Map<string, { failures: number; notBeforeMs: number }>();
  const givenUp = new Set<string>();

  const own = (limit: number): Waiting[] =>
    find(journal, limit, (id) => !givenUp.has(id) && !isInMemory(id)).map((entry) => ({
      entry,
      origin: 'own',
    }));
  const forget = (waiting: Waiting): void => {
    adopted.delete(idOf(waiting));
    returned.delete(idOf(waiting));
  };

  return {
    add(entry) {
      adopted.set(entry.opened.id, { entry, origin: 'dead' });
    },
    choose(limit) {
      const all = [...adopted.values(), ...own(limit + returned.size)];
      const fresh = all.filter((waiting) => !returned.has(idOf(waiting)));
      if (fresh.length > 0) return fresh.slice(0, limit);
      const nowMs = clock.monotonicMs();
      const byId = new Map(all.map((waiting) => [idOf(waiting), waiting]));
      // A map keeps its order: the one that came back first is first again.
      for (const [id, { notBeforeMs }] of returned) {
        const waiting = byId.get(id);
        if (waiting === undefined) returned.delete(id);
        else if (notBeforeMs <= nowMs) return [waiting];
      }
      return [];
    },
    finish: forget,
    giveUp(waiting) {
      forget(waiting);
      givenUp.add(idOf(waiting));
    },
    putBack(waiting, storeWorks) {
      const before = returned.get(idOf(waiting));
      const failures = (before?.failures ?? 0) + (storeWorks && before !== undefined ? 1 : 0);
      const pauseMs =
        failures === 0 ? 0 : Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** (failures - 1));
      returned.delete(idOf(waiting));
      returned.set(idOf(waiting), { failures, notBeforeMs: clock.monotonicMs() + pauseMs });
    },
    get adopted() {
      return adopted.size;
    },
    get size() {
      return adopted.size + own(Number.MAX_SAFE_INTEGER).length;
    },
    get nextTurnMs() {
      const turns = [...returned.values()].map(({ notBeforeMs }) => notBeforeMs);
      return turns.length === 0 ? undefined : Math.min(...turns);
    },
  };
}

/** Entries are read from disk: no more of them than it takes to find `limit` that may have a turn. */
function find(
  journal: Journal,
  limit: number,
  isWanted: (streamId: string) => boolean,
): readonly JournalEntry[] {
  for (let window = limit; ; window *= 2) {
    const entries = journal.backlog(window);
    const wanted = entries.filter(({ opened }) => isWanted(opened.id));
    if (wanted.length >= limit || entries.length < window) return wanted;
  }
}

function idOf({ entry }: Waiting): string {
  return entry.opened.id;
}
