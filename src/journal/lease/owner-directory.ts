/**
 * The directory of one running instance under the journal's path. One rename makes it visible, complete with its owner file and its
 * listening socket; when the owner is dead, another process takes it over with one rename.
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { rename, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { checkDirectory, temporaryName } from '../ours.ts';
import { OWNER_FILE, bootId, shortPath } from './liveness.ts';
import type { Owner } from './liveness.ts';
import { answerRequest } from './requests.ts';

/** Names of instance directories, and of directories whose process died while it created them. */
export const INSTANCE_NAME = /^(?:new-)?[0-9a-f]{16}$/;

const SOCKET_NAME = 'alive.sock';

/** A longer socket path is truncated without an error (sun_path of macOS has 104 bytes, of Linux 108). */
const SOCKET_PATH_BYTES = 103;

/** The store of an instance directory, and the handler for requests through its socket. */
export interface OwnerFacts {
  /** Names the store that the messages are for. */
  readonly store?: string | undefined;
  /** Answers requests of an operator. Default: connections are closed without an answer. */
  readonly onRequest?: ((request: object) => Promise<object>) | undefined;
}

/**
 * Creates an instance directory under `path`, and `path` where it is absent. Throws the error of the file system, and `NotOursError`
 * where other users may write to `path`.
 */
export function openInstanceDirectory(
  path: string,
  { store, onRequest }: OwnerFacts = {},
): InstanceDirectory {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  checkDirectory(path);
  ignoreInGit(path);
  const id = randomBytes(8).toString('hex');
  const hidden = join(path, `new-${id}`);
  const directory = join(path, id);
  mkdirSync(hidden, { mode: 0o700 });
  const fd = openSync(hidden, constants.O_RDONLY);
  const { server, socket } = listen(fd, hidden, onRequest);
  const { pid } = process;
  const owner = { instance: id, bootId: bootId(), pid, started: Date.now(), socket, store };
  try {
    const content = JSON.stringify({ ...owner, renewed: Date.now(), released: false });
    writeFileSync(join(hidden, OWNER_FILE), content, { mode: 0o600 });
    renameSync(hidden, directory);
    syncPath(path);
  } catch (error) {
    server?.close();
    closeSync(fd);
    rmSync(hidden, { recursive: true, force: true });
    throw error;
  }
  return new InstanceDirectory({ owner, directory, fd, server });
}

/** Adds a `.gitignore`, so that text of users is not committed with the app. */
function ignoreInGit(path: string): void {
  try {
    writeFileSync(join(path, '.gitignore'), '*\n', { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

interface OpenParts {
  readonly owner: Omit<Owner, 'renewed' | 'released'>;
  readonly directory: string;
  readonly fd: number;
  readonly server: Server | undefined;
}

/** `taken`: another process renamed it and owns its content. `deleted`: it was removed. */
export type Tenure = 'mine' | 'taken' | 'deleted';

/** The directory of this process. */
export class InstanceDirectory {
  /** 16 hex digits, new for each directory. */
  readonly id: string;
  readonly directory: string;
  readonly #parts: OpenParts;
  readonly #dev: number;
  readonly #ino: number;

  constructor(parts: OpenParts) {
    this.#parts = parts;
    this.id = parts.owner.instance;
    this.directory = parts.directory;
    const { dev, ino } = fstatSync(parts.fd);
    this.#dev = dev;
    this.#ino = ino;
  }

  /** Whether the directory is still at its path. An error of the file system other than a missing path counts as `mine`. */
  async tenure(): Promise<Tenure> {
    try {
      const now = await stat(this.directory);
      if (now.dev === this.#dev && now.ino === this.#ino) return 'mine';
    } catch (error) {
      if (!isMissing(error)) return 'mine';
    }
    // A directory without links was deleted; one that has another name was taken over.
    return fstatSync(this.#parts.fd).nlink === 0 ? 'deleted' : 'taken';
  }

  /** Writes the owner file again. False when the directory was taken over; rejects with the error of the file system. */
  renew(): Promise<boolean> {
    return unlessTaken(() => this.#replaceOwner(false));
  }

  /** Fsyncs the directory's entries. */
  sync(): Promise<void> {
    return syncDirectory(this.#parts.fd);
  }

  /** Marks the directory as released, then removes it where it holds no segment. */
  async release(): Promise<void> {
    let mine = false;
    try {
      mine =
        (await this.tenure()) === 'mine' && (await unlessTaken(() => this.#replaceOwner(true)));
    } finally {
      await this.abandon();
    }
    if (mine) await unlessTaken(() => removeIfEmpty(this.directory));
  }

  /** Closes the socket and the directory's descriptor; changes nothing on disk. */
  async abandon(): Promise<void> {
    const { server, fd } = this.#parts;
    // The socket's path goes through the descriptor of the directory, so the socket is closed first.
    await new Promise<void>((resolve) => {
      if (server === undefined) resolve();
      else server.close(() => resolve());
    });
    closeSync(fd);
  }

  #replaceOwner(released: boolean): Promise<void> {
    const owner = { ...this.#parts.owner, renewed: Date.now(), released };
    return replaceOwner(this.directory, owner);
  }
}

/** Runs `work` in a directory that may be taken over at any moment. False when it was. */
async function unlessTaken(work: () => Promise<void> | void): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Removes an instance directory that contains only its owner file and its socket. */
export function removeIfEmpty(directory: string): void {
  const isOwn = (name: string): boolean =>
    name === SOCKET_NAME || name === OWNER_FILE || /^owner\.json\..*tmp$/.test(name);
  if (readdirSync(directory).every((name) => isOwn(name) || name === `${OWNER_FILE}.tmp`)) {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Binding is synchronous for a path, so the socket answers when this returns. */
function listen(
  fd: number,
  directory: string,
  onRequest: OwnerFacts['onRequest'],
): { server: Server | undefined; socket: string | null } {
  const path = shortPath(fd, SOCKET_NAME) ?? join(directory, SOCKET_NAME);
  if (Buffer.byteLength(path) > SOCKET_PATH_BYTES) return { server: undefined, socket: null };
  const server = createServer((peer) => {
    if (onRequest === undefined) peer.destroy();
    else answerRequest(peer, onRequest);
  });
  server.on('error', () => {
    // The file system has no sockets: only the renewal of the owner file shows that this process lives.
  });
  // `exclusive`: under node:cluster the worker itself listens, not the primary on its behalf.
  server.listen({ path, exclusive: true });
  if (!server.listening) return { server: undefined, socket: null };
  server.unref();
  return { server, socket: SOCKET_NAME };
}

/** Replaces the owner file atomically: a reader gets the old or the new content. Asynchronous, so that a hung disk does not block us. */
async function replaceOwner(directory: string, owner: Owner): Promise<void> {
  const path = join(directory, OWNER_FILE);
  const temporary = temporaryName(path);
  await writeFile(temporary, JSON.stringify(owner), { mode: 0o600, flag: 'wx' });
  await rename(temporary, path);
}

function syncPath(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncDirectory(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fsync(fd, (error) => {
      // Some file systems cannot fsync a directory and answer EINVAL; nothing more can be done on them.
      if (error === null || error.code === 'EINVAL') resolve();
      else reject(error);
    });
  });
}
