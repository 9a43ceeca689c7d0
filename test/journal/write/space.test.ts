import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../../src/journal/fs.ts';
import { SetAside } from '../../../src/journal/aside/set-aside.ts';
import { Log } from '../../../src/journal/write/stream-log.ts';
import { Segments } from '../../../src/journal/write/segments.ts';
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

const SMALL = { segmentBytes: 20_000 };
const sizeOf = (path: string): number =>
  segmentFiles(path).reduce((sum, file) => sum + statSync(file).size, 0);

/** One stream after the other, each settled, with an fsync now and then. */
async function traffic(journal: ReturnType<typeof open>['journal'], count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const one = speaker(journal, `traffic-${n}`);
    one.say('words that are saved at once '.repeat(10));
    one.end();
    if (n % 20 === 0) await journal.sync(one.log);
    else await nextTurn();
    journal.settled(one.log);
  }
}

describe('a segment', () => {
  it('is deleted only when the records moved out of it are on disk, and after all older segments', () => {
    const directory = emptyDirectory();
    const segments = new Segments({
      files: diskFiles,
      directory: () => directory,
      segmentBytes: 100,
      setAside: new SetAside({
        path: directory,
        bound: { maxAgeMs: 1e9, maxBytes: 1e9 },
        onExpired: () => undefined,
        onError: () => undefined,
      }),
      quietMs: 60_000,
      onError: (error) => {
        throw error;
      },
    });
    const { journal } = open(emptyDirectory());
    const [one, two] = [speaker(journal, 1).log, speaker(journal, 2).log];
    if (!(one instanceof Log && two instanceof Log)) throw new Error('the journal makes logs');
    const fill = (log: Log): void => {
      segments.charge(log, segments.current(), 100);
      segments.grew(100);
    };
    fill(one);
    fill(two);
    const letGo = (log: Log, movedAt: number): void =>
      segments.release(log, log.extents.splice(0), movedAt);
    letGo(two, 0);
    segments.sweep(9);
    expect(segments.all).toHaveLength(2);
    letGo(one, 5);
    segments.sweep(4);
    expect(segmentFiles(directory)).toHaveLength(2);
    segments.sweep(5);
    expect(segmentFiles(directory)).toEqual([]);
    expect(segments.bytes).toBe(0);
  });
});

describe('segments', () => {
  it('are deleted when no stream needs them', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, {}, SMALL);
    await traffic(journal, 1_000);
    await until('old segments are gone', () => sizeOf(path) < 4 * SMALL.segmentBytes);
    expect(journal.state().bytes).toBe(sizeOf(path));
  });

  it('that only a few streams need are emptied: of live, kept and ended streams', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, {}, SMALL);
    const [live, kept, ended] = [1, 2, 3].map((n) => speaker(journal, n));
    if (live === undefined || kept === undefined || ended === undefined) throw new Error('three');
    for (const one of [live, kept, ended]) one.say(`from the beginning of ${one.opened.id}`);
    for (const one of [kept, ended]) one.end();
    await journal.sync(kept.log);
    journal.keep(kept.log);
    const [first] = segmentFiles(path);
    await traffic(journal, 400);
    live.say(', and on');
    await until('the first segment is gone', () => !segmentFiles(path).includes(first ?? ''));
    expect(sizeOf(path)).toBeLessThan(6 * SMALL.segmentBytes);
    const [entry] = journal.backlog(9);
    expect(entry && (await readBack(entry)).text).toBe('from the beginning of stream-2');
    for (const { log } of [live, ended]) expect(await journal.sync(log)).toBe(true);
    await journal.close();
    const found = texts(await recoverAll(open(path).journal));
    expect(found).toMatchObject({
      'stream-1': 'from the beginning of stream-1, and on',
      'stream-2': 'from the beginning of stream-2',
      'stream-3': 'from the beginning of stream-3',
    });
  });

  it('never recover what was settled or dropped, whatever else they hold', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, {}, SMALL);
    const long = speaker(journal, 'long');
    for (let n = 0; n < 200; n++) {
      const short = speaker(journal, `gone-${n}`);
      short.say('discarded by policy '.repeat(20));
      long.say('the long stream goes on and on '.repeat(20));
      await nextTurn();
      short.log.drop();
      if (n % 10 === 0) await journal.sync(long.log);
      await nextTurn();
    }
    await journal.close();
    expect(Object.keys(texts(await recoverAll(open(path).journal)))).toEqual(['stream-long']);
  });

  it('with damaged records are emptied of the intact ones', async () => {
    const path = emptyDirectory();
    const { journal, corrupt } = open(path, {}, SMALL);
    const [bad, good] = [speaker(journal, 'bad'), speaker(journal, 'good')];
    for (const one of [bad, good]) {
      one.say(`text of ${one.opened.id}`);
      one.end();
      await journal.sync(one.log);
      journal.keep(one.log);
    }
    const [first = ''] = segmentFiles(path);
    const bytes = readFileSync(first);
    bytes.writeUInt8(0, bytes.indexOf('text of stream-bad'));
    writeFileSync(first, bytes);
    await traffic(journal, 400);
    await until('the first segment is gone', () => !segmentFiles(path).includes(first));
    expect(corrupt()).toBe(1);
    const back = await Promise.all(journal.backlog(9).map(readBack));
    expect(texts(back)).toMatchObject({ 'stream-good': 'text of stream-good' });
  });
});
