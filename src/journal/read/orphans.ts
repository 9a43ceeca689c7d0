/**
 * The journals of dead processes, taken over and read: each stream is handed out once, oldest first.
 */
import { join } from 'node:path';
import type { Lease } from '../lease/lease.ts';
import type { InstanceDirectory } from '../lease/owner-directory.ts';
import { storeOf } from '../lease/liveness.ts';
import {
  deadInstances,
  giveBack,
  originalName,
  take,
  takenDirectories,
  withTaken,
} from '../lease/takeover.ts';
import { checkDirectory } from '../ours.ts';
import type { JournalEntry } from '../port.ts';
import { parseOpened } from '../record-json.ts';
import type { SetAside } from '../aside/set-aside.ts';
import { StoredEntry } from './entry.ts';
import { OrphanDirectory } from './orphan-directory.ts';
import type { BodyReader } from './reader.ts';
import { isCut, isReopened, unnamedStream } from './stream-index.ts';
import type { IndexedStream } from './stream-index.ts';

export interface OrphansOptions {
  /** The journal's path. */
  readonly path: string;
  /** Names the store that messages go to. */
  readonly store: string | undefined;
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
  /** Whether messages for this store are ours to save; `undefined` where nothing says for which they are. */
  readonly accepts: (store: string | undefined) => boolean;
  /** What a look has found that an operator should know of; told at each look. */
  readonly onFound: (what: 'foreign' | 'unmarked' | 'poisonous', where: string) => void;
}

export class Orphans {
  readonly #options: OrphansOptions;
  readonly #all = new Set<OrphanDirectory>();
  /** Directories that the last look left alone, because they are for another store. */
  readonly #leftAlone = new Set<string>();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  /** Takes what is dead by now and yields what was not yielded yet. */
  async *entries(signal: AbortSignal): AsyncGenerator<JournalEntry> {
    await this.takeDead(signal);
    for (const { stream, from } of this.#inOrder()) {
      if (signal.aborted) return;
      if (!from.handOut(stream)) continue;
      const entry = this.#entryOf(stream, from);
      if (entry !== undefined) yield entry;
    }
    this.#prune();
  }

  /** Takes what is dead by now, and reads what it holds. Never rejects. */
  async takeDead(signal: AbortSignal): Promise<void> {
    const into = this.#options.lease.current;
    this.#prune();
    this.#leftAlone.clear();
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
    this.#tellFound();
    if (into !== undefined) this.#giveBackForeign();
  }

  /** Gives up the streams that are meant, in all directories taken; resolves to how many. Rejects with what the disk says. */
  async purge(isMeant: (stream: IndexedStream) => boolean): Promise<number> {
    let count = 0;
    for (const one of Array.from(this.#all)) count += await one.purge(isMeant);
    return count;
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
    for (const one of this.#all) count += one.poisonous.length;
    return count;
  }

  /** Streams of which nothing is known but their text: the opening was damaged. */
  get unnamed(): number {
    let count = 0;
    for (const { streams } of this.#all) {
      for (const { open } of streams) if (open === undefined) count += 1;
    }
    return count;
  }

  /** Directories, and streams in those that we have, that are for another store. */
  get foreign(): number {
    let count = this.#leftAlone.size;
    for (const one of this.#all) count += one.foreign;
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
      if (this.#has(join(path, name)) || !this.#isForUs(join(path, name))) continue;
      try {
        take(path, name, into);
      } catch (error) {
        onError(error);
      }
    }
    return takenDirectories(into).filter((directory) => {
      if (this.#isForUs(directory)) return true;
      // Whoever took it was told to take everything, and has died.
      giveBack(path, directory);
      return false;
    });
  }

  /** Whether the messages in a directory are for our store. */
  #isForUs(directory: string): boolean {
    if (this.#options.accepts(storeOf(directory))) return true;
    this.#leftAlone.add(originalName(directory));
    return false;
  }

  /** What turned out to be for another store only when it was read: its own processes look for it under the journal's path. */
  #giveBackForeign(): void {
    const { path, onError } = this.#options;
    for (const one of this.#all) {
      if (one.foreign === 0 || one.foreign < one.streams.size || one.unread > 0) continue;
      this.#all.delete(one);
      one.close();
      this.#leftAlone.add(originalName(one.directory));
      try {
        giveBack(path, one.directory);
      } catch (error) {
        onError(error);
      }
    }
  }

  #tellFound(): void {
    const { onFound } = this.#options;
    for (const name of this.#leftAlone) onFound('foreign', name);
    for (const one of this.#all) {
      const name = originalName(one.directory);
      if (one.foreign > 0) onFound('foreign', name);
      if (storeOf(one.directory) === undefined) onFound('unmarked', name);
      for (const { messageId } of one.poisonous) onFound('poisonous', messageId);
    }
  }

  /**
   * Where the disk has no room even for our own directory, the dead are read where they are: only what is saved makes
   * room. Another process may do the same; saving a message twice is saving it once.
   */
  async #inPlace(signal: AbortSignal): Promise<readonly string[]> {
    const { path, onRefused } = this.#options;
    checkDirectory(path);
    const names = await deadInstances(path, '', onRefused, signal);
    return names
      .flatMap((name) => withTaken(join(path, name)))
      .filter((directory) => this.#isForUs(directory));
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

  /** Every stream with its directory: oldest first, but those last at which a process died, which may have been chance. */
  #inOrder(): { stream: IndexedStream; from: OrphanDirectory }[] {
    return [...this.#all]
      .flatMap((from) => from.ready().map((stream) => ({ stream, from })))
      .sort(({ stream: a }, { stream: b }) => a.deaths - b.deaths || a.startedAtMs - b.startedAtMs);
  }

  /** `undefined` when the disk cannot give it now: it is tried again, and does not keep back the others. */
  #entryOf(stream: IndexedStream, from: OrphanDirectory): JournalEntry | undefined {
    const { path, store, reader, onError, onCorrupt } = this.#options;
    try {
      const { open, end, covered, endOffset } = stream;
      const openJson = open && reader.text(open.file, open.position);
      const opened =
        openJson === undefined
          ? unnamedStream(stream, originalName(from.directory))
          : parseOpened(openJson);
      return new StoredEntry({
        path,
        store,
        opened,
        endJson: end && reader.text(end.file, end.position),
        isCut: isCut(stream),
        expectedBytes: Math.max(covered, endOffset),
        endsAt: isReopened(stream) ? endOffset : undefined,
        read: () => from.body(stream),
        settle: () => from.settle(stream),
        onHole: () => onCorrupt(1),
        isGone: () => from.isPurged(stream),
        wasRead: () => from.wasRead(stream),
      });
    } catch (error) {
      from.takeBack(stream);
      onError(error);
      return undefined;
    }
  }
}
