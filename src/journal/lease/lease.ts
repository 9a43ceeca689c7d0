/**
 * The instance directory that this process holds, and its replacement when the directory was taken over or deleted.
 */
import { openInstanceDirectory } from './owner-directory.ts';
import type { InstanceDirectory } from './owner-directory.ts';

export interface LeaseOptions {
  /** The journal's path. */
  readonly path: string;
  /** Names the store that the messages are for. */
  readonly store: string | undefined;
  /** Answers a request of an operator, received through the socket. */
  readonly onRequest: (request: object) => Promise<object>;
  readonly onError: (error: unknown) => void;
  /** A directory was opened. */
  readonly onOpened: () => void;
  /** The directory was lost; a new one is opened after this call. */
  readonly onLost: (how: 'taken' | 'deleted', directory: string) => void;
  /** No new directory could be opened. */
  readonly onFailed: (error: unknown) => void;
}

export class Lease {
  /** `undefined` while no directory could be opened. */
  current: InstanceDirectory | undefined;
  readonly #options: LeaseOptions;
  #isReleased = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** The directory for a new file. After `release` opens a new one for it. Throws when there is none. */
  directoryForFile(): string {
    if (this.current === undefined && this.#isReleased) this.open();
    if (this.current === undefined) throw new Error('the journal has no directory');
    return this.current.directory;
  }

  /** Opens a directory. Throws the error of the file system. */
  open(): void {
    this.current = openInstanceDirectory(this.#options.path, this.#options);
    this.#options.onOpened();
  }

  /** Opens a directory when there is none, or when it was lost. Rejects with the error of the file system. */
  async ensure(): Promise<void> {
    if (this.current === undefined) this.open();
    else await this.check();
  }

  /** Checks that the directory is still ours; if not, abandons it, opens a new one and returns false. */
  async check(): Promise<boolean> {
    const { current } = this;
    const tenure = await current?.tenure();
    if (current === undefined || tenure === undefined || tenure === 'mine') return true;
    // A concurrent call may have replaced it already.
    if (this.current === current) this.#leave(current, tenure);
    return false;
  }

  #leave(left: InstanceDirectory, how: 'taken' | 'deleted'): void {
    const { onError, onLost, onFailed } = this.#options;
    this.current = undefined;
    onLost(how, left.directory);
    left.abandon().catch(onError);
    try {
      this.open();
    } catch (error) {
      onError(error);
      onFailed(error);
    }
  }

  /** Releases the directory to the next process, or removes it when it is empty. Rejects with the error of the file system. */
  async release(): Promise<void> {
    const left = this.current;
    this.current = undefined;
    this.#isReleased = true;
    await left?.release();
  }

  /** Renews the owner file. False when the directory is not ours any more. Never rejects. */
  async renew(): Promise<boolean> {
    try {
      if (this.current === undefined) return true;
      if ((await this.current.tenure()) !== 'mine') return false;
      return await this.current.renew();
    } catch (error) {
      this.#options.onError(error);
    }
    return true;
  }
}

/** Journals of this process by path; shared by all copies of the package that are loaded. */
const USERS = Symbol.for('lastchunk.journal.users');

/** Changes the number of journals of this process that use a path; returns the new number. */
export function countUser(path: string, added: 1 | -1): number {
  const known: unknown = Reflect.get(globalThis, USERS);
  const users: Map<unknown, unknown> = known instanceof Map ? known : new Map();
  Reflect.set(globalThis, USERS, users);
  const before = users.get(path);
  const count = (typeof before === 'number' ? before : 0) + added;
  if (count > 0) users.set(path, count);
  else users.delete(path);
  return count;
}
