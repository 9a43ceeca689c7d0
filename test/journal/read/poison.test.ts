import { readFileSync, writeFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { dropEntry, listJournal } from '../../../src/journal/index.ts';
import { HEADER_BYTES, KIND, seal } from '../../../src/journal/record.ts';
import { until } from '../../support/until.ts';
import { startChild } from '../children.ts';
import {
  emptyDirectory,
  open,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
  refuseUnread,
} from '../support.ts';

async function leave(path: string, names: readonly string[]): Promise<string> {
  const { journal } = open(path);
  for (const name of names) {
    const one = speaker(journal, name);
    one.say(`words of ${name}`);
    one.end();
  }
  await journal.close();
  return segmentFiles(path)[0] ?? '';
}

describe('a stream whose recovery kills the process', () => {
  it('is not read a third time; the others are, and it can still be dropped', async () => {
    const path = emptyDirectory();
    await leave(path, ['poison', 'b']);
    for (let death = 1; death <= 2; death++) {
      const child = startChild('poison', path);
      await until('it reads', () => child.lines.some((line) => 'reads' in line));
      await child.kill('SIGKILL');
    }
    const { journal } = open(path);
    expect(texts(await recoverAll(journal))).toEqual({ 'stream-b': 'words of b' });
    expect(journal.state()).toMatchObject({ entries: 1, problems: { poisonous: 1 } });
    await journal.close();
    expect(await listJournal(path, refuseUnread)).toMatchObject([{ messageId: 'message-poison' }]);
    expect(await dropEntry(path, 'message-poison', refuseUnread)).toBe('dropped');
    expect(await listJournal(path, refuseUnread)).toEqual([]);
  });

  it('is reported once, by its message id', async () => {
    const path = emptyDirectory();
    await leave(path, ['poison']);
    for (let death = 1; death <= 2; death++) {
      const child = startChild('poison', path);
      await until('it reads', () => child.lines.some((line) => 'reads' in line));
      await child.kill('SIGKILL');
    }
    const { journal, lines } = open(path);
    for (let look = 0; look < 3; look++) expect(await recoverAll(journal)).toEqual([]);
    expect(lines.filter((line) => line.includes('message-poison'))).toHaveLength(1);
  });

  it('is recovered after the others if one process died, which can be chance', async () => {
    const path = emptyDirectory();
    await leave(path, ['poison', 'b', 'c']);
    const child = startChild('poison', path);
    await until('it reads', () => child.lines.some((line) => 'reads' in line));
    await child.kill('SIGKILL');
    const back = await recoverAll(open(path).journal);
    expect(back.map(({ id }) => id)).toEqual(['stream-b', 'stream-c', 'stream-poison']);
  });

  it('is not one that was being read when its process closed regularly', async () => {
    const path = emptyDirectory();
    await leave(path, ['a']);
    for (let start = 0; start < 4; start++) {
      const { journal } = open(path);
      for await (const entry of journal.recover(new AbortController().signal)) await entry.body();
      await journal.close();
    }
    const { journal } = open(path);
    expect(texts(await recoverAll(journal))).toEqual({ 'stream-a': 'words of a' });
  });

  it('is also one whose message was being built, over any number of turns', async () => {
    const path = emptyDirectory();
    await leave(path, ['a']);
    for (let death = 1; death <= 2; death++) {
      const child = startChild('slow-poison', path);
      await until('it makes a message', () => child.lines.some((line) => 'makes' in line));
      await child.kill('SIGKILL');
    }
    const { journal } = open(path);
    expect(await recoverAll(journal)).toEqual([]);
    expect(journal.state().problems).toEqual({ poisonous: 1 });
  });

  it('is not one that was read completely before its process ended', async () => {
    const path = emptyDirectory();
    await leave(path, ['a']);
    for (let start = 0; start < 4; start++) {
      const { journal } = open(path);
      const back = await recoverAll(journal, false);
      expect(back).toHaveLength(1);
      for (const { entry } of back) entry.wasRead?.();
      await nextTurn();
      await journal.close();
    }
  });
});

describe('a record that cannot be parsed', () => {
  it.each([
    ['an open record that is no JSON', KIND.open, 'no JSON'],
    ['an end record that is no JSON', KIND.end, '{'],
    ['a settlement that is too short', KIND.settled, 'x'],
  ])('(%s) does not affect the other records', async (_, kind, payload) => {
    const path = emptyDirectory();
    const file = await leave(path, ['a', 'b']);
    const salt = Number.parseInt(/-([0-9a-f]{8})\./.exec(file)?.[1] ?? '', 16);
    const record = Buffer.concat([Buffer.alloc(HEADER_BYTES), Buffer.from(payload)]);
    seal(record, 0, { kind, stream: 99, offset: 0, payloadBytes: payload.length }, salt);
    writeFileSync(file, Buffer.concat([record, readFileSync(file)]));
    expect(await listJournal(path, refuseUnread)).toHaveLength(2);
    const { journal, corrupt } = open(path);
    expect(texts(await recoverAll(journal))).toEqual({
      'stream-a': 'words of a',
      'stream-b': 'words of b',
    });
    expect(corrupt()).toBe(1);
  });
});
