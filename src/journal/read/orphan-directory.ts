/**
 * A directory of a dead process: which streams its segments hold, and which of them are settled by now. Files go from
 * the oldest on, each when nobody needs it and nobody has written to it since it was read: should its owner be alive
 * after all, nothing that it still says is lost. A file that cannot be read fails alone: the others are read, and it is
 * tried again.
 */
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { removeIfEmpty } from '../lease/owner-directory.ts';
import { isNotOurs } from '../ours.ts';
import type { SetAside } from '../aside/set-aside.ts';
import type { BodyReader, ReadBack } from './reader.ts';
import { closeSegment, listSegments, openSegment } from './segment-file.ts';
import { Settlements } from './settlements.ts';
import { eraseRecords } from '../erase.ts';
import { segmentPath } from '../segment-name.ts';
import { indexRecord, isCut, isPoisonous, isSettled, isWanted } from './stream-index.ts';
import type { IndexedFile, IndexedStream, StreamIndex } from './stream-index.ts';

/** So often a file that cannot be read is tried; then its streams are given as far as the others have them. */
const READ_TRIES = 5;

export interface OrphanDirectoryOptions {
  readonly directory: string;
  readonly reader: BodyReader;
  readonly setAside: SetAside;
  readonly onError: (error: unknown) => void;
  /** Damaged places that were stepped over while reading. */
  readonly onCorrupt: (count: number) => void;
  /** A file was deleted or moved aside. */
  readonly onFreed: () => void;
  /** Whether messages for this store are ours to save. */
  readonly accepts: (store: string | undefined) => boolean;
}

export class OrphanDirectory {
  readonly directory: string;
  /** Of all files that were read. */
  bytes = 0;
  readonly #options: OrphanDirectoryOptions;
  readonly #index: StreamIndex = new Map();
  readonly #streams = new Set<IndexedStream>();
  readonly #handedOut = new Set<IndexedStream>();
  readonly #purged = new Set<IndexedStream>();
  /** Those that are being read now. */
  readonly #reading = new Set<IndexedStream>();
  readonly #files: IndexedFile[];
  readonly #settlements: Settlements;
  #isClosed = false;

  /** Throws when the directory cannot be listed. Reads nothing yet. */
  constructor(options: OrphanDirectoryOptions) {
    this.#options = options;
    this.directory = options.directory;
    this.#files = listSegments(options.directory);
    this.#settlements = new Settlements(options.directory);
  }

  /** Streams that are not settled. */
  get streams(): ReadonlySet<IndexedStream> {
    return this.#streams;
  }

  /** How many files could not be read and are tried again. */
  get unread(): number {
    return this.#files.filter(({ isRead, failures }) => !isRead && failures < READ_TRIES).length;
  }

