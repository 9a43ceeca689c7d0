import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../../src/journal/fs.ts';
import type { Files } from '../../../src/journal/fs.ts';
import { until } from '../../support/until.ts';
import {
  afterwards,
  emptyDirectory,
  instances,
  open,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
} from '../support.ts';

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** A disk that does what it is told, and else what a disk does. */
function faultyDisk(): Files & { next: Partial<Files>; synced: number } {
  const disk = {
    ...diskFiles,
    next: {} as Partial<Files>,
    synced: 0,
    create: (path: string) => (disk.next.create ?? diskFiles.create)(path),
    write: (...args: Parameters<Files['write']>) => (disk.next.write ?? diskFiles.write)(...args),
    truncate: (...args: Parameters<Files['truncate']>) =>
      (disk.next.truncate ?? diskFiles.truncate)(...args),
    sync: async (fd: number) => {
      await (disk.next.sync ?? diskFiles.sync)(fd);
      disk.synced++;
    },
  };
  return disk;
}

/** A directory that holds only so many bytes: a tmpfs where we may mount one, else a disk that counts. */
function smallDisk(bytes: number): { path: string; seams: { files?: Partial<Files> } } {
  const path = emptyDirectory();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', path], {
      stdio: 'ignore',
    });
    afterwards(() => execFileSync('umount', ['-l', path]));
    return { path, seams: {} };
  } catch {
    // Not allowed here.
  }
  const used = (): number =>
    readdirSync(path, { recursive: true, encoding: 'utf8' }).reduce(
      (sum, name) => sum + statSync(join(path, name)).size,
      0,
    );
  const write: Files['write'] = (fd, from, range) => {
    const left = bytes - used();
    if (left <= 0) throw diskError('ENOSPC');
    return diskFiles.write(fd, from, { ...range, length: Math.min(range.length, left) });
  };
  return { path, seams: { files: { write } } };
}

describe('a short write', () => {
  it('is completed, and later records are intact', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal, errors } = open(path, {}, { files });
    files.next.write = (fd, bytes, range) =>
      diskFiles.write(fd, bytes, { ...range, length: Math.min(range.length, 11) });
    const [one, two] = [speaker(journal, 1), speaker(journal, 2)];
    one.say('cut in many parts');
    await nextTurn();
    files.next = {};
    two.say('after it');
    for (const { log } of [one, two]) expect(await journal.sync(log)).toBe(true);
    await journal.close();
    expect(errors).toEqual([]);
    const after = open(path);
    expect(texts(await recoverAll(after.journal))).toEqual({
      'stream-1': 'cut in many parts',
      'stream-2': 'after it',
    });
    expect(after.corrupt()).toBe(0);
  });

  it('that ends in an error is truncated, and its records are written again', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal, errors, degraded } = open(path, {}, { files });
    const [one, two] = [speaker(journal, 1), speaker(journal, 2)];
    one.say('before ');
    await nextTurn();
    let writes = 0;
    files.next.write = (fd, bytes, range) => {
      if (writes++ > 0) throw diskError('EIO');
      return diskFiles.write(fd, bytes, { ...range, length: 13 });
    };
    one.say('lost by the disk ');
    two.say('this too');
    await nextTurn();
    expect(await journal.sync(one.log)).toBe(false);
    expect(journal.state().degraded).toBe('io-error');
    one.say('while it fails');
    files.next = {};
    await until('it is well again', () => journal.state().degraded === undefined);
    for (const { log } of [one, two]) expect(await journal.sync(log)).toBe(true);
    expect(degraded).toEqual(['io-error', undefined]);
    expect(errors.length).toBeGreaterThan(0);
    await journal.close();
    const after = open(path);
    expect(texts(await recoverAll(after.journal))).toEqual({
      'stream-1': 'before lost by the disk while it fails',
      'stream-2': 'this too',
    });
    expect(after.corrupt()).toBe(0);
  });

  it('that cannot be truncated closes its segment, and its streams are written to the next', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal } = open(path, {}, { files });
    const [one, quiet] = [speaker(journal, 1), speaker(journal, 2)];
    one.say('before ');
    quiet.say('says no more');
    await nextTurn();
    let writes = 0;
    files.next = {
      write(fd, bytes, range) {
        if (writes++ > 0) throw diskError('EIO');
        return diskFiles.write(fd, bytes, { ...range, length: 13 });
      },
      truncate() {
        throw diskError('EIO');
      },
    };
    one.say('after');
    await nextTurn();
    files.next = {};
    await until('it is well again', () => journal.state().degraded === undefined);
    for (const { log } of [one, quiet]) expect(await journal.sync(log)).toBe(true);
    await until('the torn segment is gone', () => segmentFiles(path).length === 1);
    await journal.close();
    expect(texts(await recoverAll(open(path).journal))).toEqual({
      'stream-1': 'before after',
      'stream-2': 'says no more',
    });
  });
});

