/**
 * The file system. `Files` has the calls through which the journal reads and writes segments, so that a test can replace them by a disk
 * that is slow, full or fails. `fileSystemOf` returns the kind of file system of a directory: a tmpfs or a layer of a container does not
 * outlive the container, and a network file system does not guarantee locks and fsync as a disk does.
 */
import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  read,
  readSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { JournalState } from './port.ts';

/** A disk, as the writer sees it. */
export interface Files {
  /** A new file for reading and writing, mode 0600; throws where one stands already. */
  create(path: string): number;
  /** Writes `bytes[from, from + length)` at `position`; may write less than asked, without an error. */
  write(fd: number, bytes: Buffer, range: WriteRange): number;
  truncate(fd: number, length: number): void;
  /** Resolves when everything written to `fd` so far, and its size, is on the disk. */
  sync(fd: number): Promise<void>;
  /** Reads into `into[at, …)` from `position`; resolves to how much, 0 at the end of the file. */
  read(fd: number, into: Buffer, at: number, position: number): Promise<number>;
  /** The same now, from the beginning of `into`: for pages that were written or read a moment ago. */
  readNow(fd: number, into: Buffer, position: number): number;
  /** Size in bytes, and how many names the file has: 0 when it was deleted. */
  stat(fd: number): { readonly size: number; readonly links: number };
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
  read: (fd, into, at, position) =>
    new Promise((resolve, reject) => {
      read(fd, into, at, into.length - at, position, (error, got) =>
        error === null ? resolve(got) : reject(error),
      );
    }),
  readNow: (fd, into, position) => readSync(fd, into, 0, into.length, position),
  stat(fd) {
    const { size, nlink } = fstatSync(fd);
    return { size, links: nlink };
  },
  close: closeSync,
  remove: unlinkSync,
};

export type FileSystem = Exclude<JournalState['fileSystem'], 'none'>;

/** Magic numbers of statfs(2), from linux/magic.h and the file systems' own sources; what is not here is a disk. */
const KIND_OF_MAGIC: ReadonlyMap<number, FileSystem> = new Map([
  [0x794c7630, 'overlay'], // OVERLAYFS_SUPER_MAGIC
  [0x61756673, 'overlay'], // AUFS_SUPER_MAGIC
  [0x01021994, 'tmpfs'], // TMPFS_MAGIC
  [0x858458f6, 'tmpfs'], // RAMFS_MAGIC
  [0x6969, 'network'], // NFS_SUPER_MAGIC
  [0x517b, 'network'], // SMB_SUPER_MAGIC
  [0xff534d42, 'network'], // CIFS_SUPER_MAGIC
  [0xfe534d42, 'network'], // SMB2_SUPER_MAGIC
  [0x00c36400, 'network'], // CEPH_SUPER_MAGIC
  [0x5346414f, 'network'], // AFS_FS_MAGIC
  [0x01021997, 'network'], // V9FS_MAGIC
  [0x65735546, 'network'], // FUSE_SUPER_MAGIC: mounts of object stores, of sshfs, of a desktop's host
  [0x0bd00bd0, 'network'], // Lustre
  [0x47504653, 'network'], // GPFS
]);

/** The kind of file system of `path`; `disk` where the system does not report it. */
export function fileSystemOf(path: string): FileSystem {
  try {
    // The type is signed on some platforms.
    return KIND_OF_MAGIC.get(statfsSync(path).type >>> 0) ?? 'disk';
  } catch {
    // The path does not exist yet, or the platform has no statfs: assume a disk.
    return 'disk';
  }
}

/** Bytes of the volume that `path` lies on, in use or not; `undefined` where the system does not say. */
export function volumeBytes(path: string): number | undefined {
  try {
    const { blocks, bsize } = statfsSync(path);
    return blocks * bsize;
  } catch {
    // A platform without statfs: nothing is known.
    return undefined;
  }
}

/** The log line about the kind of file system, and whether it is a warning. */
export function describeFileSystem(
  path: string,
  kind: FileSystem,
  ephemeral: boolean,
): { level: 'info' | 'warn'; line: string } {
  const where = `the journal is in ${path}, on ${kind}`;
  switch (kind) {
    case 'disk':
      return { level: 'info', line: where };
    case 'overlay':
    case 'tmpfs':
      return ephemeral
        ? { level: 'info', line: `${where}; it is said to be ephemeral` }
        : {
            level: 'warn',
            line: `${where}: what it holds is gone with the container or the machine; mount a volume, or say \`ephemeral: true\``,
          };
    case 'network':
      return {
        level: 'warn',
        line: `${where}: a network file system; ownership and fsync are not promised there`,
      };
  }
}
