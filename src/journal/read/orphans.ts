/**
 * The journals of dead processes, taken over and read: each stream is handed out once, oldest first.
 */
import { basename } from 'node:path';
import { writeRefused } from '../dead-letters.ts';
import type { Lease } from '../lease/lease.ts';
import type { InstanceDirectory } from '../lease/owner-directory.ts';
import { deadInstances, take, takenDirectories } from '../lease/takeover.ts';
import type { JournalEntry } from '../port.ts';
import { parseEnding, parseOpened } from '../record-json.ts';
import { openOrphanDirectory } from './orphan-directory.ts';
import type { OrphanDirectory } from './orphan-directory.ts';
import { readText } from './reader.ts';
import type { BodyReader } from './reader.ts';
import { isCut, isReopened, unnamedStream } from './stream-index.ts';
import type { IndexedStream } from './stream-index.ts';

export interface OrphansOptions {
  /** The journal's path. */
  readonly path: string;
  /** What is taken is moved into our own directory. */
  readonly lease: Lease;
  readonly reader: BodyReader;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
  /** There is more room on the disk. */
  readonly onFreed: () => void;
}

export class Orphans {
  readonly #options: OrphansOptions;
  readonly #all = new Set<OrphanDirectory>();
  readonly #handedOut = new WeakSet<IndexedStream>();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  /** Takes what is dead by now and yields what was not yielded yet. */
  async *entries(signal: AbortSignal): AsyncGenerator<JournalEntry> {
    const into = this.#options.lease.current;
    if (into === undefined) return;
    this.#prune();
    try {
      await this.#takeDead(into, signal);
      await this.#openTaken(into, signal);
    } catch (error) {
      // Our own directory was taken meanwhile, or cannot be read; what is open already can still be given.
      this.#options.onError(error);
    }
    for (const { stream, from } of this.#inOrder()) {
      if (signal.aborted) return;
      if (this.#handedOut.has(stream) || !from.streams.has(stream)) continue;
      this.#handedOut.add(stream);
      const entry = this.#entryOf(stream, from);
      if (entry !== undefined) yield entry;
    }
    this.#prune();
  }

  /** Of all directories taken. */
  get bytes(): number {
    let bytes = 0;
    for (const one of this.#all) bytes += one.bytes;
    return bytes;
  }

  /** Streams that are not settled yet. */
  get count(): number {
    let count = 0;
    for (const { streams } of this.#all) count += streams.size;
    return count;
  }

  /** Epoch milliseconds of the oldest of them; 0 when there is none. */
  get oldestMs(): number {
    let oldest = 0;
    for (const { streams } of this.#all) {
      for (const { startedAtMs } of streams) {
        if (oldest === 0 || startedAtMs < oldest) oldest = startedAtMs;
      }
    }
    return oldest;
  }

  /** They belong to somebody else now, or we close. */
  forget(): void {
    for (const one of this.#all) one.close();
    this.#all.clear();
  }

  async #takeDead(into: InstanceDirectory, signal: AbortSignal): Promise<void> {
    const { path, onError } = this.#options;
    for (const name of await deadInstances(path, into.id)) {
      if (signal.aborted) return;
      try {
        take(path, name, into);
      } catch (error) {
        onError(error);
      }
    }
  }

  async #openTaken(into: InstanceDirectory, signal: AbortSignal): Promise<void> {
    const { reader, onError, onCorrupt, onFreed } = this.#options;
    const known = new Set([...this.#all].map(({ directory }) => directory));
    for (const directory of takenDirectories(into)) {
      if (signal.aborted) return;
      if (known.has(directory)) continue;
      try {
        this.#all.add(
          await openOrphanDirectory({ directory, reader, onError, onCorrupt, onFreed }),
        );
      } catch (error) {
        onError(error);
      }
    }
  }

  /** Finished ones are forgotten. One whose owner wrote on after it was read is read again at the next call. */
  #prune(): void {
    for (const one of this.#all) {
      if (one.streams.size > 0) continue;
      one.close();
      this.#all.delete(one);
    }
  }

  /** Every stream with its directory, oldest first. */
  #inOrder(): { stream: IndexedStream; from: OrphanDirectory }[] {
    return [...this.#all]
      .flatMap((from) => [...from.streams].map((stream) => ({ stream, from })))
      .sort((a, b) => a.stream.startedAtMs - b.stream.startedAtMs);
  }

  /** A disk that cannot give one of them does not keep back the others. */
  #entryOf(stream: IndexedStream, from: OrphanDirectory): JournalEntry | undefined {
    const { path, onError } = this.#options;
    try {
      return orphanEntry(stream, from, path);
    } catch (error) {
      onError(error);
      return undefined;
    }
  }
}

/** A stream that a dead process left, as the saver meets it. */
function orphanEntry(stream: IndexedStream, from: OrphanDirectory, path: string): JournalEntry {
  const opened = openedOf(stream, from.directory);
  const endJson = stream.end && readText(stream.end.file, stream.end.position);
  const ending = endJson === undefined ? undefined : parseEnding(endJson, opened);
  const settle = (): Promise<void> => {
    from.settle(stream);
    return Promise.resolve();
  };
  return {
    opened,
    // What the records do not bear out is not complete.
    ending: ending && (isCut(stream) ? { ...ending, complete: false } : ending),
    endsAt: isReopened(stream) ? stream.endOffset : undefined,
    body: async () => (await from.body(stream)).pieces,
    settle,
    async refuse(message, sqlstate) {
      await writeRefused(path, message, sqlstate);
      await settle();
    },
  };
}

function openedOf(stream: IndexedStream, directory: string): JournalEntry['opened'] {
  const json = stream.open && readText(stream.open.file, stream.open.position);
  return json === undefined ? unnamedStream(stream, originalName(directory)) : parseOpened(json);
}

/** A directory is called `taken-` and its owner's name once it was taken; ids must not depend on that. */
export function originalName(directory: string): string {
  return basename(directory).replace(/^taken-/, '');
}
