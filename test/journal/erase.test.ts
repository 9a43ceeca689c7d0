import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { boundRefused, listRefused, writeRefused } from '../../src/journal/dead-letters.ts';
import { dropEntry } from '../../src/journal/index.ts';
import { until } from '../support/until.ts';
import { ending, stream } from './support-data.ts';
import {
  emptyDirectory,
  open,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
  refuseUnread,
} from './support.ts';

/** Whether any file under a path holds this text. */
function onDisk(path: string, text: string): boolean {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(text));
}

describe('text that is to go', () => {
  it('is nowhere on the disk after `drop`, and the other messages of its process are', async () => {
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

  it('that was saved leaves a live journal when nothing was written for a while', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, {}, { quietMs: 50 });
    const one = speaker(journal, 'saved');
    one.say('words that are saved');
    one.end();
    await journal.sync(one.log);
    journal.settled(one.log);
    await until('its segment is gone', () => segmentFiles(path).length === 0);
    expect(onDisk(path, 'words that are saved')).toBe(false);
  });
});

describe('refused messages', () => {
  const message = (n: number) => ({
    ...ending(stream(n)),
    text: 'x'.repeat(1000),
    events: null,
  });

  it('are kept up to an age and a size, the newest longest', async () => {
    const path = emptyDirectory();
    for (const n of [1, 2, 3]) await writeRefused(path, message(n), '23514');
    const bytes = listRefused(path)[0]?.bytes ?? 0;
    const wide = { maxAgeMs: 3_600_000, maxBytes: 1e9 };
    expect(boundRefused(path, wide)).toBe(0);
    expect(boundRefused(path, { ...wide, maxBytes: bytes * 2 + 100 })).toBe(1);
    expect(listRefused(path).map(({ id }) => id)).toEqual(['message-2', 'message-3']);
    expect(boundRefused(path, { ...wide, maxAgeMs: -1 })).toBe(2);
    expect(listRefused(path)).toEqual([]);
  });
});
