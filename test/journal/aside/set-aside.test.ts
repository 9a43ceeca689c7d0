import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  listRefused,
  refusedMessages,
  writeRefused,
} from '../../../src/journal/aside/dead-letters.ts';
import { SetAside } from '../../../src/journal/aside/set-aside.ts';
import type { AsideBound } from '../../../src/journal/aside/set-aside.ts';
import { emptyDirectory, ending, open, stream } from '../support.ts';

const WIDE: AsideBound = { maxAgeMs: 3_600_000, maxBytes: 1e9 };

/** Looks once, with these bounds; gives what is left and what was told. */
async function look(path: string, bound: AsideBound) {
  const told: string[] = [];
  const setAside = new SetAside({
    path,
    bound,
    onExpired: (kind, files) => told.push(`${kind} ${files}`),
    onError: (error) => {
      throw error;
    },
  });
  await setAside.refresh();
  return { counts: setAside.counts, told };
}

function age(file: string, ms: number): void {
  const then = new Date(Date.now() - ms);
  utimesSync(file, then, then);
}

describe('refused messages', () => {
  const message = (n: number) => ({ ...ending(stream(n)), text: 'x'.repeat(1000), events: null });

  it('are kept up to an age and a size, and the newest are kept longest', async () => {
    const path = emptyDirectory();
    const directory = join(path, 'refused');
    for (const n of [1, 2, 3]) {
      const before = n === 1 ? [] : readdirSync(directory);
      await writeRefused(path, message(n), '23514');
      for (const name of readdirSync(directory)) {
        if (!before.includes(name)) age(join(directory, name), 10_000 - n * 1_000);
      }
    }
    const { counts, told } = await look(path, WIDE);
    expect(counts.refused).toMatchObject({ files: 3, expired: 0 });
    expect(told).toEqual([]);
    const each = counts.refused.bytes / 3;
    const less = await look(path, { ...WIDE, maxBytes: each * 2 + 100 });
    expect(less).toMatchObject({
      counts: { refused: { files: 2, expired: 1 } },
      told: ['refused 1'],
    });
    expect(listRefused(path).map(({ id }) => id)).toEqual(['message-2', 'message-3']);
    expect((await look(path, { ...WIDE, maxAgeMs: 7_500 })).told).toEqual(['refused 1']);
    expect(listRefused(path).map(({ id }) => id)).toEqual(['message-3']);
  });

  it('of two streams with one message id are stored in two files', async () => {
    const path = emptyDirectory();
    for (const n of [1, 2]) await writeRefused(path, { ...message(n), id: 'same' }, '23514');
    expect(
      listRefused(path)
        .map(({ streamId }) => streamId)
        .sort(),
    ).toEqual(['stream-1', 'stream-2']);
  });
});

describe('a refused message that its store has accepted', () => {
  it('is deleted, unless a later version of it was refused meanwhile', async () => {
    const path = emptyDirectory();
    const message = { ...ending(stream(1)), text: 'first', events: null };
    await writeRefused(path, message, '23514', 'a-store');
    const [waiting] = refusedMessages(path);
    expect(waiting).toMatchObject({ sqlstate: '23514', store: 'a-store' });
    expect(waiting?.read()).toEqual(message);
    const later = { ...message, text: 'first and second', revision: 1 };
    await writeRefused(path, later, '23514', 'a-store');
    waiting?.remove(message);
    expect(refusedMessages(path).map((one) => one.read())).toEqual([later]);
    waiting?.remove(later);
    expect(refusedMessages(path)).toEqual([]);
    waiting?.remove(later);
    expect(waiting?.read()).toBeUndefined();
  });

  it('is found by its own store, and by any store if its file names none', async () => {
    const path = emptyDirectory();
    for (const [n, store] of [undefined, 'ours', 'theirs'].entries()) {
      const message = { ...ending(stream(n)), text: 'text', events: null };
      await writeRefused(path, message, '23514', store);
    }
    const { journal } = open(path, { name: 'ours' });
    const found = journal.refusedMessages().map(({ store }) => store ?? 'nobody says');
    expect(found.toSorted()).toEqual(['nobody says', 'ours']);
  });
});

describe('damaged segments', () => {
  it('are kept up to an age and a size as well', async () => {
    const path = emptyDirectory();
    const directory = join(path, 'damaged');
    mkdirSync(directory, { mode: 0o700 });
    for (const [name, ms] of [
      ['a', 9_000],
      ['b', 5_000],
      ['c', 1_000],
    ] as const) {
      writeFileSync(join(directory, name), 'x'.repeat(100));
      age(join(directory, name), ms);
    }
    expect((await look(path, { maxAgeMs: 7_000, maxBytes: 1e9 })).told).toEqual(['damaged 1']);
    expect((await look(path, { maxAgeMs: 1e9, maxBytes: 150 })).counts.damaged).toEqual({
      files: 1,
      bytes: 100,
      expired: 1,
    });
    expect(readdirSync(directory)).toEqual(['c']);
  });
});
