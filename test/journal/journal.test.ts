import { readFileSync, statSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { StreamLog } from '../../src/core/save-port.ts';
import { until } from '../support/until.ts';
import {
  emptyDirectory,
  ending,
  instances,
  open,
  readBack,
  recoverAll,
  segmentFiles,
  speaker,
  stream,
  texts,
} from './support.ts';

const bytesOnDisk = (path: string): number =>
  segmentFiles(path).reduce((sum, file) => sum + statSync(file).size, 0);
const onDisk = (path: string): string =>
  segmentFiles(path)
    .map((file) => readFileSync(file, 'utf8'))
    .join('');

describe('a stream log', () => {
  it('has on disk at the end of the tick what was appended in it, with one write for all streams', async () => {
    const path = emptyDirectory();
    const { journal, writes } = open(path);
    const speakers = [1, 2, 3].map((n) => speaker(journal, n));
    for (const { say } of speakers) {
      say('one ');
      say('two');
    }
    expect(speakers.map(({ log }) => log.clean)).toEqual([false, false, false]);
    expect(segmentFiles(path)).toEqual([]);
    await Promise.resolve();
    await nextTurn();
    expect(speakers.map(({ log }) => log.clean)).toEqual([true, true, true]);
    expect(onDisk(path).match(/one two/g)).toHaveLength(3);
    expect(writes).toHaveLength(1);
  });

  it('has on disk before `append` returns what is appended with `now`, and all that waited before it', () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const [first, second] = [speaker(journal, 1), speaker(journal, 2)];
    first.say('waits');
    second.say('hurries', true);
    expect(onDisk(path)).toContain('waits');
    expect(onDisk(path)).toContain('hurries');
  });

  it('stores pieces as the client received them: two surrogate halves do not become a character', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const emoji = '😀';
    const { say } = speaker(before.journal, 1);
    // As the capture hands them over: what went to the wire as U+FFFD is U+FFFD here.
    say(emoji.slice(0, 1).toWellFormed());
    say(emoji.slice(1).toWellFormed());
    say(emoji);
    await before.journal.close();
    const after = open(path);
    expect(texts(await recoverAll(after.journal))).toEqual({ 'stream-1': `\ufffd\ufffd${emoji}` });
  });

  it('stores bytes as bytes, between texts too', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const { say } = speaker(before.journal, 1, { contentEncoding: 'gzip' });
    say('text ');
    say(Uint8Array.of(0, 255, 128));
    say(Uint8Array.of(7));
    await nextTurn();
    say('more');
    await before.journal.close();
    const [back] = await recoverAll(open(path).journal, false);
    const body = await back?.entry.body();
    expect(body).toEqual(['text ', Buffer.from([0, 255, 128, 7]), 'more']);
  });

  it('splits pieces larger than a record, and splits no character', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const { say } = speaker(before.journal, 1);
    const long = `a${'😀'.repeat(400_000)}`;
    say(long);
    say(new Uint8Array(1_500_000).fill(65));
    await before.journal.close();
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text === long + 'A'.repeat(1_500_000)).toBe(true);
  });

  it('is written after `flushMs` if it is set, even with `now`', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, { flushMs: 1000 });
    const { say, log } = speaker(journal, 1);
    say('later', true);
    await nextTurn();
    expect(log.clean).toBe(false);
    log.flush();
    expect(onDisk(path)).toContain('later');
  });

  it('needs at most a tenth and 32 bytes a chunk more than the chunks themselves', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    let written = 0;
    const chunks = 1_000;
    const { say, end, log } = speaker(journal, 1);
    for (let n = 0; n < chunks; n++) {
      const piece = `data: {"choices":[{"delta":{"content":" w${n}"}}]}\n\n`;
      written += Buffer.byteLength(piece);
      say(piece);
      await nextTurn();
    }
    end();
    await journal.sync(log);
    expect(bytesOnDisk(path)).toBeGreaterThan(written);
    expect(bytesOnDisk(path)).toBeLessThan(written * 1.1 + 32 * chunks);
  });

  it('writes nothing for a stream without pieces that is dropped', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const { log } = speaker(journal, 1);
    log.drop();
    await nextTurn();
    expect(segmentFiles(path)).toEqual([]);
    expect(journal.state().entries).toBe(0);
  });

  it('writes pieces after close() into a new directory', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const before = speaker(journal, 1);
    before.say('begun, ', true);
    await journal.close();
    const [left = ''] = instances(path);
    before.say('and ended', true);
    before.end();
    const late = speaker(journal, 2);
    late.say('said late', true);
    expect(await Promise.all([journal.sync(before.log), journal.sync(late.log)])).toEqual([
      true,
      true,
    ]);
    // Written again as a whole: the first directory may be somebody else's by now.
    const [own = ''] = instances(path).filter((directory) => directory !== left);
    for (const text of ['begun, ', 'and ended', 'said late']) expect(onDisk(own)).toContain(text);
    expect(onDisk(left)).not.toContain('and ended');
  });

  it('has on disk what is synced while the journal closes', async () => {
    const { journal } = open(emptyDirectory(), { fsyncMs: 60_000 });
    const speakers = [1, 2, 3, 4].map((number) => speaker(journal, number));
    const closed = journal.close();
    const synced: Promise<boolean>[] = [];
    for (const { say, end, log } of speakers) {
      say('late', true);
      end();
      synced.push(journal.sync(log));
      await new Promise(setImmediate);
    }
    await closed;
    expect(await Promise.all(synced)).toEqual([true, true, true, true]);
  });
});