describe('a piece that was not written', () => {
  it('and is in no memory is never reported as journaled', async () => {
    const files = faultyDisk();
    const { journal } = open(emptyDirectory(), {}, { files });
    const one = speaker(journal, 1);
    one.say('answer');
    one.end();
    expect(await journal.sync(one.log)).toBe(true);
    journal.keep(one.log);
    files.next.write = () => {
      throw diskError('EIO');
    };
    one.say(' and more');
    await nextTurn();
    files.next = {};
    await until('it is well again', () => journal.state().degraded === undefined);
    one.end({ revision: 1 });
    expect(await journal.sync(one.log)).toBe(false);
  });
});

describe('a failed fsync', () => {
  it('makes its segment untrusted: everything in it is written to the next, from memory and from disk', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal } = open(path, { fsyncMs: 60_000 }, { files });
    const [kept, live] = [speaker(journal, 1), speaker(journal, 2)];
    for (const one of [kept, live]) one.say(`text of ${one.opened.id}`);
    kept.end();
    expect(await journal.sync(kept.log)).toBe(true);
    journal.keep(kept.log);
    const [first] = segmentFiles(path);
    live.say(' and more');
    let failures = 0;
    files.next.sync = () => {
      if (failures++ > 0) return Promise.resolve();
      return Promise.reject(diskError('EIO'));
    };
    expect(await journal.sync(live.log)).toBe(true);
    expect(segmentFiles(path)).not.toContain(first);
    expect(journal.backlog(9)).toHaveLength(1);
    await journal.close();
    const all = await recoverAll(open(path).journal);
    expect(texts(all)).toEqual({
      'stream-1': 'text of stream-1',
      'stream-2': 'text of stream-2 and more',
    });
    expect(all.map(({ entry }) => entry.ending?.outcome)).toEqual(['completed', undefined]);
  });

  it('that fails again degrades the journal, reports nothing as journaled, and heals', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal, degraded } = open(path, { fsyncMs: 60_000 }, { files });
    const one = speaker(journal, 1);
    one.say('text');
    one.end();
    files.next.sync = () => Promise.reject(diskError('EIO'));
    expect(await journal.sync(one.log)).toBe(false);
    expect(journal.state().degraded).toBe('io-error');
    files.next = {};
    await until('it is well again', () => journal.state().degraded === undefined);
    expect(await journal.sync(one.log)).toBe(true);
    expect(degraded).toEqual(['io-error', undefined]);
  });

  it('does not delete the old copy before the new one is on disk', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal } = open(path, { fsyncMs: 60_000 }, { files });
    const one = speaker(journal, 1);
    one.say('text');
    await nextTurn();
    const [first] = segmentFiles(path);
    files.next.sync = () => Promise.reject(diskError('EIO'));
    expect(await journal.sync(one.log)).toBe(false);
    expect(segmentFiles(path)).toContain(first);
  });
});

describe('a slow disk', () => {
  it('pauses the journal, which then writes everything', async () => {
    const path = emptyDirectory();
    const files = faultyDisk();
    const { journal, degraded } = open(path, {}, { files, slowPauseMs: 20 });
    const one = speaker(journal, 1);
    let slowWrites = 0;
    files.next.write = (fd, bytes, range) => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 55);
      slowWrites++;
      return diskFiles.write(fd, bytes, range);
    };
    for (const piece of ['a', 'b', 'c']) {
      one.say(piece);
      await nextTurn();
    }
    expect(degraded).toEqual(['slow']);
    one.say('d');
    await nextTurn();
    expect(slowWrites).toBe(3);
    files.next = {};
    await until('it is well again', () => journal.state().degraded === undefined);
    expect(await journal.sync(one.log)).toBe(true);
    await journal.close();
    expect(texts(await recoverAll(open(path).journal))).toEqual({ 'stream-1': 'abcd' });
  });
});

