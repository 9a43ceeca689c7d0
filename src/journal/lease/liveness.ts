/**
 * Who is alive. A pid says nothing (in containers every process is pid 1) and a heartbeat says nothing about a
 * process that was only stopped for a while; a listening socket does: the kernel accepts for a stopped process, and
 * refuses for a dead one.
 */
import { closeSync, constants, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isObject } from '../../core/values.ts';
import { readOurs } from '../ours.ts';

/** What an owner says about itself in its directory. */
export interface Owner {
  readonly instance: string;
  readonly bootId: string;
  readonly pid: number;
  /** Epoch milliseconds. */
  readonly started: number;
  readonly renewed: number;
  /** A name in the directory; `null` where none can be bound. */
  readonly socket: string | null;
  /** The owner closed it and left messages for the next start. */
  readonly released: boolean;
  /** Names the store that its messages are for; absent where that has no name, and in directories of older versions. */
  readonly store?: string | undefined;
}

export const OWNER_FILE = 'owner.json';

/** An owner that cannot be asked may be dead when it has not renewed its file for so long, by the wall clock. */
const SILENT_AFTER_MS = 60_000;

/** It is dead when the file then stays as it is for three more renewals, by the monotonic clock: the wall clock jumps. */
const OBSERVE_MS = 15_000;

/** A dial that takes longer means that somebody is there, and busy. */
const DIAL_TIMEOUT_MS = 2_000;

/** Names this boot of this kernel; where the system has no such id, the host. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux: a host name is the next best, since the socket decides among its processes.
    return `host:${hostname()}`;
  }
}

/**
 * A path for a file in an open directory that is short whatever the directory is called: a socket path over 107
 * bytes is cut without an error on Node 20 and 22. `undefined` where there is no `/proc`.
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
    // Absent, or damaged: then its age decides.
    return undefined;
  }
}

/** For which store the messages in a directory are; `undefined` when it does not say, or cannot be read. */
export function storeOf(directory: string): string | undefined {
  return readOwner(directory)?.store;
}

/** How `isDead` looks at a directory. */
export interface Look {
  /** Of this process; read again when it is not given. */
  readonly here?: string;
  /** Breaks the look off: the answer is then that the owner is alive. */
  readonly signal?: AbortSignal;
  /** Default 15 s; for tests. */
  readonly observeMs?: number;
}

/**
 * Whether nobody writes to this directory any more. Answers after 15 s where the owner cannot be asked and seems silent;
 * that wait keeps no process alive. Never rejects.
 */
export async function isDead(directory: string, look: Look = {}): Promise<boolean> {
  const { here = bootId(), signal, observeMs = OBSERVE_MS } = look;
  const seemsSilent = (): Promise<boolean> => isSilent(directory, observeMs, signal);
  const owner = readOwner(directory);
  if (owner?.released === true) return true;
  const socket = owner?.socket;
  // What stands elsewhere may be anybody's.
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
    // Broken off.
    return false;
  }
  return renewedAt(directory) === before;
}

/** When the owner file was made, else the directory: epoch milliseconds. `undefined` when neither can be seen. */
function renewedAt(directory: string): number | undefined {
  for (const path of [join(directory, OWNER_FILE), directory]) {
    try {
      return statSync(path).mtimeMs;
    } catch {
      // No owner file: the directory's own age. No directory: somebody else took it.
    }
  }
  return undefined;
}

type Answer = 'accepts' | 'refuses' | 'absent';

/** Knocks at a socket. Everything that is not a clear refusal counts as somebody being there. */
async function dial(directory: string, socket: string): Promise<Answer> {
  let fd: number | undefined;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return await knock(shortPath(fd, socket) ?? join(directory, socket));
  } catch {
    // The directory went while we looked: somebody else took it.
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
