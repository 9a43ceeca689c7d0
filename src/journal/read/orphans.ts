/**
 * The journals of dead processes, taken over and read: each stream is handed out once, oldest first.
 */
import { basename, join } from 'node:path';
import type { Lease } from '../lease/lease.ts';
import type { InstanceDirectory } from '../lease/owner-directory.ts';
import { deadInstances, take, takenDirectories, withTaken } from '../lease/takeover.ts';
import { checkDirectory } from '../ours.ts';
import type { JournalEntry } from '../port.ts';
import { parseOpened } from '../record-json.ts';
import type { SetAside } from '../set-aside.ts';
import { StoredEntry } from './entry.ts';
import { OrphanDirectory } from './orphan-directory.ts';
import type { BodyReader } from './reader.ts';
import { isCut, isReopened, unnamedStream } from './stream-index.ts';
import type { IndexedStream } from './stream-index.ts';

export interface OrphansOptions {
  /** The journal's path. */
  readonly path: string;
  /** What is taken is moved into our own directory. */
  readonly lease: Lease;
  readonly reader: BodyReader;
  readonly setAside: SetAside;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
  /** A directory that is not ours, or a look at it that failed; it is left alone. */
  readonly onRefused: (error: unknown) => void;
  /** There is more room on the disk. */
  readonly onFreed: () => void;
}

export class Orphans {
  readonly #options: OrphansOptions;
  readonly #all = new Set<OrphanDirectory>();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  /** Takes what is dead by now and yields what was not yielded yet. */
  async *entries(signal: AbortSignal): AsyncGenerator<JournalEntry> {
    const into = this.#options.lease.current;
    this.#prune();
    try {
      this.#open(
        into === undefined ? await this.#inPlace(signal) : await this.#taken(into, signal),
      );
      for (const one of this.#all) {
        if (signal.aborted) return;
        await one.read();
      }
    } catch (error) {
      // Our own directory was taken meanwhile, or cannot be read; what is open already can still be given.
      this.#options.onError(error);
    }
    for (const { stream, from } of this.#inOrder()) {
      if (signal.aborted) return;
      if (!from.handOut(stream)) continue;
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

  /** Files that cannot be read now and are tried again. */
  get unread(): number {
    let unread = 0;
    for (const one of this.#all) unread += one.unread;
    return unread;
  }

  /** Streams at which processes died; they stay on disk until an operator drops them. */
  get poisonous(): number {
    let count = 0;
    for (const one of this.#all) count += one.poisonous;
    return count;
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

  /** Moves what is dead into our own directory; resolves to all that is there by now. */
  async #taken(into: InstanceDirectory, signal: AbortSignal): Promise<readonly string[]> {
    const { path, onError, onRefused } = this.#options;
    for (const name of await deadInstances(path, into.id, onRefused, signal)) {
      if (signal.aborted) return [];
      // It is read where it is, since we had no directory; so it stays there until it is done.
      if (this.#has(join(path, name))) continue;
      try {
        take(path, name, into);
      } catch (error) {
        onError(error);
      }
    }
    return takenDirectories(into);
  }

  /**
   * Where the disk has no room even for our own directory, the dead are read where they are: only what is saved makes
   * room. Another process may do the same; saving a message twice is saving it once.
   */
  async #inPlace(signal: AbortSignal): Promise<readonly string[]> {
    const { path, onRefused } = this.#options;
    checkDirectory(path);
    const names = await deadInstances(path, '', onRefused, signal);
    return names.flatMap((name) => withTaken(join(path, name)));
  }

  #open(directories: readonly string[]): void {
    for (const directory of directories) {
      if (this.#has(directory)) continue;
      try {
        this.#all.add(new OrphanDirectory({ ...this.#options, directory }));
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }

  #has(directory: string): boolean {
    return [...this.#all].some((one) => one.directory === directory);
  }

  /** Finished ones are forgotten. One whose owner wrote on after it was read is read again at the next call. */
  #prune(): void {
    for (const one of this.#all) {
      if (one.streams.size > 0 || one.unread > 0) continue;
      one.close();
      this.#all.delete(one);
    }
  }

  /** Every stream with its directory, oldest first. */
  #inOrder(): { stream: IndexedStream; from: OrphanDirectory }[] {
    return [...this.#all]
      .flatMap((from) => from.ready().map((stream) => ({ stream, from })))
      .sort((a, b) => a.stream.startedAtMs - b.stream.startedAtMs);
  }

  /** `undefined` when the disk cannot give it now: it is tried again, and does not keep back the others. */
  #entryOf(stream: IndexedStream, from: OrphanDirectory): JournalEntry | undefined {
    const { path, reader, onError, onCorrupt } = this.#options;
    try {
      const { open, end, covered, endOffset } = stream;
      const openJson = open && reader.text(open.file, open.position);
      const opened =
        openJson === undefined
          ? unnamedStream(stream, originalName(from.directory))
          : parseOpened(openJson);
      return new StoredEntry({
        path,
        opened,
        endJson: end && reader.text(end.file, end.position),
        isCut: isCut(stream),
        expectedBytes: Math.max(covered, endOffset),
        endsAt: isReopened(stream) ? endOffset : undefined,
        read: () => from.body(stream),
        settle: () => from.settle(stream),
        onHole: () => onCorrupt(1),
      });
    } catch (error) {
      from.takeBack(stream);
      onError(error);
      return undefined;
    }
  }
}

/** A directory is called `taken-` and its owner's name once it was taken; ids must not depend on that. */
export function originalName(directory: string): string {
  return basename(directory).replace(/^taken-/, '');
}
