import { readdirSync, renameSync, rmSync, truncateSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Journal } from '../../../src/journal/port.ts';
import { until } from '../../support/until.ts';
import {
  afterwards,
  emptyDirectory,
  instances,
  open,
  readBack,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
} from '../support.ts';
import type { Speaker } from '../support.ts';

/** One stream that goes on, and one that only the disk has. */
async function twoStreams(journal: Journal): Promise<{ live: Speaker; kept: Speaker }> {
  const [live, kept] = [speaker(journal, 'live'), speaker(journal, 'kept')];
  live.say('the beginning');
  kept.say('kept words');
  kept.end();
  expect(await journal.sync(kept.log)).toBe(true);
  journal.keep(kept.log);
  return { live, kept };
}

async function expectBoth(path: string): Promise<void> {
  expect(texts(await recoverAll(open(path).journal))).toEqual({
    'stream-live': 'the beginning, and on',
    'stream-kept': 'kept words',
  });
}

describe('a directory that is deleted under its process', () => {
  it.each(['the instance directory', "the whole journal's path"])(
    'is reported, and everything is written again: %s',
    async (what) => {
      const path = join(emptyDirectory(), 'journal');
      const { journal, lines } = open(path);
      const { live } = await twoStreams(journal);
      const [instance = ''] = instances(path);
      rmSync(what === 'the instance directory' ? instance : path, { recursive: true });
      live.say(', and on');
      expect(await journal.sync(live.log)).toBe(true);
      expect(lines.some((line) => line.includes('was deleted'))).toBe(true);
      const [entry] = journal.backlog(9);
      expect(entry && (await readBack(entry)).text).toBe('kept words');
      await journal.close();
      await expectBoth(path);
    },
  );

  it('is noticed by a journal that writes nothing more', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const { live } = await twoStreams(journal);
    await journal.sync(live.log);
    const [instance = ''] = instances(path);
    rmSync(instance, { recursive: true });
    await until('it is written again', () => segmentFiles(path).length > 0);
    expect(instances(path).map((one) => basename(one))).not.toContain(basename(instance));
  });
});

describe('a segment', () => {
  it.each(['deleted', 'truncated', 'truncated, and then written to'])(
    'that was %s is noticed at the next sync and reported, and what is in memory is written again',
    async (how) => {
      const path = emptyDirectory();
      const { journal, lines } = open(path);
      const live = speaker(journal, 'live');
      live.say('the beginning');
      expect(await journal.sync(live.log)).toBe(true);
      const [file = ''] = segmentFiles(path);
      if (how === 'deleted') rmSync(file);
      else truncateSync(file, 0);
      if (how.endsWith('written to')) {
        live.say(', and');
        await nextTurn();
      }
      expect(await journal.sync(live.log)).toBe(true);
      live.say(how.endsWith('written to') ? ' on' : ', and on');
      expect(await journal.sync(live.log)).toBe(true);
      expect(lines.some((line) => line.includes(basename(file)))).toBe(true);
      await journal.close();
      expect(texts(await recoverAll(open(path).journal))).toEqual({
        'stream-live': 'the beginning, and on',
      });
    },
  );

  it('that was deleted is read from the open file', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const { live } = await twoStreams(journal);
    for (const file of segmentFiles(path)) rmSync(file);
    live.say(', and on');
    expect(await journal.sync(live.log)).toBe(true);
    await journal.close();
    await expectBoth(path);
  });

  it('that was truncated loses what was only on disk; the loss is reported, and sync still resolves', async () => {
    const path = emptyDirectory();
    const { journal, corrupt } = open(path);
    const { live } = await twoStreams(journal);
    for (const file of segmentFiles(path)) truncateSync(file, 0);
    live.say(', and on');
    expect(await journal.sync(live.log)).toBe(true);
    expect(journal.backlog(9)).toEqual([]);
    expect(corrupt()).toBeGreaterThan(0);
    expect(journal.state().entries).toBe(1);
  });

  it('has a name that no log cleaner matches; segments with the old name are read', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    speaker(journal, 1).say('old words');
    await journal.close();
    const [file = ''] = segmentFiles(path);
    expect(file).toMatch(/\.segment$/);
    renameSync(file, file.replace(/\.segment$/, '.log'));
    expect(texts(await recoverAll(open(path).journal))).toEqual({ 'stream-1': 'old words' });
  });
});

describe('the path of a journal', () => {
  it('does not change when the process changes its working directory', async () => {
    const before = process.cwd();
    afterwards(() => process.chdir(before));
    const path = emptyDirectory();
    process.chdir(path);
    const { journal } = open(undefined);
    const { live } = await twoStreams(journal);
    process.chdir(emptyDirectory());
    live.say(', and on');
    expect(await journal.sync(live.log)).toBe(true);
    await journal.close();
    expect(readdirSync(path)).toEqual(['.lastchunk']);
    await expectBoth(join(path, '.lastchunk'));
  });

  it('is reported if two journals of one process share it', async () => {
    const path = emptyDirectory();
    const one = open(path);
    const two = open(path);
    expect(one.lines.filter((line) => line.includes('share'))).toEqual([]);
    expect(two.lines.filter((line) => line.includes('share'))).toHaveLength(1);
    await one.journal.close();
    await two.journal.close();
    expect(open(path).lines.filter((line) => line.includes('share'))).toEqual([]);
  });
});
