import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listJournal } from '../../../src/journal/index.ts';
import {
  emptyDirectory,
  instances,
  open,
  recoverAll,
  refuseUnread,
  speaker,
  texts,
} from '../support.ts';

/** A process with a store of this name left a message. */
async function leave(path: string, store: string | undefined, name: string): Promise<string> {
  const { journal, directory } = open(path, store === undefined ? {} : { name: store });
  const one = speaker(journal, name);
  one.say(`words of ${name}`);
  one.end();
  await journal.close();
  return directory;
}

describe('a directory of another store', () => {
  it('is not taken over, is reported once and in the state, and is taken over by its own store', async () => {
    const path = emptyDirectory();
    const left = await leave(path, 'test', 'a');
    const other = open(path, { name: 'production' });
    for (let look = 0; look < 3; look++) expect(await recoverAll(other.journal)).toEqual([]);
    const told = other.lines.filter((line) => line.includes('another store'));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(left.slice(path.length + 1));
    expect(other.journal.state().problems).toEqual({ foreign: 1 });
    expect(existsSync(left)).toBe(true);
    expect(await listJournal(path, refuseUnread)).toMatchObject([
      { messageId: 'message-a', owner: 'left', store: 'test' },
    ]);
    expect(texts(await recoverAll(open(path, { name: 'test' }).journal))).toEqual({
      'stream-a': 'words of a',
    });
    expect(await recoverAll(other.journal)).toEqual([]);
    expect(other.journal.state().problems).toEqual({});
  });

  it('is not taken over by a store without a name', async () => {
    const path = emptyDirectory();
    await leave(path, 'test', 'a');
    const { journal } = open(path);
    expect(await recoverAll(journal)).toEqual([]);
    expect(journal.state().problems).toEqual({ foreign: 1 });
  });

  it('is recognised by its records if its owner file names no store', async () => {
    const path = emptyDirectory();
    const left = await leave(path, 'test', 'a');
    const owner: unknown = JSON.parse(readFileSync(join(left, 'owner.json'), 'utf8'));
    if (typeof owner !== 'object' || owner === null) throw new Error('an owner file is an object');
    Reflect.deleteProperty(owner, 'store');
    writeFileSync(join(left, 'owner.json'), JSON.stringify(owner));
    const other = open(path, { name: 'production' });
    expect(await recoverAll(other.journal)).toEqual([]);
    expect(other.journal.state()).toMatchObject({ entries: 0, problems: { foreign: 1 } });
    await other.journal.close();
    expect(texts(await recoverAll(open(path, { name: 'test' }).journal))).toEqual({
      'stream-a': 'words of a',
    });
  });

  it('is returned by the next process if its taker was forced to take all, and died', async () => {
    const path = emptyDirectory();
    const left = await leave(path, 'test', 'a');
    const taker = open(path, { name: 'production' }, {}, true);
    expect(await recoverAll(taker.journal, false)).toHaveLength(1);
    expect(existsSync(left)).toBe(false);
    await taker.journal.close();
    const next = open(path, { name: 'production' });
    expect(await recoverAll(next.journal)).toEqual([]);
    expect(existsSync(left)).toBe(true);
    expect(texts(await recoverAll(open(path, { name: 'test' }).journal))).toEqual({
      'stream-a': 'words of a',
    });
  });
});

describe('a directory that names no store', () => {
  it('is taken over by any store, which logs that', async () => {
    const path = emptyDirectory();
    await leave(path, undefined, 'a');
    const { journal, lines } = open(path, { name: 'production' });
    expect(texts(await recoverAll(journal))).toEqual({ 'stream-a': 'words of a' });
    expect(lines.filter((line) => line.includes('does not say for which store'))).toHaveLength(1);
  });
});

describe('two apps with different databases that share a directory', () => {
  it('each take over the directories of their own dead processes', async () => {
    const path = emptyDirectory();
    for (const store of ['a', 'b']) await leave(path, store, `of-${store}`);
    const [a, b] = [open(path, { name: 'a' }), open(path, { name: 'b' })];
    expect(texts(await recoverAll(a.journal))).toEqual({ 'stream-of-a': 'words of of-a' });
    expect(texts(await recoverAll(b.journal))).toEqual({ 'stream-of-b': 'words of of-b' });
    rmSync(join(path, '.gitignore'));
    await Promise.all([a.journal.close(), b.journal.close()]);
    expect(instances(path)).toEqual([]);
  });
});
