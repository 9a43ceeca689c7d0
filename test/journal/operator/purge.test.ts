import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listDamaged, listRefused, purgeEverywhere } from '../../../src/journal/index.ts';
import type { PurgeRequest } from '../../../src/journal/index.ts';
import { writeRefused } from '../../../src/journal/aside/dead-letters.ts';
import { askOwner } from '../../../src/journal/lease/requests.ts';
import type { JournalEntry } from '../../../src/journal/port.ts';
import { startChild } from '../children.ts';
import { until } from '../../support/until.ts';
import {
  emptyDirectory,
  ending,
  onDisk,
  open,
  recoverAll,
  refuseUnread,
  segmentFiles,
  speaker,
  stream,
  texts,
} from '../support.ts';
import type { Opened } from '../support.ts';

const ONE: PurgeRequest = { conversationId: 'one' };

/** Ended, on disk, and nowhere else. */
async function keep({ journal }: Opened, name: string, more: Parameters<typeof stream>[1] = {}) {
  const one = speaker(journal, name, more);
  one.say(`first words of ${name}`, true);
  one.say(` and more words of ${name}`, true);
  one.end();
  expect(await journal.sync(one.log)).toBe(true);
  journal.keep(one.log);
  return one;
}

/** As the command does it. */
async function purge(path: string, request: PurgeRequest, onUnread = refuseUnread) {
  const { journal } = open(path, {}, {}, true);
  try {
    return await purgeEverywhere(path, request, { journal, onUnread });
  } finally {
    await journal.close();
  }
}

describe('purging a conversation', () => {
  it('removes its text from the disk of a dead process, and nothing else', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    await keep(dead, 'before', { conversationId: 'two' });
    await keep(dead, 'secret', { conversationId: 'one' });
    await keep(dead, 'after', { conversationId: null });
    await dead.journal.close();
    expect(onDisk(path, 'words of secret')).toBe(true);
    expect(await purge(path, ONE)).toEqual({
      purged: 1,
      onTheWay: 0,
      unknown: 0,
      damagedLeft: 0,
    });
    expect(onDisk(path, 'words of secret')).toBe(false);
    expect(onDisk(path, 'message-secret')).toBe(false);
    const next = open(path);
    expect(texts(await recoverAll(next.journal))).toEqual({
      'stream-before': 'first words of before and more words of before',
      'stream-after': 'first words of after and more words of after',
    });
    expect(next.corrupt()).toBe(0);
  });

  it('is carried out by a live owner that is asked through its socket', async () => {
    const path = emptyDirectory();
    const live = open(path);
    await keep(live, 'secret', { conversationId: 'one' });
    await keep(live, 'other', { conversationId: 'two' });
    expect(await purge(path, ONE)).toMatchObject({ purged: 1, onTheWay: 0 });
    expect(onDisk(path, 'words of secret')).toBe(false);
    expect(live.journal.backlog(9).map(({ opened }) => opened.id)).toEqual(['stream-other']);
    expect(texts(await readAll(live.journal.backlog(9)))).toEqual({
      'stream-other': 'first words of other and more words of other',
    });
    expect(live.errors).toEqual([]);
    expect(live.corrupt()).toBe(0);
  });

  it('works on another process while it writes', async () => {
    const path = emptyDirectory();
    const child = startChild('write', path);
    await until('streams of it have ended', () => (child.last('round') ?? 0) > 40);
    const report = await purge(path, { conversationId: 'conversation' });
    expect(report).toMatchObject({ onTheWay: 9, unknown: 0, damagedLeft: 0 });
  });

  it('keeps messages of running streams, and counts them', async () => {
    const path = emptyDirectory();
    const live = open(path);
    const running = speaker(live.journal, 'running', { conversationId: 'one' });
    running.say('words that run', true);
    expect(await purge(path, ONE)).toMatchObject({ purged: 0, onTheWay: 1 });
    running.say(' on', true);
    running.end();
    expect(await live.journal.sync(running.log)).toBe(true);
    await live.journal.close();
    expect(texts(await recoverAll(open(path).journal))).toEqual({
      'stream-running': 'words that run on',
    });
  });

  it('removes all saved text from the disk of a live owner, of any conversation', async () => {
    const path = emptyDirectory();
    const live = open(path);
    const saved = await keep(live, 'saved', { conversationId: 'two' });
    await keep(live, 'neighbour', { conversationId: 'three' });
    live.journal.settled(saved.log);
    saved.log.close();
    expect(await purge(path, ONE)).toMatchObject({ purged: 0 });
    expect(onDisk(path, 'words of saved')).toBe(false);
    expect(onDisk(path, 'words of neighbour')).toBe(true);
  });

  it('removes its text also from what a live owner has taken over', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    await keep(dead, 'secret', { conversationId: 'one' });
    await keep(dead, 'other', { conversationId: 'two' });
    await dead.journal.close();
    const live = open(path);
    const entries: JournalEntry[] = [];
    for await (const entry of live.journal.recover(new AbortController().signal)) {
      entries.push(entry);
    }
    expect(entries.map(({ opened }) => opened.id).sort()).toEqual([
      'stream-other',
      'stream-secret',
    ]);
    expect(await purge(path, ONE)).toMatchObject({ purged: 1 });
    expect(onDisk(path, 'words of secret')).toBe(false);
    const secret = entries.find(({ opened }) => opened.id === 'stream-secret');
    expect(await secret?.body()).toEqual([]);
    expect(secret?.ending).toBeUndefined();
  });

  it('removes refused messages, and what can be read of damaged segments', async () => {
    const path = emptyDirectory();
    const message = { ...ending(stream('r')), text: 'refused words', events: null };
    await writeRefused(path, { ...message, conversationId: 'one' }, '23514');
    const dead = open(path);
    await keep(dead, 'secret', { conversationId: 'one' });
    await keep(dead, 'broken', { conversationId: 'two' });
    await dead.journal.close();
    const [file = ''] = segmentFiles(path);
    const bytes = readFileSync(file);
    bytes.fill(0x21, bytes.indexOf('first words of broken'), bytes.indexOf('words of broken'));
    writeFileSync(file, bytes);
    await recoverAll(open(path).journal);
    expect(await listDamaged(path)).toHaveLength(1);
    expect(await purge(path, ONE)).toMatchObject({ purged: 2, damagedLeft: 1 });
    expect(listRefused(path)).toEqual([]);
    expect(onDisk(path, 'words of secret')).toBe(false);
  });
});

