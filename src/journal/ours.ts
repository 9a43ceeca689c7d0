/**
 * Whether a file or directory in a journal is ours. Other users of the machine and other containers on the volume may have created it: a
 * forged record would become a row, a link would make the journal read or delete other files, a FIFO would block the process. So nothing
 * is read that other users could have written.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';

/** Thrown for what is not ours; its `code` is `ENOTOURS`. */
export class NotOursError extends Error {
  readonly code = 'ENOTOURS';

  constructor(path: string, why: string) {
    super(`${path} ${why}`);
  }
}

/** Whether an error says that something is not ours. */
export function isNotOurs(error: unknown): boolean {
  return error instanceof NotOursError;
}

/** Throws `NotOursError` unless it is a directory, not a link, that only we (or root) may write; else what the disk throws. */
export function checkDirectory(path: string): void {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) throw new NotOursError(path, 'is not a directory');
  checkOwner(path, stats);
}

/** Whether `checkDirectory` accepts it; its error is passed to `onRefused`. */
export function isOurDirectory(path: string, onRefused: (error: unknown) => void): boolean {
  try {
    checkDirectory(path);
    return true;
  } catch (error) {
    onRefused(error);
    return false;
  }
}

/**
 * Opens a regular file of ours without blocking, for reading unless `access` says otherwise. Throws `NotOursError`, or the error
 * of the disk.
 */
export function openOurs(path: string, access: number = constants.O_RDONLY): number {
  let fd: number;
  try {
    fd = openSync(path, access | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isLink(error)) throw new NotOursError(path, 'is a link');
    throw error;
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new NotOursError(path, 'is not a regular file');
    checkOwner(path, stats);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The text of a regular file of ours. Throws as `openOurs` does. */
export function readOurs(path: string): string {
  const fd = openOurs(path);
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** A random name that does not exist yet: to be opened with `wx`, then renamed to `path`. */
export function temporaryName(path: string): string {
  return `${path}.${randomBytes(8).toString('hex')}.tmp`;
}

function checkOwner(path: string, { uid, mode }: Stats): void {
  // Windows knows neither.
  const us = process.geteuid?.();
  if (us === undefined) return;
  if (uid !== us && uid !== 0) {
    throw new NotOursError(path, `belongs to user ${uid}, not to user ${us} or root`);
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    throw new NotOursError(path, `can be written by its group or by others (mode ${octal(mode)})`);
  }
}

/** Write permission of the group and of others. */
const OTHERS_WRITE = 0o022;

function octal(mode: number): string {
  return (mode & 0o7777).toString(8);
}

/** `open` with `O_NOFOLLOW` at a symbolic link says ELOOP, on some systems EMLINK. */
function isLink(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'ELOOP' || error.code === 'EMLINK')
  );
}
