import {
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
  appendFileSync,
  copyFileSync,
  mkdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../../src/journal/fs.ts';
import { until } from '../../support/until.ts';
import { startChild } from '../children.ts';
import {
  emptyDirectory,
  instances,
  open,
  recoverAll,
  segmentFiles,
  speaker,
  stream,
  texts,
} from '../support.ts';

/** A journal that was left with these streams in it, one tick a piece; returns its one segment. */
async function left(path: string, pieces: Record<string, readonly string[]>): Promise<string> {
  const { journal } = open(path);
  for (const [name, said] of Object.entries(pieces)) {
    const { say } = speaker(journal, name);
    for (const piece of said) {
      say(piece);
      await nextTurn();
    }
  }
  await journal.close();
  const [file = ''] = segmentFiles(path);
  return file;
}

describe('a process that is killed', () => {
  it('leaves on disk everything that its clients have seen, each stream once', async () => {
    const path = emptyDirectory();
    const child = startChild('write', path, 'x');
    await until('it has written a while', () => (child.last('round') ?? 0) >= 60);
    await child.kill('SIGKILL');
    const seen = child.last('round') ?? 0;
    const { journal, corrupt } = open(path);
    const all = await recoverAll(journal);
    expect(all).toHaveLength(9);
    for (const { id, text, entry } of all) {
      const ended = Number(id.slice(-1)) < 3;
      const rounds = ended ? 21 : seen + 1;
      const expected = Array.from({ length: rounds }, (_, round) => `x${round} `).join('');
      // It may have said more than it had time to tell.
      expect(text.startsWith(expected), id).toBe(true);
      expect(entry.ending?.outcome).toBe(ended ? 'completed' : undefined);
      expect(entry.opened).toEqual(stream(id.slice('stream-'.length)));
    }
    expect(corrupt()).toBe(0);
    expect(await recoverAll(journal)).toEqual([]);
    await journal.close();
    expect(instances(path)).toEqual([]);
  });

  it('while it recovers another one leaves exactly what it had not settled', async () => {
    const path = emptyDirectory();
    const first = startChild('write', path, 'x');
    await until('it has written a while', () => (first.last('round') ?? 0) >= 30);
    await first.kill('SIGKILL');
    const second = startChild('recover', path);
    await until('it has read everything', () => second.lines.some((line) => 'done' in line));
    await second.kill('SIGKILL');
    const settled = second.lines.filter((line) => line['settled'] === true);
    expect(settled).toHaveLength(2);
    const { journal } = open(path);
    const all = await recoverAll(journal);
    const ids = [...settled.map((line) => String(line['recovered'])), ...all.map(({ id }) => id)];
    expect(ids.sort()).toEqual(Array.from({ length: 9 }, (_, n) => `stream-x-${n}`));
    await journal.close();
    expect(instances(path)).toEqual([]);
  });
});

describe('recovery', () => {
  it('returns the oldest stream first, from whichever directory', async () => {
    const path = emptyDirectory();
    const [a, b] = [open(path), open(path)];
    for (const n of [5, 1]) speaker(a.journal, n).say(`text ${n}`);
    for (const n of [2, 9]) speaker(b.journal, n).say(`text ${n}`);
    await a.journal.close();
    await b.journal.close();
    const all = await recoverAll(open(path).journal);
    expect(all.map(({ text }) => text)).toEqual(['text 1', 'text 2', 'text 5', 'text 9']);
  });

  it('keeps the order of a stream over many segments, and removes them all in the end', async () => {
    const path = emptyDirectory();
    const before = open(path, {}, { segmentBytes: 2_000 });
    const speakers = Array.from({ length: 5 }, (_, n) => speaker(before.journal, n));
    const expected: Record<string, string> = {};
    for (let round = 0; round < 200; round++) {
      for (const { say, opened } of speakers) {
        say(`${opened.id}:${round} `);
        expected[opened.id] = `${expected[opened.id] ?? ''}${opened.id}:${round} `;
      }
      await nextTurn();
    }
    await before.journal.close();
    expect(segmentFiles(path).length).toBeGreaterThan(10);
    const after = open(path);
    expect(texts(await recoverAll(after.journal))).toEqual(expected);
    expect(segmentFiles(path)).toEqual([]);
    expect(after.journal.state()).toMatchObject({ entries: 0, bytes: 0, oldestEntryMs: 0 });
  });

  it('returns a stream once, and counts it until it is settled', async () => {
    const path = emptyDirectory();
    await left(path, { a: ['one'], b: ['two'] });
    const { journal } = open(path);
    const all = await recoverAll(journal, false);
    expect(all).toHaveLength(2);
    expect(await recoverAll(journal, false)).toEqual([]);
    expect(journal.state()).toMatchObject({ entries: 2, oldestEntryMs: 1_700_000_000_000 });
    for (const { entry } of all) await entry.settle();
    expect(journal.state()).toMatchObject({ entries: 0, bytes: 0 });
  });

  it('stops when it is aborted, and continues at the next call', async () => {
    const path = emptyDirectory();
    await left(path, { a: ['one'], b: ['two'], c: ['three'] });
    const { journal } = open(path);
    const stop = new AbortController();
    const ids: string[] = [];
    for await (const entry of journal.recover(stop.signal)) {
      ids.push(entry.opened.id);
      stop.abort();
    }
    expect(ids).toHaveLength(1);
    const rest = await recoverAll(journal);
    expect([...ids, ...rest.map(({ id }) => id)].sort()).toEqual([
      'stream-a',
      'stream-b',
      'stream-c',
    ]);
  });

  it('reads ten thousand streams of four kilobytes, each whole', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const text = 'x'.repeat(400);
    for (let n = 0; n < 10_000; n++) {
      const log = before.journal.open(stream(n), { pieces: [] });
      for (let piece = 0; piece < 10; piece++) log.append(text, 'tick');
      if (n % 100 === 0) await nextTurn();
    }
    await before.journal.close();
    const { journal } = open(path);
    let count = 0;
    let wrong = 0;
    for await (const entry of journal.recover(new AbortController().signal)) {
      count++;
      const body = await entry.body();
      if (body.join('') !== text.repeat(10)) wrong++;
      await entry.settle();
    }
    expect({ count, wrong }).toEqual({ count: 10_000, wrong: 0 });
    expect(segmentFiles(path)).toEqual([]);
  });
});

