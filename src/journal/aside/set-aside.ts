/**
 * What stands aside under a journal's path until an operator has looked at it: messages that the store refuses, in
 * `refused/`, and segments in which records are damaged, in `damaged/`. Both have a bound of age and of size: what is
 * over it is deleted, oldest first, told and counted.
 */
import { lstatSync, mkdirSync, renameSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { basename, dirname, join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { checkDirectory } from '../ours.ts';

/** Kept so long, and so much of each kind. */
export interface AsideBound {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

/** Of one kind, as it was found last. */
export interface AsideCount {
  readonly files: number;
  readonly bytes: number;
  /** Deleted by this process, because they were too old or too much. */
  readonly expired: number;
}

/** A file that stands aside. */
export interface AsideFile {
  readonly file: string;
  readonly bytes: number;
  /** Epoch milliseconds of the last write to it. */
  readonly writtenAtMs: number;
}

/** 90 days, and an eighth of the journal's bound. */
export function asideBoundOf(maxBytes: number): AsideBound {
  return { maxAgeMs: 90 * 24 * 3_600_000, maxBytes: maxBytes / 8 };
}

const DAMAGED = 'damaged';

/** A look at `refused/` costs what is in it, so it is looked at every minute only. */
const REFUSED_EVERY_MS = 60_000;

export interface SetAsideOptions {
  /** The journal's path. */
  readonly path: string;
  readonly bound: AsideBound;
  /** So many files of a kind were deleted. */
  readonly onExpired: (kind: 'damaged' | 'refused', files: number) => void;
  readonly onError: (error: unknown) => void;
}

/** What stands aside under a journal's path. */
export class SetAside {
  readonly #path: string;
  readonly #onError: (error: unknown) => void;
  readonly #damaged: AsideDirectory;
  readonly #refused: AsideDirectory;
  #refusedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  /** Knows nothing before the first `refresh`. */
  constructor({ path, bound, onExpired, onError }: SetAsideOptions) {
    this.#path = path;
    this.#onError = onError;
    const directory = (kind: 'damaged' | 'refused'): AsideDirectory =>
      new AsideDirectory(join(path, kind), bound, (files) => onExpired(kind, files));
    this.#damaged = directory('damaged');
    this.#refused = directory('refused');
  }

  /** What is known of each kind. */
  get counts(): Readonly<Record<'damaged' | 'refused', AsideCount>> {
    return { damaged: this.#damaged.count, refused: this.#refused.count };
  }

  /** Moves a damaged segment aside. Throws what the disk throws; the segment is where it was then. */
  add(segment: string): void {
    const directory = join(this.#path, DAMAGED);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkDirectory(directory);
    const { size } = lstatSync(segment);
    renameSync(segment, join(directory, `${basename(dirname(segment))}-${basename(segment)}`));
    this.#damaged.note(size);
  }

  /** Looks again, since others add and remove files too, and keeps both in their bounds. Never rejects. */
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

  /** One more stands there. */
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

/** The damaged segments under a journal's path, oldest first; none when nothing was ever damaged. Rejects with what the disk says. */
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
      // Somebody removed it.
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
