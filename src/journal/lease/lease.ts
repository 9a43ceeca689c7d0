/**
 * Which directory this process holds now, and what happens when that turns out to be somebody else's.
 */
import { openInstanceDirectory } from './owner-directory.ts';
import type { InstanceDirectory } from './owner-directory.ts';

export interface LeaseOptions {
  /** The journal's path. */
  readonly path: string;
  /** Names the store that the messages are for. */
  readonly store: string | undefined;
  /** An operator asks something through our socket. */
  readonly onRequest: (request: object) => Promise<object>;
  readonly onError: (error: unknown) => void;
  /** A directory was opened. */
  readonly onOpened: () => void;
  /** The directory is ours no more; a new one is opened after this. */
  readonly onLost: (how: 'taken' | 'deleted', directory: string) => void;
  /** No new directory could be opened. */
  readonly onFailed: (error: unknown) => void;
}

export class Lease {
  /** `undefined` while no directory can be had. */
  current: InstanceDirectory | undefined;
  readonly #options: LeaseOptions;
  #isReleased = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  /** Where a new file goes. After `release` a new directory is opened for it. Throws when there is none. */
  directoryForFile(): string {
    if (this.current === undefined && this.#isReleased) this.open();
    if (this.current === undefined) throw new Error('the journal has no directory');
    return this.current.directory;
  }

  /** Opens a directory. Throws what the disk throws. */
  open(): void {
    this.current = openInstanceDirectory(this.#options.path, this.#options);
    this.#options.onOpened();
  }

  /** Opens a directory when there is none, or when it was taken over. Rejects with what the disk says. */
  async ensure(): Promise<void> {
    if (this.current === undefined) this.open();
    else await this.check();
  }

  /** Gives up a directory that is ours no more, and opens a new one. False when it did that. */
  async check(): Promise<boolean> {
    const { current } = this;
    const tenure = await current?.tenure();
    if (current === undefined || tenure === undefined || tenure === 'mine') return true;
    // Another call may have done it meanwhile.
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

  /** Gives the directory to whoever comes next; it goes when nothing is in it. Rejects with what the disk says. */
  async release(): Promise<void> {
    const left = this.current;
    this.current = undefined;
    this.#isReleased = true;
    await left?.release();
  }

  /** Says that we live. False when the directory is not ours any more. Never rejects. */
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

/** Adds to the journals of this process that use a path; returns how many there are now. */
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
