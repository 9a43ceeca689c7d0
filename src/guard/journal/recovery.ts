/**
 * The journals of dead processes, taken over and read: each stream is handed out once, oldest first.
 */
import type { JournalEntry } from '../journal-port.ts';
import { takenEntry } from './entries.ts';
import type { Found } from './found.ts';
import type { Home } from './home.ts';
import type { Reader } from './reader.ts';
import { deadHomes, take, takenDirectories } from './takeover.ts';
import { openTaken } from './taken.ts';
import type { Taken } from './taken.ts';

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

export function createRecovery(options: {
  readonly path: string;
  readonly home: () => Home | undefined;
  readonly reader: Reader;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
}): Recovery {
  const { path, home, reader, onError, onCorrupt } = options;
  let all: Taken[] = [];
  const handedOut = new WeakSet<Found>();

  const takeDead = async (into: Home, signal: AbortSignal): Promise<void> => {
    for (const name of await deadHomes(path, into.id)) {
      if (signal.aborted) return;
      try {
        take(path, name, into);
      } catch (error) {
        onError(error);
      }
    }
  };
  const openNew = async (into: Home, signal: AbortSignal): Promise<void> => {
    for (const directory of takenDirectories(into)) {
      if (signal.aborted) return;
      if (all.some((taken) => taken.directory === directory)) continue;
      try {
        all.push(await openTaken({ directory, reader, onError, onCorrupt }));
      } catch (error) {
        onError(error);
      }
    }
  };
  /** Finished ones are forgotten; one whose owner wrote on is read again. */
  const prune = (): void => {
    for (const taken of all) if (taken.found.size === 0) taken.close();
    all = all.filter((taken) => taken.found.size > 0);
  };
  const waiting = (): { found: Found; taken: Taken }[] =>
    all
      .flatMap((taken) => [...taken.found].map((found) => ({ found, taken })))
      .filter(({ found }) => !handedOut.has(found))
      .sort((a, b) => a.found.startedAtMs - b.found.startedAtMs);

  return {
    async *entries(signal) {
      const into = home();
      if (into === undefined) return;
      prune();
      await takeDead(into, signal);
      await openNew(into, signal);
      for (const { found, taken } of waiting()) {
        if (signal.aborted) return;
        if (!taken.found.has(found) || handedOut.has(found)) continue;
        handedOut.add(found);
        yield takenEntry(found, taken, path);
      }
      prune();
    },
    get bytes() {
      return all.reduce((sum, taken) => sum + taken.bytes, 0);
    },
    get count() {
      return all.reduce((sum, taken) => sum + taken.found.size, 0);
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
      all = [];
    },
  };
}
