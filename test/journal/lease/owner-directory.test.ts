import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import {
  openInstanceDirectory,
  type InstanceDirectory,
} from '../../../src/journal/lease/owner-directory.ts';
import { emptyDirectory } from '../support.ts';

/** Begins to do something with a home, and has it taken by somebody else a moment later, whichever moment that is. */
async function takenDuring<T>(
  work: (home: InstanceDirectory) => Promise<T>,
  turns: number,
): Promise<T> {
  const path = emptyDirectory();
  const home = openInstanceDirectory(path);
  const working = work(home);
  for (let turn = 0; turn < turns; turn += 1) await nextTurn();
  if (existsSync(home.directory)) renameSync(home.directory, join(path, 'taken'));
  return working;
}

const MOMENTS = Array.from({ length: 40 }, (_, turn) => turn);

describe('an instance directory that is taken over', () => {
  it('while it is released is left to its taker, without an error', async () => {
    for (const moment of MOMENTS) {
      const released = takenDuring((home) => home.release(), moment);
      await expect(released).resolves.toBeUndefined();
    }
  });

  it('while it is renewed makes the renewal return false', async () => {
    const said = new Set<boolean>();
    for (const moment of MOMENTS) said.add(await takenDuring((home) => home.renew(), moment));
    // At the first moments it is gone before the file is written, at the last ones after that.
    expect(said).toContain(false);
  });
});

describe('an instance directory that is released', () => {
  it('is removed if it is empty', async () => {
    const path = emptyDirectory();
    await openInstanceDirectory(path).release();
    expect(readdirSync(path).filter((name) => name !== '.gitignore')).toEqual([]);
  });
});
