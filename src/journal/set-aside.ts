/**
 * Segments in which records were damaged. They are not deleted with the others: they are moved to `damaged/` under the
 * journal's path and stay there until an operator has looked at them and removed them.
 */
import { lstatSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isMissing } from '../core/values.ts';
import { checkDirectory } from './ours.ts';

const DIRECTORY = 'damaged';

/** A damaged segment. */
export interface DamagedSegment {
  readonly file: string;
  readonly bytes: number;
}

/** What stands aside under a journal's path. */
export class SetAside {
  count = 0;
  bytes = 0;
  readonly #path: string;

  /** Knows nothing before the first `refresh`. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Moves a segment aside. Throws what the disk throws; the segment is where it was then. */
  add(segment: string): void {
    const directory = join(this.#path, DIRECTORY);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkDirectory(directory);
    const { size } = lstatSync(segment);
    renameSync(segment, join(directory, `${basename(dirname(segment))}-${basename(segment)}`));
    this.count++;
    this.bytes += size;
  }

  /** Looks again: an operator may have removed some. Throws what the disk throws. */
  refresh(): void {
    const all = listSetAside(this.#path);
    this.count = all.length;
    this.bytes = all.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

/** The damaged segments under a journal's path; none when nothing was ever damaged. Throws what the disk throws. */
export function listSetAside(path: string): readonly DamagedSegment[] {
  const directory = join(path, DIRECTORY);
  try {
    return readdirSync(directory).map((name) => {
      const file = join(directory, name);
      return { file, bytes: lstatSync(file).size };
    });
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}