describe('a stream that goes on after its end', () => {
  const fullWhen = (isFull: () => boolean): Partial<typeof diskFiles> => ({
    write: (...args) => {
      if (isFull()) throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC' });
      return diskFiles.write(...args);
    },
  });

  it('and dies is recovered with that end, and with the offset of that end', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const one = speaker(before.journal, 1);
    one.say('answer');
    one.end({ complete: true, outcome: 'completed' });
    one.say(' and more');
    await before.journal.close();
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text).toBe('answer and more');
    const ending = { revision: 0, complete: true, outcome: 'completed' };
    expect(back?.entry).toMatchObject({ ending, endsAt: 'answer'.length });
  });

  it.each(['before it went on', 'after it went on', 'while the disk was full'])(
    'keeps the offset of its end if it is written again, %s',
    async (when) => {
      const path = emptyDirectory();
      const disk = { full: false };
      const before = open(path, {}, { files: fullWhen(() => disk.full) });
      const move = async (): Promise<void> => {
        const [instance = ''] = instances(path);
        renameSync(instance, join(path, 'elsewhere'));
        expect(await before.journal.sync(one.log)).toBe(true);
      };
      const one = speaker(before.journal, 1);
      one.say('ánswer');
      disk.full = when === 'while the disk was full';
      await nextTurn();
      one.end({ complete: true, outcome: 'completed' });
      if (when === 'before it went on') await move();
      one.say(' and more');
      disk.full = false;
      if (when === 'after it went on') await move();
      await until('it is on disk', () => before.journal.sync(one.log));
      await before.journal.close();
      const [back] = await recoverAll(open(path).journal);
      expect(back?.text).toBe('ánswer and more');
      expect(back?.entry).toMatchObject({ ending: { revision: 0 }, endsAt: 7 });
    },
  );
});

