/** What `sync` answers about a stream that goes on while the disk is slow. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../../src/journal/fs.ts';
import type { Files } from '../../../src/journal/fs.ts';
import { soon } from '../../support/until.ts';
import { emptyDirectory, open, speaker } from '../support.ts';

/** A disk whose fsyncs begin, and end only when `release` is called. */
function slowDisk(sync: Files['sync'] = diskFiles.sync) {
  let begin = (): void => {};
  let release = (): void => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const released = new Promise<void>((resolve) => (release = resolve));
  const files: Partial<Files> = {
    sync: async (fd) => {
      begin();
      await released;
      await sync(fd);
    },
  };
  return { files, begun, release: () => release() };
}

describe('sync', () => {
  it.each([
    ['in the tick in which the fsync ends', false],
    ['and written while the fsync runs', true],
  ])('is true for earlier pieces if a piece is appended %s', async (_, isWritten) => {
    const disk = slowDisk();
    const { journal } = open(emptyDirectory(), { fsyncMs: 60_000 }, { files: disk.files });
    const one = speaker(journal, 1);
    one.say('the answer');
    const synced = journal.sync(one.log);
    await soon('the fsync begins', disk.begun);
    one.say('[DONE]');
    if (isWritten) await nextTurn();
    disk.release();
    expect(await synced).toBe(true);
    expect(await journal.sync(one.log)).toBe(true);
  });

  it('is true if the appended piece waits to be written', async () => {
    const disk = slowDisk();
    const options = { fsyncMs: 60_000, flushMs: 1000 };
    const { journal } = open(emptyDirectory(), options, { files: disk.files });
    const one = speaker(journal, 1);
    one.say('the answer');
    const synced = journal.sync(one.log);
    await soon('the fsync begins', disk.begun);
    one.say('[DONE]');
    disk.release();
    expect(await synced).toBe(true);
  });

  it('is false if the fsync fails, whatever is appended meanwhile', async () => {
    const disk = slowDisk(() => Promise.reject(new Error('EIO: injected')));
    const { journal } = open(emptyDirectory(), { fsyncMs: 60_000 }, { files: disk.files });
    const one = speaker(journal, 1);
    one.say('the answer');
    const synced = journal.sync(one.log);
    await soon('the fsync begins', disk.begun);
    one.say('[DONE]');
    disk.release();
    expect(await synced).toBe(false);
    expect(journal.state().degraded).toBe('io-error');
  });
});