describe('a full disk', () => {
  it('degrades the journal while streams go on, and the journal heals when space returns', async () => {
    const { path, seams } = smallDisk(1024 * 1024);
    const { journal, degraded } = open(path, { ephemeral: true }, seams);
    expect(journal.state().ephemeral).toBe(true);
    writeFileSync(join(path, 'ballast'), Buffer.alloc(900 * 1024));
    const one = speaker(journal, 1);
    for (let n = 0; journal.state().degraded === undefined; n++) {
      one.say(`${n} `.repeat(500));
      await nextTurn();
    }
    expect(journal.state().degraded).toBe('full');
    one.say('the end');
    one.end();
    expect(await journal.sync(one.log)).toBe(false);
    rmSync(join(path, 'ballast'));
    await until('it is well again', () => journal.state().degraded === undefined);
    expect(await journal.sync(one.log)).toBe(true);
    expect(degraded).toEqual(['full', undefined]);
    await journal.close();
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text === one.said.join('')).toBe(true);
    expect(back?.entry.ending?.complete).toBe(true);
  });
});

describe('maxBytes', () => {
  const MIB = 1024 * 1024;

  it('is kept; endings still fit when pieces do not; settling frees space', async () => {
    const path = emptyDirectory();
    const { journal, degraded } = open(path, { maxBytes: 16 * MIB });
    const small = speaker(journal, -1);
    small.say('small');
    const piece = 'x'.repeat(128 * 1024);
    const streams = Array.from({ length: 32 }, (_, n) => speaker(journal, n));
    for (let n = 0; n < 8; n++) {
      for (const { say } of streams) {
        say(piece);
        await nextTurn();
      }
    }
    expect(degraded).toEqual(['full']);
    expect(journal.state()).toMatchObject({ degraded: 'full', capacityBytes: 16 * MIB });
    // None of them is whole on disk now, but a small one that was can still end.
    const results = await Promise.all(streams.map(({ log }) => journal.sync(log)));
    expect(results).not.toContain(true);
    small.end();
    expect(await journal.sync(small.log)).toBe(true);
    expect(journal.state().bytes).toBeLessThanOrEqual(16 * MIB);
    for (const one of streams.slice(0, 24)) one.log.drop();
    for (const one of streams.slice(24)) {
      await until('the last ones are whole on disk', () => journal.sync(one.log));
    }
    expect(journal.state()).toMatchObject({ degraded: undefined, entries: 9 });
    expect(journal.state().bytes).toBeLessThanOrEqual(16 * MIB);
    expect(degraded).toEqual(['full', undefined]);
    await journal.close();
    const all = await recoverAll(open(path).journal);
    expect(all.map(({ text }) => text.length)).toEqual([5, ...Array<number>(8).fill(MIB)]);
  });
});

describe('a directory that cannot be used', () => {
  it('is an error at the start if it was given as an option', () => {
    const file = join(emptyDirectory(), 'file');
    writeFileSync(file, '');
    expect(() => open(join(file, 'journal'))).toThrowError(
      expect.objectContaining({ code: 'journal-unusable', message: expect.stringContaining(file) }),
    );
  });

  it('leaves the journal degraded, if it is the default one, until it can be created', async () => {
    const path = emptyDirectory();
    const before = process.cwd();
    process.chdir(path);
    afterwards(() => process.chdir(before));
    writeFileSync('.lastchunk', 'in the way');
    const { journal, degraded, errors } = open(undefined);
    expect(journal.state().degraded).toBe('io-error');
    const one = speaker(journal, 1);
    one.say('goes on');
    expect(await journal.sync(one.log)).toBe(false);
    rmSync('.lastchunk');
    await until('it is well again', () => journal.state().degraded === undefined);
    expect(await journal.sync(one.log)).toBe(true);
    expect(degraded).toEqual(['io-error', undefined]);
    expect(errors.length).toBeGreaterThan(0);
    expect(existsSync(join(path, '.lastchunk'))).toBe(true);
    expect(instances(join(path, '.lastchunk'))).toHaveLength(1);
  });
});
