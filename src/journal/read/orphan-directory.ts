/**
 * A directory of a dead process: the streams in its segments, and which of them are settled. Files are deleted from the oldest on, each
 * when no stream needs it and its size has not changed since it was read: if the owner is alive after all, records that it writes are
 * not lost. When a file cannot be read, the others are read, and that one is read again later.
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

/** How often a file that cannot be read is tried; after that its streams are returned as far as other files contain them. */
const READ_TRIES = 5;

export interface OrphanDirectoryOptions {
  readonly directory: string;
  readonly reader: BodyReader;
  readonly setAside: SetAside;
  readonly onError: (error: unknown) => void;
  /** Damaged places were skipped while reading. */
  readonly onCorrupt: (count: number) => void;
  /** A file was deleted or moved aside. */
  readonly onFreed: () => void;
  /** Whether this process saves messages for this store. */
  readonly accepts: (store: string | undefined) => boolean;
}

export class OrphanDirectory {
  readonly directory: string;
  /** Bytes of all files that were opened and not deleted. */
  bytes = 0;
  readonly #options: OrphanDirectoryOptions;
  readonly #index: StreamIndex = new Map();
  readonly #streams = new Set<IndexedStream>();
  readonly #handedOut = new Set<IndexedStream>();
  readonly #purged = new Set<IndexedStream>();
  /** Streams that are being read now. */
  readonly #reading = new Set<IndexedStream>();
  readonly #files: IndexedFile[];
  readonly #settlements: Settlements;
  #isClosed = false;

  /** Lists the segments; reads none. Throws when the directory cannot be listed. */
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

  /** How many files are not read yet, or could not be read and will be read again. */
  get unread(): number {
    return this.#files.filter(({ isRead, failures }) => !isRead && failures < READ_TRIES).length;
  }

  /** Reads the files that were not read yet, each on its own. Never rejects. */
  async read(): Promise<void> {
    for (const file of this.#files) {
      if (file.isRead || file.failures >= READ_TRIES) continue;
      try {
        await this.#readFile(file);
      } catch (error) {
        // The file was deleted since it was listed: the process that deleted it had settled its streams.
        if (isMissing(error)) file.isRead = true;
        else this.#noteFailure(file, error);
      }
    }
    this.#findWanted();
    if (this.#streams.size === 0) this.sweep();
  }

  /**
   * The streams that may be saved now and were not returned yet. While a file is unread, only those that are complete without it: the
   * file may hold more of the others.
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

  /** Marks a stream as returned. False when it was returned before, or is settled. */
  handOut(stream: IndexedStream): boolean {
    if (this.#handedOut.has(stream) || !this.#streams.has(stream)) return false;
    this.#handedOut.add(stream);
    return true;
  }

  /** The stream could not be returned: it is ready again. */
  takeBack(stream: IndexedStream): void {
    this.#handedOut.delete(stream);
  }

  /** Streams that repeatedly killed the process that read them: they stay on disk and are not returned any more. */
  get poisonous(): readonly IndexedStream[] {
    return [...this.#streams].filter(isPoisonous);
  }

  /** How many streams are for another store. */
  get foreign(): number {
    return [...this.#streams].filter(({ store }) => !this.#options.accepts(store)).length;
  }

  /**
   * Reads the body of a stream. Records on disk that it is being read, until `wasRead` or `close`, so that at most two processes die
   * while reading it. Rejects with the error of the file system.
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

  /** Whether an operator has purged the stream. */
  isPurged(stream: IndexedStream): boolean {
    return this.#purged.has(stream);
  }

  /** The body was read into a message, or that failed with an error. */
  wasRead(stream: IndexedStream): void {
    if (!this.#reading.delete(stream) || !this.#streams.has(stream)) return;
    this.#attempt(() => this.#settlements.noteReading(stream, 'wasRead'));
  }

  /**
   * Settles the streams for which `isMeant` is true, and erases from disk their text and that of all settled streams. Resolves to how
   * many it gave up; rejects with the error of the file system.
   */
  async purge(isMeant: (stream: IndexedStream) => boolean): Promise<number> {
    const meant = new Set([...this.#streams].filter(isMeant));
    // A file that cannot be read may contain the beginning of a stream that is not wanted now because its beginning is missing.
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
        // The file was not needed any more and was deleted meanwhile.
        if (!isMissing(error)) throw error;
      }
    }
    return meant.size;
  }

  /** Its message is saved, refused or purged: its records are not needed any more. */
  settle(stream: IndexedStream): void {
    if (!this.#streams.delete(stream)) return;
    for (const file of stream.files) file.needed--;
    stream.settledOffset = stream.bodyEnd;
    stream.settledRevision = stream.revision;
    // Avoids saving everything again after a second crash. No fsync: saving a message again is harmless.
    this.#attempt(() => this.#settlements.add(stream));
    this.sweep();
  }

  /** Removes the files that no stream needs, and the directory when no file is left. */
  sweep(): void {
    this.#attempt(() => this.#removeUnneeded());
  }

  close(): void {
    // An orderly close must not count as a death of the process.
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
    // A file that failed halfway is indexed again from the beginning; indexing a record twice is harmless.
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
    // A file that is not ours will not become ours, so it is not tried again.
    file.failures = isNotOurs(error) ? READ_TRIES : file.failures + 1;
    onError(error);
    if (file.failures < READ_TRIES) return;
    // The file will be moved to `damaged/`, and its records are missing from now on.
    file.isDamaged = true;
    onCorrupt(1);
  }

  #findWanted(): void {
    for (const stream of this.#index.values()) {
      if (this.#streams.has(stream) || !isWanted(stream)) continue;
      this.#streams.add(stream);
      // The stream was settled before, but a file that was read since contains more of it.
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

  /** Deletes the file or moves it to `damaged/`. False when its size has changed since it was read. */
  #remove(file: IndexedFile): boolean {
    const path = join(this.directory, file.name);
    try {
      if (file.isRead && statSync(path).size !== file.statSize) return false;
      if (file.isDamaged) this.#options.setAside.add(path);
      else rmSync(path);
    } catch (error) {
      // Another process has saved the same streams and deleted the file first.
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
      // The path was removed by another process; open files can still be read.
      if (!isMissing(error)) this.#options.onError(error);
    }
  }
}
