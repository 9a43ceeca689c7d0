/**
 * Takes over and reads the directories of dead processes, and returns each of their streams once, oldest first.
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
  /** Taken directories are moved into its directory. */
  readonly lease: Lease;
  readonly reader: BodyReader;
  readonly setAside: SetAside;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
  /** A directory is not ours, or could not be checked; it is not touched. */
  readonly onRefused: (error: unknown) => void;
  /** A file was deleted, so there is more room on the disk. */
  readonly onFreed: () => void;
  /** Whether this process saves messages for this store; the argument is `undefined` where the store is not recorded. */
  readonly accepts: (store: string | undefined) => boolean;
  /** A finding for an operator; repeated at each call of `takeDead`. */
  readonly onFound: (what: 'foreign' | 'unmarked' | 'poisonous', where: string) => void;
}

export class Orphans {
  readonly #options: OrphansOptions;
  readonly #all = new Set<OrphanDirectory>();
  /** Directories that the last `takeDead` did not take, because they are for another store. */
  readonly #leftAlone = new Set<string>();

  constructor(options: OrphansOptions) {
    this.#options = options;
  }

  /** Takes over directories of dead processes and yields the streams that were not yielded yet. */
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

  /** Takes over directories of dead processes, and reads them. Never rejects. */
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
      // Our own directory was taken over, or cannot be read; streams of directories that are open can still be returned.
      this.#options.onError(error);
    }
    this.#tellFound();
    if (into !== undefined) this.#giveBackForeign();
  }

  /** Purges the streams for which `isMeant` is true, in all taken directories; resolves to how many. Rejects with the error of the disk. */
  async purge(isMeant: (stream: IndexedStream) => boolean): Promise<number> {
    let count = 0;
    for (const one of Array.from(this.#all)) count += await one.purge(isMeant);
    return count;
  }

  /** Bytes of all taken directories. */
  get bytes(): number {
    let bytes = 0;
    for (const one of this.#all) bytes += one.bytes;
    return bytes;
  }

  /** Number of files that could not be read and will be read again. */
  get unread(): number {
    let unread = 0;
    for (const one of this.#all) unread += one.unread;
    return unread;
  }

  /** Number of streams that repeatedly killed the process that read them; they stay on disk until an operator drops them. */
  get poisonous(): number {
    let count = 0;
    for (const one of this.#all) count += one.poisonous.length;
    return count;
  }

  /** Number of streams of which only the text is known, because the open record was damaged. */
  get unnamed(): number {
    let count = 0;
    for (const { streams } of this.#all) {
      for (const { open } of streams) if (open === undefined) count += 1;
    }
    return count;
  }

  /** Number of directories for another store that were not taken, and of streams for another store in taken directories. */
  get foreign(): number {
    let count = this.#leftAlone.size;
    for (const one of this.#all) count += one.foreign;
    return count;
  }

  /** Number of streams that are not settled yet. */
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

  /** Closes all directories: another process has taken them over, or this journal closes. */
  forget(): void {
    for (const one of this.#all) one.close();
    this.#all.clear();
  }

  /** Moves directories of dead processes into our own; resolves to all taken directories in it. */
  async #taken(into: InstanceDirectory, signal: AbortSignal): Promise<readonly string[]> {
    const { path, onError, onRefused } = this.#options;
    for (const name of await deadInstances(path, into.id, onRefused, signal)) {
      if (signal.aborted) return [];
      // A directory that is being read in place, because we had no directory before, stays there until it is finished.
      if (this.#has(join(path, name)) || !this.#isForUs(join(path, name))) continue;
      try {
        take(path, name, into);
      } catch (error) {
        onError(error);
      }
    }
    return takenDirectories(into).filter((directory) => {
      if (this.#isForUs(directory)) return true;
      // A dead process had taken it with `takesForeign`, which accepts every store.
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

  /** Moves back directories whose records, once read, are all for another store: its processes look for them under the journal's path. */
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
   * Where the disk has no room even for our own directory, directories of dead processes are read in place: saving their messages frees
   * the disk. Another process may do the same; saving a message twice is harmless.
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

  /** Closes and removes finished directories. One whose owner has written after it was read is opened again at the next call. */
  #prune(): void {
    for (const one of this.#all) {
      if (one.streams.size > 0 || one.unread > 0) continue;
      one.close();
      this.#all.delete(one);
    }
  }

  /** Every ready stream with its directory: oldest first, but streams at whose reading a process died come last. */
  #inOrder(): { stream: IndexedStream; from: OrphanDirectory }[] {
    return [...this.#all]
      .flatMap((from) => from.ready().map((stream) => ({ stream, from })))
      .sort(({ stream: a }, { stream: b }) => a.deaths - b.deaths || a.startedAtMs - b.startedAtMs);
  }

  /** `undefined` when it cannot be read now: it is read again later, and the others are returned all the same. */
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