describe('sync', () => {
  it('is true once the bytes are fsynced, with one fsync for all that wait', async () => {
    let syncs = 0;
    const { journal } = open(
      emptyDirectory(),
      { fsyncMs: 60_000 },
      {
        files: {
          sync: async () => {
            syncs++;
            await nextTurn();
          },
        },
      },
    );
    const speakers = Array.from({ length: 50 }, (_, n) => speaker(journal, n));
    for (const { say, end } of speakers) {
      say('text');
      end();
    }
    const results = await Promise.all(speakers.map(({ log }) => journal.sync(log)));
    expect(results.every(Boolean)).toBe(true);
    expect(syncs).toBe(1);
    for (const { log } of speakers) expect(await journal.sync(log)).toBe(true);
    expect(syncs).toBe(1);
  });

  it('does not resolve with an fsync that began before its bytes were written', async () => {
    const finish: (() => void)[] = [];
    const { journal } = open(
      emptyDirectory(),
      { fsyncMs: 60_000 },
      { files: { sync: () => new Promise<void>((resolve) => finish.push(resolve)) } },
    );
    const [first, second] = [speaker(journal, 1), speaker(journal, 2)];
    first.say('early');
    const early = journal.sync(first.log);
    second.say('late');
    let lateIsDone = false;
    const late = journal.sync(second.log).then((is) => {
      lateIsDone = true;
      return is;
    });
    finish.shift()?.();
    expect(await early).toBe(true);
    expect(lateIsDone).toBe(false);
    (await until('the second fsync begins', () => finish.shift()))();
    expect(await late).toBe(true);
  });

  it('also happens in the background', async () => {
    let syncs = 0;
    const files = { sync: () => Promise.resolve(void syncs++) };
    const { journal } = open(emptyDirectory(), { fsyncMs: 5 }, { files });
    speaker(journal, 1).say('text');
    await until('the background fsync comes', () => syncs > 0);
  });

  it('is false for a log of another journal', async () => {
    const { journal } = open(emptyDirectory());
    const foreign: StreamLog = {
      append() {},
      ahead: true,
      clean: true,
      flush() {},
      releaseBody: () => undefined,
      readBack: () => Promise.resolve([]),
      drop() {},
      close() {},
    };
    expect(await journal.sync(foreign)).toBe(false);
  });
});