describe('a damaged journal', () => {
  it('torn at any byte is recovered up to the tear, with one damaged place', async () => {
    const source = emptyDirectory();
    const file = await left(source, { a: ['one ', 'two '], b: ['three'] });
    const whole = readFileSync(file);
    const name = file.split('/').at(-1) ?? '';
    const path = emptyDirectory();
    const lengths = new Set<string>();
    for (let length = whole.length; length >= 0; length -= 7) {
      const instance = join(path, String(length).padStart(16, '0'));
      mkdirSync(instance);
      copyFileSync(join(instances(source)[0] ?? '', 'owner.json'), join(instance, 'owner.json'));
      writeFileSync(join(instance, name), whole.subarray(0, length));
      const { journal } = open(path);
      const found = texts(await recoverAll(journal));
      for (const [id, text] of Object.entries(found)) {
        expect((id === 'stream-a' ? 'one two ' : 'three').startsWith(text)).toBe(true);
      }
      lengths.add(JSON.stringify(found));
      await journal.close();
    }
    // Every state in between was met: nothing, each piece of the first stream, the second one.
    expect(lengths.size).toBeGreaterThanOrEqual(4);
  });

  it('with a flipped bit loses the record with that bit and nothing else', async () => {
    const path = emptyDirectory();
    const file = await left(path, { a: ['one ', 'two ', 'three '], b: ['four ', 'five '] });
    const bytes = readFileSync(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.indexOf('two ')) ^ 4, bytes.indexOf('two '));
    writeFileSync(file, bytes);
    const { journal, corrupt } = open(path);
    expect(texts(await recoverAll(journal))).toEqual({
      'stream-a': 'one ',
      'stream-b': 'four five ',
    });
    expect(corrupt()).toBe(1);
    expect(journal.state().corruptRecords).toBe(1);
  });

  it('has no complete message whose text has a gap', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const one = speaker(before.journal, 1);
    one.say('one ');
    await nextTurn();
    one.say('two ');
    await nextTurn();
    one.say('three');
    one.end({ complete: true, outcome: 'completed' });
    await before.journal.close();
    const [file = ''] = segmentFiles(path);
    const bytes = readFileSync(file);
    bytes.writeUInt8(0, bytes.indexOf('two '));
    writeFileSync(file, bytes);
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text).toBe('one ');
    expect(back?.entry.ending).toMatchObject({ complete: false, outcome: 'completed' });
  });

  it('keeps a text whose open record was damaged, under an id that stays the same', async () => {
    const path = emptyDirectory();
    const file = await left(path, { a: ['the text'] });
    const bytes = readFileSync(file);
    bytes.writeUInt8(0, bytes.indexOf('startedAtMs'));
    writeFileSync(file, bytes);
    const first = open(path);
    const [back] = await recoverAll(first.journal, false);
    expect(back?.text).toBe('the text');
    await first.journal.close();
    const [again] = await recoverAll(open(path).journal);
    expect(again?.text).toBe('the text');
    expect(again?.id).toBe(back?.id);
    expect(again?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('with garbage at its end, or with a file that is not a segment, is still read', async () => {
    const path = emptyDirectory();
    const file = await left(path, { a: ['the text'] });
    appendFileSync(file, Buffer.from(Array.from({ length: 5_000 }, (_, at) => (at * 37) & 0xff)));
    writeFileSync(join(instances(path)[0] ?? '', 'notes.txt'), 'not ours');
    const { journal, corrupt } = open(path);
    expect(texts(await recoverAll(journal))).toEqual({ 'stream-a': 'the text' });
    expect(corrupt()).toBe(1);
  });

  it('with a segment missing is recovered from the other segments', async () => {
    const path = emptyDirectory();
    const before = open(path, {}, { segmentBytes: 500 });
    for (const n of [1, 2, 3]) {
      speaker(before.journal, n).say(`text ${n} `.repeat(100));
      await nextTurn();
    }
    await before.journal.close();
    const files = segmentFiles(path);
    expect(files.length).toBe(3);
    renameSync(files[1] ?? '', join(path, 'elsewhere'));
    truncateSync(join(path, 'elsewhere'), 0);
    expect(Object.keys(texts(await recoverAll(open(path).journal)))).toEqual([
      'stream-1',
      'stream-3',
    ]);
  });
});

describe('the segments of a dead process', () => {
  it('count towards maxBytes, and free space file by file as they are settled', async () => {
    const path = emptyDirectory();
    const before = open(path, { maxBytes: 32 * 1024 * 1024 });
    for (let n = 0; n < 24; n++) {
      speaker(before.journal, n).say('x'.repeat(1024 * 1024));
      await nextTurn();
    }
    await before.journal.close();
    const { journal, degraded } = open(path, { maxBytes: 16 * 1024 * 1024 });
    const live = speaker(journal, 'live');
    const all = await recoverAll(journal, false);
    live.say('text');
    expect(await journal.sync(live.log)).toBe(false);
    expect(degraded).toEqual(['full']);
    for (const { entry } of all.slice(0, 20)) await entry.settle();
    await until('there is room', () => journal.sync(live.log));
    expect(degraded).toEqual(['full', undefined]);
    expect(journal.state().entries).toBe(5);
  });
});
