import { describe, expect, it } from 'vitest';
import { diskFiles } from '../../../src/journal/fs.ts';
import type { Files } from '../../../src/journal/fs.ts';
import { emptyDirectory, open, speaker } from '../support.ts';

const MESSAGES = 3_000;

describe('the backlog of a long outage', () => {
  it('reads from disk only what it returns, however many messages wait and are excluded', async () => {
    let reads = 0;
    const files: Partial<Files> = {
      readNow: (...args) => {
        reads++;
        return diskFiles.readNow(...args);
      },
    };
    const { journal } = open(emptyDirectory(), {}, { files });
    for (let n = 0; n < MESSAGES; n++) {
      const one = speaker(journal, n);
      one.say('words');
      one.end();
      if (n % 100 === 0 || n === MESSAGES - 1) await journal.sync(one.log);
      journal.keep(one.log);
    }
    reads = 0;
    const back = new Set(Array.from({ length: 1_000 }, (_, n) => `stream-${n}`));
    expect(journal.backlog(256, (id) => back.has(id))[0]?.opened.id).toBe('stream-1000');
    // The open and the end record of each.
    expect(reads).toBe(2 * 256);
    expect(journal.backlog(256, (id) => back.has(id))).toHaveLength(256);
    expect(reads).toBe(2 * 256);
    expect(journal.backlog(9, () => true)).toEqual([]);
    expect(reads).toBe(2 * 256);
  });
});