describe('the backlog', () => {
  it('returns the kept streams, oldest first, read back from disk', async () => {
    const { journal } = open(emptyDirectory());
    const speakers = [1, 2, 3].map((n) => speaker(journal, n));
    for (const { say } of speakers) say('first ');
    await nextTurn();
    const endedAtMs: number[] = [];
    for (const { say, end, log } of speakers) {
      say('second');
      endedAtMs.push(Date.now());
      end({ outcome: 'truncated', complete: false });
      expect(await journal.sync(log)).toBe(true);
      journal.keep(log);
      log.close();
    }
    // What memory held may be gone now: nothing of it is used any more.
    for (const { said } of speakers) (said as string[]).length = 0;
    const entries = journal.backlog(2);
    expect(entries.map(({ opened }) => opened)).toEqual(speakers.slice(0, 2).map((s) => s.opened));
    expect(entries[0]?.ending).toEqual(
      ending(stream(1), { outcome: 'truncated', complete: false }),
    );
    expect(await Promise.all(entries.map(async (entry) => (await readBack(entry)).text))).toEqual([
      'first second',
      'first second',
    ]);
    const [first = 0, second = 0] = endedAtMs;
    const { entries: waiting, oldestEntryMs } = journal.state();
    expect(waiting).toBe(3);
    // They wait since they ended; the two clocks are read one after the other.
    expect(oldestEntryMs).toBeGreaterThanOrEqual(first - 1);
    await entries[0]?.settle();
    expect(journal.backlog(9).map(({ opened }) => opened.id)).toEqual(['stream-2', 'stream-3']);
    expect(journal.state().entries).toBe(2);
    expect(journal.state().oldestEntryMs).toBeGreaterThanOrEqual(second - 1);
  });

  it('does not settle a stream that went on meanwhile', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 1);
    one.say('answer');
    one.end();
    await journal.sync(one.log);
    journal.keep(one.log);
    const [entry] = journal.backlog(1);
    one.say(' and more');
    expect(journal.backlog(1)).toEqual([]);
    await entry?.settle();
    one.end({ revision: 1 });
    await journal.sync(one.log);
    journal.keep(one.log);
    const [again] = journal.backlog(1);
    expect(again?.ending?.revision).toBe(1);
    expect(again && (await readBack(again)).text).toBe('answer and more');
  });
});

describe('a settled stream', () => {
  it('is not found again', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const [saved, waits, dropped] = [1, 2, 3].map((n) => speaker(before.journal, n));
    for (const one of [saved, waits, dropped]) one?.say(`text of ${one.opened.id}`);
    saved?.end();
    await nextTurn();
    if (saved) before.journal.settled(saved.log);
    dropped?.log.drop();
    await before.journal.close();
    const all = await recoverAll(open(path).journal);
    expect(texts(all)).toEqual({ 'stream-2': 'text of stream-2' });
  });

  it('that goes on is written whole again before the end of the tick', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const one = speaker(before.journal, 1);
    one.say('answer');
    one.end();
    expect(await before.journal.sync(one.log)).toBe(true);
    before.journal.settled(one.log);
    one.say(' and more');
    expect(one.log.clean).toBe(false);
    await Promise.resolve();
    await nextTurn();
    expect(onDisk(path)).toContain('and more');
    one.end({ revision: 1 });
    expect(await before.journal.sync(one.log)).toBe(true);
    await before.journal.close();
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text).toBe('answer and more');
    expect(back?.entry.ending?.revision).toBe(1);
  });

  it('that only gets another ending is found with that ending', async () => {
    const path = emptyDirectory();
    const before = open(path);
    const one = speaker(before.journal, 1);
    one.say('answer');
    one.end();
    await before.journal.sync(one.log);
    before.journal.settled(one.log);
    one.end({ revision: 1, outcome: 'failed', complete: false });
    expect(await before.journal.sync(one.log)).toBe(true);
    await before.journal.close();
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text).toBe('answer');
    expect(back?.entry.ending).toMatchObject({ revision: 1, outcome: 'failed' });
  });
});

describe('closing', () => {
  it('removes the directory when no message waits in it', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 1);
    one.say('text');
    one.end();
    await journal.sync(one.log);
    journal.settled(one.log);
    await journal.close();
    await journal.close();
    expect(instances(path)).toEqual([]);
  });

  it('leaves waiting messages for the next start, which takes them over at once', async () => {
    const path = emptyDirectory();
    const before = open(path);
    speaker(before.journal, 1).say('unfinished');
    await before.journal.close();
    expect(instances(path)).toHaveLength(1);
    const after = open(path);
    expect(texts(await recoverAll(after.journal))).toEqual({ 'stream-1': 'unfinished' });
    await after.journal.close();
    expect(instances(path)).toEqual([]);
  });
});

describe('files', () => {
  it('can be read only by their owner', async () => {
    const path = `${emptyDirectory()}/made/by/us`;
    const { journal } = open(path);
    const one = speaker(journal, 1);
    one.say('secret');
    await journal.sync(one.log);
    const [instance = ''] = instances(path);
    expect(statSync(instance).mode & 0o777).toBe(0o700);
    expect(statSync(`${instance}/owner.json`).mode & 0o777).toBe(0o600);
    for (const file of segmentFiles(path)) expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});
