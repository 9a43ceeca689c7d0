import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from '../../support/until.ts';
import {
  afterwards,
  emptyDirectory,
  instances,
  open,
  recoverAll,
  speaker,
  texts,
} from '../support.ts';

/** A tmpfs of this size; `undefined` where this user may not mount one. */
function mountSmall(options: string): string | undefined {
  const path = emptyDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `${options},mode=700`, 'tmpfs', path], {
      stdio: 'ignore',
    });
  } catch {
    process.stdout.write('not root: no small volume can be mounted, so none is tried\n');
    return undefined;
  }
  afterwards(() => execFileSync('umount', ['-l', path]));
  return path;
}

/** A journal that a process left, moved to the volume. */
async function leave(volume: string): Promise<void> {
  const path = emptyDirectory();
  const { journal } = open(path);
  for (const n of [1, 2]) {
    const one = speaker(journal, n);
    one.say(`words ${n}`);
    one.end();
  }
  await journal.close();
  const [instance = ''] = instances(path);
  cpSync(instance, join(volume, '0123456789abcdef'), { recursive: true });
  rmSync(join(volume, '0123456789abcdef', 'alive.sock'), { force: true });
}

function fillBytes(volume: string): void {
  for (let n = 0, size = 65_536; size >= 1; n++) {
    try {
      writeFileSync(join(volume, `filler-${n}`), Buffer.alloc(size));
    } catch {
      size = Math.floor(size / 2);
    }
  }
}

function fillInodes(volume: string): void {
  for (let n = 0; ; n++) {
    try {
      writeFileSync(join(volume, `filler-${n}`), '');
    } catch {
      return;
    }
  }
}

describe('a full volume', () => {
  it.each([
    ['no block', 'size=256k', fillBytes],
    ['no inode', 'size=4m,nr_inodes=12', fillInodes],
  ])(
    '(%s) starts the journal degraded, and its streams are recovered all the same',
    async (_, options, fill) => {
      const volume = mountSmall(options);
      if (volume === undefined) return;
      await leave(volume);
      fill(volume);
      const { journal, degraded } = open(volume);
      expect(degraded).toEqual(['full']);
      expect(texts(await recoverAll(journal))).toEqual({
        'stream-1': 'words 1',
        'stream-2': 'words 2',
      });
      expect(readdirSync(volume).filter((name) => name === '0123456789abcdef')).toEqual([]);
      for (const name of readdirSync(volume)) {
        if (name.startsWith('filler')) rmSync(join(volume, name));
      }
      await until('it works again', () => journal.state().degraded === undefined);
      const one = speaker(journal, 'new');
      one.say('new words');
      expect(await journal.sync(one.log)).toBe(true);
      expect(await recoverAll(journal)).toEqual([]);
    },
  );

  it('that is smaller than `maxBytes` is reported', () => {
    const volume = mountSmall('size=1m');
    if (volume === undefined) return;
    const { lines } = open(volume);
    expect(lines.some((line) => line.includes('smaller than `maxBytes`'))).toBe(true);
  });
});