  /** Reads what was not read yet, each file on its own. Never rejects. */
  async read(): Promise<void> {
    for (const file of this.#files) {
      if (file.isRead || file.failures >= READ_TRIES) continue;
      try {
        await this.#readFile(file);
      } catch (error) {
        // It went while we looked: whoever removed it had settled it.
        if (isMissing(error)) file.isRead = true;
        else this.#noteFailure(file, error);
      }
    }
    this.#findWanted();
    if (this.#streams.size === 0) this.sweep();
  }

  /**
   * The streams that may be saved now and were not given yet. While a file is unread, only those that are whole
   * without it: of the others more may come.
   */
  ready(): readonly IndexedStream[] {
    const isWaiting = this.unread > 0;
    return [...this.#streams].filter(
      (stream) =>
        !this.#handedOut.has(stream) &&
        !isPoisonous(stream) &&
        this.#options.accepts(stream.store) &&
        !(isWaiting && (stream.end === undefined || isCut(stream))),
    );
  }

  /** False when it was given before, or is settled. */
  handOut(stream: IndexedStream): boolean {
    if (this.#handedOut.has(stream) || !this.#streams.has(stream)) return false;
    this.#handedOut.add(stream);
    return true;
  }

  /** It could not be given: it is ready again. */
  takeBack(stream: IndexedStream): void {
    this.#handedOut.delete(stream);
  }

  /** Streams at which processes died again and again: they stay on disk and are not given any more. */
  get poisonous(): readonly IndexedStream[] {
    return [...this.#streams].filter(isPoisonous);
  }

  /** How many streams are for another store. */
  get foreign(): number {
    return [...this.#streams].filter(({ store }) => !this.#options.accepts(store)).length;
  }

  /**
   * Notes that it is read, so that processes die of it twice at most: until `wasRead`, or until we close. Rejects with
   * what the disk says.
   */
  async body(stream: IndexedStream): Promise<ReadBack> {
    if (!this.#reading.has(stream)) {
      this.#reading.add(stream);
      this.#attempt(() => this.#settlements.noteReading(stream, 'reading'));
    }
    try {
      return await this.#options.reader.body(stream.files, stream.number);
    } catch (error) {
      this.wasRead(stream);
      throw error;
    }
  }

  /** Whether an operator has given it up. */
  isPurged(stream: IndexedStream): boolean {
    return this.#purged.has(stream);
  }

  /** Its message is made. */
  wasRead(stream: IndexedStream): void {
    if (!this.#reading.delete(stream) || !this.#streams.has(stream)) return;
    this.#attempt(() => this.#settlements.noteReading(stream, 'wasRead'));
  }

  /**
   * Gives up the streams that are meant, and takes their text off the disk, and that of those that are settled. Resolves to
   * how many it gave up; rejects with what the disk says.
   */
  async purge(isMeant: (stream: IndexedStream) => boolean): Promise<number> {
    const meant = new Set([...this.#streams].filter(isMeant));
    // In a file that cannot be read may stand what a stream without its beginning needs.
    const isAllRead = this.unread === 0;
    const isErased = (number: number): boolean => {
      const stream = this.#index.get(number);
      if (stream === undefined) return false;
      return meant.has(stream) || isSettled(stream) || (isAllRead && !isWanted(stream));
    };
    for (const stream of meant) {
      this.#purged.add(stream);
      this.settle(stream);
    }
    for (const file of Array.from(this.#files)) {
      if (!file.isRead || this.#isClosed) continue;
      const segment = { path: segmentPath(this.directory, file), salt: file.salt };
      try {
        await eraseRecords({ ...segment, until: file.size }, isErased);
      } catch (error) {
        // Nobody needed it, and it went.
        if (!isMissing(error)) throw error;
      }
    }
    return meant.size;
  }

  /** Its message is where it belongs; nothing of it is needed here any more. */
  settle(stream: IndexedStream): void {
    if (!this.#streams.delete(stream)) return;
    for (const file of stream.files) file.needed--;
    stream.settledOffset = stream.bodyEnd;
    stream.settledRevision = stream.revision;
    // So that a second crash does not save everything again: an economy, hence no fsync.
    this.#attempt(() => this.#settlements.add(stream));
    this.sweep();
  }

  /** Removes the files that nobody needs, and the directory when it has none left. */
  sweep(): void {
    this.#attempt(() => this.#removeUnneeded());
  }

  close(): void {
    // An orderly end is no death.
    for (const stream of this.#reading) this.wasRead(stream);
    this.#isClosed = true;
    for (const file of this.#files) this.#attempt(() => closeSegment(file));
    this.#files.length = 0;
    this.#attempt(() => this.#settlements.close());
  }

  async #readFile(file: IndexedFile): Promise<void> {
    const { reader, onCorrupt } = this.#options;
    const { fd } = file;
    openSegment(this.directory, file);
    if (fd === -1) this.bytes += file.size;
    // A file of which a part was indexed before it failed is indexed again: that changes nothing.
    let unclear = 0;
    const torn = await reader.scan(file, (record, bytes) => {
      if (!indexRecord(this.#index, file, record, bytes)) unclear++;
    });
    const damaged = torn + unclear;
    if (unclear > 0) file.isDamaged = true;
    file.isRead = true;
    if (damaged > 0) onCorrupt(damaged);
  }

  #noteFailure(file: IndexedFile, error: unknown): void {
    const { onError, onCorrupt } = this.#options;
    // What is not ours does not become so.
    file.failures = isNotOurs(error) ? READ_TRIES : file.failures + 1;
    onError(error);
    if (file.failures < READ_TRIES) return;
    // It is set aside with the directory's other damage, and what it held is missing from now on.
    file.isDamaged = true;
    onCorrupt(1);
  }

  #findWanted(): void {
    for (const stream of this.#index.values()) {
      if (this.#streams.has(stream) || !isWanted(stream)) continue;
      this.#streams.add(stream);
      // Settled before, and a file that was read since has more of it.
      this.#handedOut.delete(stream);
    }
    for (const file of this.#files) file.needed = 0;
    for (const { files } of this.#streams) for (const file of files) file.needed++;
  }

  #removeUnneeded(): void {
    const files = this.#files;
    for (let first = files[0]; first !== undefined; first = files[0]) {
      const isOpenCase = !first.isRead && first.failures < READ_TRIES;
      if (first.needed > 0 || isOpenCase) return;
      if (!this.#remove(first)) return;
      files.shift();
      this.#options.onFreed();
    }
    this.#settlements.remove();
    removeIfEmpty(this.directory);
  }

  /** False when somebody wrote to it since it was read. */
  #remove(file: IndexedFile): boolean {
    const path = join(this.directory, file.name);
    try {
      if (file.isRead && statSync(path).size !== file.statSize) return false;
      if (file.isDamaged) this.#options.setAside.add(path);
      else rmSync(path);
    } catch (error) {
      // Another process has saved the same streams and was faster.
      if (!isMissing(error)) throw error;
    }
    this.bytes -= file.size;
    closeSegment(file);
    return true;
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      // Somebody removed it; what is open can still be read.
      if (!isMissing(error)) this.#options.onError(error);
    }
  }
}
