/**
 * Whether the owner of a directory is alive. A pid does not tell (in containers every process is pid 1), and a heartbeat does not
 * tell a stopped process from a dead one. A listening socket does: the kernel accepts connections for a stopped process, and refuses
 * them for a dead one.
 */
import { closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isObject } from '../../core/values.ts';
import { readOurs } from '../ours.ts';

/** The content of an owner file. */
export interface Owner {
  readonly instance: string;
  readonly bootId: string;
  readonly pid: number;
  /** Epoch milliseconds. */
  readonly started: number;
  readonly renewed: number;
  /** The name of the socket in the directory; `null` where none can be bound. */
  readonly socket: string | null;
  /** The owner closed the journal and left messages for the next start. */
  readonly released: boolean;
  /** Names the store that its messages are for; absent where that has no name, and in directories of older versions. */
  readonly store?: string | undefined;
}

export const OWNER_FILE = 'owner.json';

/** An owner without a usable socket may be dead when its file is older than this, by the wall clock. */
const SILENT_AFTER_MS = 60_000;

/** It is dead when the file then does not change for three renewals, by the monotonic clock, because the wall clock may jump. */
const OBSERVE_MS = 15_000;

/** A connection attempt that takes longer means that the owner lives and is busy. */
const DIAL_TIMEOUT_MS = 2_000;

/** Identifies this boot of this kernel; where the system has no such id, the host. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux: the host name suffices, because the socket tells the state of processes of the same host.
    return `host:${hostname()}`;
  }
}

/**
 * A short path for a file in an open directory, whatever the length of the directory's path: Node 20 and 22 truncate a socket path
 * over 107 bytes without an error. `undefined` where there is no `/proc`.
 */
export function shortPath(directoryFd: number, name: string): string | undefined {
  const directory = `/proc/self/fd/${directoryFd}`;
  return existsSync(directory) ? `${directory}/${name}` : undefined;
}

/** Reads an owner file; `undefined` when there is none that can be read. */
export function readOwner(directory: string): Owner | undefined {
  try {
    const value: unknown = JSON.parse(readOurs(join(directory, OWNER_FILE)));
    return isOwner(value) ? value : undefined;
  } catch {
    // Absent or damaged: the age of the directory or of the file decides.
    return undefined;
  }
}

/** The store that the messages in a directory are for; `undefined` where the owner file does not name it or cannot be read. */
export function storeOf(directory: string): string | undefined {
  return readOwner(directory)?.store;
}

/** Options of `isDead`. */
export interface Look {
  /** The boot id of this process. Default: it is read. */
  readonly here?: string;
  /** Aborts the check: the result is then that the owner is alive. */
  readonly signal?: AbortSignal;
  /** Default 15 s; for tests. */
  readonly observeMs?: number;
}

/**
 * Whether the owner of this directory is dead. Takes 15 s where the owner has no usable socket and its file is old; that timer does not
 * keep the process alive. Never rejects.
 */
export async function isDead(directory: string, look: Look = {}): Promise<boolean> {
  const { here = bootId(), signal, observeMs = OBSERVE_MS } = look;
  const seemsSilent = (): Promise<boolean> => isSilent(directory, observeMs, signal);
  const owner = readOwner(directory);
  if (owner?.released === true) return true;
  const socket = owner?.socket;
  // A socket outside the directory may belong to any process.
  const isInside = typeof socket === 'string' && socket === basename(socket);
  const answer = isInside ? await dial(directory, socket) : 'absent';
  switch (answer) {
    case 'accepts':
      return false;
    case 'refuses':
      return owner?.bootId === here || seemsSilent();
    case 'absent':
      return seemsSilent();
  }
}

async function isSilent(
  directory: string,
  observeMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const before = renewedAt(directory);
  if (before === undefined || Date.now() - before <= SILENT_AFTER_MS) return false;
  try {
    await delay(observeMs, undefined, { ref: false, ...(signal && { signal }) });
  } catch {
    // Aborted.
    return false;
  }
  return renewedAt(directory) === before;
}

/** Modification time of the owner file, else of the directory: epoch milliseconds. `undefined` when neither can be read. */
function renewedAt(directory: string): number | undefined {
  for (const path of [join(directory, OWNER_FILE), directory]) {
    try {
      return statSync(path).mtimeMs;
    } catch {
      // No owner file: the time of the directory is used. No directory: another process took it over.
    }
  }
  return undefined;
}

type Answer = 'accepts' | 'refuses' | 'absent';

/** Connects to the socket of a directory. Every result but a refusal or an absent socket counts as a living owner. */
async function dial(directory: string, socket: string): Promise<Answer> {
  let fd: number | undefined;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return await knock(shortPath(fd, socket) ?? join(directory, socket));
  } catch {
    // The directory was removed or renamed during the check: another process took it over.
    return 'accepts';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function knock(path: string): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (answer: Answer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(DIAL_TIMEOUT_MS, () => finish('accepts'));
    socket.once('connect', () => finish('accepts'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') finish('refuses');
      else finish(error.code === 'ENOENT' ? 'absent' : 'accepts');
    });
  });
}

function isOwner(value: unknown): value is Owner {
  return (
    isObject(value) &&
    'bootId' in value &&
    typeof value.bootId === 'string' &&
    'socket' in value &&
    (typeof value.socket === 'string' || value.socket === null) &&
    'released' in value &&
    typeof value.released === 'boolean' &&
    (!('store' in value) || typeof value.store === 'string')
  );
}
