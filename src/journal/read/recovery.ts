/**
 * The journals of dead processes, taken over and read: each stream is handed out once, oldest first.
 */
import type { JournalEntry } from '../port.ts';
import { takenEntry } from './taken-entry.ts';
import type { Found } from './stream-index.ts';
import type { Home } from '../lease/owner-directory.ts';
import type { Reader } from './reader.ts';
import { deadHomes, take, takenDirectories } from '../lease/takeover.ts';
import { openTaken } from './orphans.ts';
import type { Taken } from './orphans.ts';

export interface Recovery {
  /** Takes what is dead by now and yields what was not yielded yet. */
  entries(signal: AbortSignal): AsyncGenerator<JournalEntry>;
  readonly bytes: number;
  /** Streams that are not settled yet. */
  readonly count: number;
  /** Epoch milliseconds of the oldest of them; 0 when there is none. */
  readonly oldestMs: number;
  /** They belong to somebody else now, or we close. */
  forget(): void;
}

export interface RecoveryOptions {
  readonly path: string;
  readonly home: () => Home | undefined;
  readonly reader: Reader;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
  /** There is more room on the disk. */
  readonly onFreed: () => void;
}

export function createRecovery(options: RecoveryOptions): Recovery {
  const { home } = options;
  const all = new Set<Taken>();
  const handedOut = new WeakSet<Found>();

  return {
    async *entries(signal) {
      const into = home();
      if (into === undefined) return;
      prune(all);
      try {
        await takeDead(options, into, signal);
        await openNew(options, into, { all, signal });
      } catch (error) {
        // Our own directory was taken meanwhile, or cannot be read; what is open already can still be given.
        options.onError(error);
      }
      for (const { found, taken } of inOrder(all)) {
        if (signal.aborted) return;
        if (handedOut.has(found) || !taken.found.has(found)) continue;
        handedOut.add(found);
        const entry = entryOf(found, taken, options);
        if (entry !== undefined) yield entry;
      }
      prune(all);
    },
    get bytes() {
      return sum(all, (taken) => taken.bytes);
    },
    get count() {
      return sum(all, (taken) => taken.found.size);
    },
    get oldestMs() {
      let oldest = 0;
      for (const { found } of all) {
        for (const { startedAtMs } of found) {
          if (oldest === 0 || startedAtMs < oldest) oldest = startedAtMs;
        }
      }
      return oldest;
    },
    forget() {
      for (const taken of all) taken.close();
      all.clear();
    },
  };
}

async function takeDead(
  { path, onError }: RecoveryOptions,
  into: Home,
  signal: AbortSignal,
): Promise<void> {
  for (const name of await deadHomes(path, into.id)) {
    if (signal.aborted) return;
    try {
      take(path, name, into);
    } catch (error) {
      onError(error);
    }
  }
}

async function openNew(
  { reader, onError, onCorrupt, onFreed }: RecoveryOptions,
  into: Home,
  { all, signal }: { all: Set<Taken>; signal: AbortSignal },
): Promise<void> {
  const known = new Set([...all].map(({ directory }) => directory));
  for (const directory of takenDirectories(into)) {
    if (signal.aborted) return;
    if (known.has(directory)) continue;
    try {
      all.add(await openTaken({ directory, reader, onError, onCorrupt, onFreed }));
    } catch (error) {
      onError(error);
    }
  }
}

/** Finished ones are forgotten. One whose owner wrote on after it was read is read again at the next call. */
function prune(all: Set<Taken>): void {
  for (const taken of all) {
    if (taken.found.size > 0) continue;
    taken.close();
    all.delete(taken);
  }
}

/** Every stream with its directory, oldest first. */
function inOrder(all: ReadonlySet<Taken>): { found: Found; taken: Taken }[] {
  return [...all]
    .flatMap((taken) => [...taken.found].map((found) => ({ found, taken })))
    .sort((a, b) => a.found.startedAtMs - b.found.startedAtMs);
}

/** A disk that cannot give one of them does not keep back the others. */
function entryOf(
  found: Found,
  taken: Taken,
  { path, onError }: RecoveryOptions,
): JournalEntry | undefined {
  try {
    return takenEntry(found, taken, path);
  } catch (error) {
    onError(error);
    return undefined;
  }
}

function sum(all: ReadonlySet<Taken>, of: (taken: Taken) => number): number {
  let total = 0;
  for (const taken of all) total += of(taken);
  return total;
}
