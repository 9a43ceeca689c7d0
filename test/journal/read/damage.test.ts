import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../../src/journal/fs.ts';
import type { Files } from '../../../src/journal/fs.ts';
import type { Journal } from '../../../src/journal/port.ts';
import { until } from '../../support/until.ts';
import {
  emptyDirectory,
  open,
  readBack,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
} from '../support.ts';

/** A disk that does not give what is read of some files: those whose first bytes are `isBad`. */
function unreadable(isBad: (fd: number) => boolean): Partial<Files> {
  const check = (fd: number): void => {
    if (isBad(fd)) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
  };
  return {
    read: async (fd, ...rest) => {
      check(fd);
      return diskFiles.read(fd, ...rest);
    },
    readNow: (fd, ...rest) => {
      check(fd);
      return diskFiles.readNow(fd, ...rest);
    },
  };
}

/** Whether the file holds this text. */
function holds(fd: number, text: string): boolean {
  const bytes = Buffer.alloc(4096);
  return bytes.subarray(0, diskFiles.readNow(fd, bytes, 0)).includes(text);
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Streams that are on disk only and wait for the store. */
async function keepStreams(journal: Journal, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const one = speaker(journal, name);
    for (const word of ['first', 'second', 'third']) {
      one.say(`${word} words of ${name} `);
      await nextTurn();
    }
    one.end({ complete: true });
    expect(await journal.sync(one.log)).toBe(true);
    journal.keep(one.log);
  }
}

function flip(file: string, text: string): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(text);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
  writeFileSync(file, bytes);
}

describe('a segment that cannot be read', () => {
  const small = { segmentBytes: 100 };

  it('of the own journal does not hold back the other messages, is counted, and is read again', async () => {
    const disk = { isBad: false };
    const files = unreadable((fd) => disk.isBad && holds(fd, 'words of b'));
    const { journal, errors } = open(emptyDirectory(), {}, { ...small, files });
    await keepStreams(journal, ['a', 'b', 'c']);
    disk.isBad = true;
    const ids = (): string[] => journal.backlog(9).map(({ opened }) => opened.id);
    expect(ids()).toEqual(['stream-a', 'stream-c']);
    expect(journal.state().problems).toEqual({ unreadable: 1 });
    expect(errors).toHaveLength(1);
    disk.isBad = false;
    await until('it is read again', () => ids().length === 3);
    expect(journal.state().problems).toEqual({});
  });

  it('of the own journal that holds only a body is reported too, until it is read', async () => {
    const disk = { isBad: false };
    const files = unreadable((fd) => disk.isBad && holds(fd, 'first words of b'));
    const { journal } = open(emptyDirectory(), {}, { ...small, files });
    await keepStreams(journal, ['a', 'b']);
    const [, entry] = journal.backlog(9);
    disk.isBad = true;
    await expect(entry?.body()).rejects.toMatchObject({ code: 'EIO' });
    expect(journal.state().problems).toEqual({ unreadable: 1 });
    disk.isBad = false;
    await entry?.body();
    expect(journal.state().problems).toEqual({});
  });

  it('of a dead process does not hold back its other segments, and is read again', async () => {
    const path = emptyDirectory();
    const before = open(path, {}, small);
    await keepStreams(before.journal, ['a', 'b', 'c']);
    await before.journal.close();
    const disk = { isBad: true };
    const files = unreadable((fd) => disk.isBad && holds(fd, 'words of b'));
    const { journal, errors } = open(path, {}, { files });
    expect(Object.keys(texts(await recoverAll(journal)))).toEqual(['stream-a', 'stream-c']);
    expect(journal.state().problems).toMatchObject({ unreadable: expect.any(Number) as number });
    expect(errors.length).toBeGreaterThan(0);
    const open1 = descriptors();
    expect(await recoverAll(journal)).toEqual([]);
    expect(descriptors()).toBe(open1);
    disk.isBad = false;
    expect(Object.keys(texts(await recoverAll(journal)))).toEqual(['stream-b']);
    expect(journal.state()).toMatchObject({ entries: 0, bytes: 0, problems: {} });
    expect(segmentFiles(path)).toEqual([]);
  });

  it('and stays unreadable is set aside after some tries, and the records of its streams in other segments are recovered', async () => {
    const path = emptyDirectory();
    const before = open(path, {}, small);
    await keepStreams(before.journal, ['a', 'b']);
    await before.journal.close();
    const files = unreadable((fd) => holds(fd, 'third words of b'));
    const { journal, corrupt } = open(path, {}, { files });
    const all = [];
    for (let turn = 0; turn < 6; turn++) all.push(...(await recoverAll(journal)));
    expect(texts(all)).toEqual({
      'stream-a': 'first words of a second words of a third words of a ',
      'stream-b': 'first words of b ',
    });
    expect(all[1]?.entry.ending?.complete).not.toBe(true);
    expect(corrupt()).toBeGreaterThan(0);
    expect(journal.state().problems).toEqual({ damaged: expect.any(Number) as number });
    expect(readdirSync(join(path, 'damaged')).length).toBeGreaterThan(0);
  });
});

describe('a damaged record', () => {
  it.each(['our own journal', "a dead process's journal"])(
    'in %s is never part of a complete message, and its segment is set aside',
    async (whose) => {
      const path = emptyDirectory();
      const first = open(path);
      await keepStreams(first.journal, ['a', 'b']);
      const [file = ''] = segmentFiles(path);
      flip(file, 'second words of b');
      let opened = first;
      if (whose !== 'our own journal') {
        await first.journal.close();
        opened = open(path);
      }
      const { journal, corrupt } = opened;
      const entries = whose === 'our own journal' ? journal.backlog(9) : [];
      const back = await Promise.all(entries.map(readBack));
      const all = back.length > 0 ? back : await recoverAll(journal);
      for (const { entry } of back) await entry.settle();
      expect(texts(all)).toEqual({
        'stream-a': 'first words of a second words of a third words of a ',
        'stream-b': 'first words of b ',
      });
      expect(all.map(({ entry }) => entry.ending?.complete)).toEqual([true, false]);
      expect(corrupt()).toBe(1);
      await journal.close();
      expect(journal.state().problems).toEqual({ damaged: 1 });
      const [aside = ''] = readdirSync(join(path, 'damaged'));
      expect(readFileSync(join(path, 'damaged', aside), 'latin1')).toContain('third words of b');
    },
  );

  it('in a segment that is set aside is counted at the next start until an operator removes it', async () => {
    const path = emptyDirectory();
    const first = open(path);
    await keepStreams(first.journal, ['a']);
    const [file = ''] = segmentFiles(path);
    flip(file, 'second');
    await first.journal.close();
    const second = open(path);
    await recoverAll(second.journal);
    await second.journal.close();
    const third = open(path);
    await until('it has looked', () => third.journal.state().problems?.damaged === 1);
    expect(third.journal.state()).toMatchObject({ entries: 0, problems: { damaged: 1 } });
    expect(third.journal.state().bytes).toBeGreaterThan(0);
  });

  it('at the end of the last segment, torn by a crash, is no reason to set the segment aside', async () => {
    const path = emptyDirectory();
    const first = open(path);
    await keepStreams(first.journal, ['a']);
    const [file = ''] = segmentFiles(path);
    await first.journal.close();
    writeFileSync(file, readFileSync(file).subarray(0, -3));
    const second = open(path);
    await recoverAll(second.journal);
    expect(second.journal.state()).toMatchObject({ bytes: 0, problems: {} });
  });
});
