/**
 * The few calls through which the journal touches a segment's bytes. They are one small object so that a test can
 * make a disk short, slow, full or deaf; nothing else of the file system is behind it.
 */
import { closeSync, fdatasync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';

/** A disk, as the writer sees it. */
export interface Files {
  /** A new file for reading and writing, mode 0600; throws where one stands already. */
  create(path: string): number;
  /** Writes `bytes[from, from + length)` at `position`; may write less than asked, without an error. */
  write(fd: number, bytes: Buffer, range: WriteRange): number;
  truncate(fd: number, length: number): void;
  /** Resolves when everything written to `fd` so far, and its size, is on the disk. */
  sync(fd: number): Promise<void>;
  close(fd: number): void;
  remove(path: string): void;
}

export interface WriteRange {
  readonly from: number;
  readonly length: number;
  readonly position: number;
}

/** Node's own calls. */
export const diskFiles: Files = {
  create: (path) => openSync(path, 'wx+', 0o600),
  write: (fd, bytes, { from, length, position }) => writeSync(fd, bytes, from, length, position),
  truncate: ftruncateSync,
  sync: (fd) =>
    new Promise((resolve, reject) => {
      // The size is metadata that fdatasync does write; times are what it leaves out (fdatasync(2)).
      fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
    }),
  close: closeSync,
  remove: unlinkSync,
};