describe('a folder that others may write', () => {
  it.each(['refused', 'damaged'])(
    'named %s is reported, and everything else is purged',
    async (name) => {
      const path = emptyDirectory();
      const dead = open(path);
      await keep(dead, 'secret', { conversationId: 'one' });
      await dead.journal.close();
      mkdirSync(join(path, name));
      chmodSync(join(path, name), 0o777);
      const unread: string[] = [];
      const report = await purge(path, ONE, (where) => unread.push(where));
      expect(report).toMatchObject({ purged: 1, damagedLeft: 0 });
      expect(unread).toEqual([join(path, name)]);
      expect(onDisk(path, 'words of secret')).toBe(false);
    },
  );
});

describe('purging by age', () => {
  it('removes messages that began before, and damaged segments last written before', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    const now = Date.now();
    await keep(dead, 'old', { startedAtMs: now - 100_000 });
    await keep(dead, 'young', { startedAtMs: now - 10_000 });
    await dead.journal.close();
    expect(await purge(path, { beforeMs: now - 50_000 })).toMatchObject({ purged: 1 });
    expect(onDisk(path, 'words of old')).toBe(false);
    expect(texts(await recoverAll(open(path).journal))).toEqual({
      'stream-young': 'first words of young and more words of young',
    });
  });
});

describe('the socket of a live owner', () => {
  it('answers an invalid request with an error, and stays open', async () => {
    const path = emptyDirectory();
    const { directory, journal } = open(path);
    await expect(askOwner(directory, { eat: 1 })).rejects.toThrow('ERR_REQUEST');
    const one = speaker(journal, 1);
    one.say('words', true);
    expect(await journal.sync(one.log)).toBe(true);
  });

  it('is reported if nobody answers on it', async () => {
    const path = emptyDirectory();
    const { directory, journal } = open(path);
    await journal.close();
    await expect(askOwner(directory, ONE)).rejects.toThrow('no socket');
  });
});

async function readAll(entries: readonly JournalEntry[]) {
  const all = [];
  for (const entry of entries) {
    const pieces = await entry.body();
    all.push({ id: entry.opened.id, text: pieces.join(''), entry });
  }
  return all;
}
