/**
 * Files that are kept under a journal's path for an operator: messages that the store refuses, in `refused/`, and segments with damaged
 * records, in `damaged/`. Both directories have a limit of age and of size; files over it are deleted, oldest first, and this is logged
 * and counted.
 */
import { lstatSync, mkdirSync, renameSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { basename, dirname, join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { checkDirectory } from '../ours.ts';

/** The limits of age and size, for each kind. */
export interface AsideBound {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** The files of one kind, as of the last refresh. */
export interface AsideCount {
  readonly files: number;
  readonly bytes: number;
  /** How many files this process has deleted because of the limits. */
  readonly expired: number;
}

/** A file in `damaged/` or `refused/`. */
export interface AsideFile {
  readonly file: string;
  readonly bytes: number;
  /** Epoch milliseconds of the last write to it. */
  readonly writtenAtMs: number;
}

/** The limits for a journal of `maxBytes`: 90 days, and an eighth of `maxBytes`. */
export function asideBoundOf(maxBytes: number): AsideBound {
  return { maxAgeMs: 90 * 24 * 3_600_000, maxBytes: maxBytes / 8 };
}

const DAMAGED = 'damaged';

/** How often `refused/` is listed; the cost grows with the number of files in it. */
const REFUSED_EVERY_MS = 60_000;

export interface SetAsideOptions {
  /** The journal's path. */
  readonly path: string;
  readonly bound: AsideBound;
  /** `files` files of a kind were deleted because of the limits. */
  readonly onExpired: (kind: 'damaged' | 'refused', files: number) => void;
  readonly onError: (error: unknown) => void;
}

/** The files in `damaged/` and `refused/` under a journal's path. */
export class SetAside {
  readonly #path: string;
  readonly #onError: (error: unknown) => void;
  readonly #damaged: AsideDirectory;
  readonly #refused: AsideDirectory;
  #refusedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  /** `counts` is 0 before the first `refresh`. */
  constructor({ path, bound, onExpired, onError }: SetAsideOptions) {
    this.#path = path;
    this.#onError = onError;
    const directory = (kind: 'damaged' | 'refused'): AsideDirectory =>
      new AsideDirectory(join(path, kind), bound, (files) => onExpired(kind, files));
    this.#damaged = directory('damaged');
    this.#refused = directory('refused');
  }

  /** The counts of each kind, as of the last refresh. */
  get counts(): Readonly<Record<'damaged' | 'refused', AsideCount>> {
    return { damaged: this.#damaged.count, refused: this.#refused.count };
  }

  /** Moves a damaged segment to `damaged/`. Throws the error of the file system; the segment is then not moved. */
  add(segment: string): void {
    const directory = join(this.#path, DAMAGED);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkDirectory(directory);
    const { size } = lstatSync(segment);
    renameSync(segment, join(directory, `${basename(dirname(segment))}-${basename(segment)}`));
    this.#damaged.note(size);
  }

  /** Lists both directories again, because other processes change them too, and deletes files over the limits. Never rejects. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look()
      .catch(this.#onError)
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #look(): Promise<void> {
    await this.#damaged.refresh();
    if (performance.now() - this.#refusedAtMs < REFUSED_EVERY_MS) return;
    this.#refusedAtMs = performance.now();
    await this.#refused.refresh();
  }
}

class AsideDirectory {
  count: AsideCount = { files: 0, bytes: 0, expired: 0 };
  readonly #directory: string;
  readonly #bound: AsideBound;
  readonly #onExpired: (files: number) => void;

  constructor(directory: string, bound: AsideBound, onExpired: (files: number) => void) {
    this.#directory = directory;
    this.#bound = bound;
    this.#onExpired = onExpired;
  }

  /** Counts a file that was added. */
  note(size: number): void {
    const { files, bytes, expired } = this.count;
    this.count = { files: files + 1, bytes: bytes + size, expired };
  }

  async refresh(): Promise<void> {
    const { maxAgeMs, maxBytes } = this.#bound;
    const all = await listFiles(this.#directory);
    let bytes = all.reduce((sum, one) => sum + one.bytes, 0);
    let gone = 0;
    for (const one of all) {
      if (one.writtenAtMs >= Date.now() - maxAgeMs && bytes <= maxBytes) break;
      await rm(one.file, { force: true });
      bytes -= one.bytes;
      gone += 1;
    }
    this.count = { files: all.length - gone, bytes, expired: this.count.expired + gone };
    if (gone > 0) this.#onExpired(gone);
  }
}

/** The damaged segments under a journal's path, oldest first; empty where `damaged/` does not exist. Rejects with the error of the disk. */
export function listDamaged(path: string): Promise<readonly AsideFile[]> {
  return listFiles(join(path, DAMAGED));
}

async function listFiles(directory: string): Promise<readonly AsideFile[]> {
  const all: AsideFile[] = [];
  for (const name of await namesIn(directory)) {
    const file = join(directory, name);
    try {
      const { size, mtimeMs } = await lstat(file);
      all.push({ file, bytes: size, writtenAtMs: mtimeMs });
    } catch (error) {
      // It was deleted meanwhile.
      if (!isMissing(error)) throw error;
    }
  }
  return all.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    checkDirectory(directory);
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
