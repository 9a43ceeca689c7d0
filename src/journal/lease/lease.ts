/**
 * Which directory this process holds now, and what happens when that turns out to be somebody else's.
 */
import { openInstanceDirectory } from './owner-directory.ts';
import type { InstanceDirectory } from './owner-directory.ts';

export interface LeaseOptions {
  /** The journal's path. */
  readonly path: string;
  readonly onError: (error: unknown) => void;
  /** A directory was opened. */
  readonly onOpened: () => void;
  /** Another process thinks that we are dead, and our directory is its now; a new one is opened after this. */
  readonly onTakenOver: () => void;
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
    this.current = openInstanceDirectory(this.#options.path);
    this.#options.onOpened();
  }

  /** Opens a directory when there is none, or when it was taken over. Rejects with what the disk says. */
  async ensure(): Promise<void> {
    if (this.current === undefined) this.open();
    else if (!(await this.current.isMine())) this.leave();
  }

  /** Gives up a directory that is another process's now, and opens a new one. */
  leave(): void {
    const { onError, onTakenOver, onFailed } = this.#options;
    const left = this.current;
    this.current = undefined;
    onTakenOver();
    left?.abandon().catch(onError);
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
      if (!(await this.current.isMine())) return false;
      return await this.current.renew();
    } catch (error) {
      this.#options.onError(error);
    }
    return true;
  }
}
