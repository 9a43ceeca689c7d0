import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { dropEntry } from '../../../src/journal/index.ts';
import {
  emptyDirectory,
  onDisk,
  open,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
  refuseUnread,
} from '../support.ts';

describe('deleted text', () => {
  it('of a message is nowhere on the disk after `drop`, and the other messages of its process are', async () => {
    const path = emptyDirectory();
    const before = open(path);
    for (const name of ['first', 'secret', 'last']) {
      const one = speaker(before.journal, name);
      one.say(`words of ${name}`);
      one.end();
      await before.journal.sync(one.log);
    }
    await before.journal.close();
    expect(onDisk(path, 'words of secret')).toBe(true);
    expect(await dropEntry(path, 'message-secret', refuseUnread)).toBe('dropped');
    expect(onDisk(path, 'words of secret')).toBe(false);
    expect(texts(await recoverAll(open(path).journal))).toEqual({
      'stream-first': 'words of first',
      'stream-last': 'words of last',
    });
  });

  it('of a saved message is removed from a live journal after a minute without writes', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 'saved');
    one.say('words that are saved');
    one.end();
    await journal.sync(one.log);
    journal.settled(one.log);
    await nextTurn();
    vi.advanceTimersByTime(59_000);
    expect(onDisk(path, 'words that are saved')).toBe(true);
    vi.advanceTimersByTime(6_000);
    expect(segmentFiles(path)).toEqual([]);
    expect(onDisk(path, 'words that are saved')).toBe(false);
  });

  it('does not include an unsaved message in a journal without writes', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 'waiting');
    one.say('words that wait');
    one.end();
    await journal.sync(one.log);
    vi.advanceTimersByTime(600_000);
    expect(onDisk(path, 'words that wait')).toBe(true);
  });
});
