import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  dropEntry,
  listJournal,
  listRefused,
  refusedMessages,
} from '../../../src/journal/index.ts';
import type { Message } from '../../../src/core/message.ts';
import {
  emptyDirectory,
  ending,
  open,
  recoverAll,
  speaker,
  stream,
  texts,
  refuseUnread,
} from '../support.ts';

function message(n: number, more: Partial<Message> = {}): Message {
  return { ...ending(stream(n)), text: 'the secret text', events: [{ a: 1 }], ...more };
}

describe('listing a journal', () => {
  it('returns ids, sizes and times, of live owners and dead ones, and never a text', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    speaker(dead.journal, 1).say('twelve bytes');
    await dead.journal.close();
    const live = open(path);
    const two = speaker(live.journal, 2);
    two.say('four');
    two.end();
    await live.journal.sync(two.log);
    const listed = await listJournal(path, refuseUnread);
    expect(listed).toMatchObject([
      { messageId: 'message-1', owner: 'left', state: 'open', bytes: 12 },
      { messageId: 'message-2', owner: 'live', state: 'ended', bytes: 4 },
    ]);
    expect(listed[1]?.startedAtMs).toBe(1_700_000_000_002);
    expect(JSON.stringify(listed)).not.toMatch(/twelve|four/);
    expect(texts(await recoverAll(live.journal))).toEqual({ 'stream-1': 'twelve bytes' });
  });

  it('includes what a process has taken over and not finished', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    speaker(dead.journal, 1).say('text');
    await dead.journal.close();
    const taker = open(path);
    await recoverAll(taker.journal, false);
    expect(await listJournal(path, refuseUnread)).toMatchObject([
      { messageId: 'message-1', owner: 'live' },
    ]);
  });
});

describe('dropping a message', () => {
  it('of a dead process keeps it from being recovered', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    for (const n of [1, 2]) speaker(dead.journal, n).say(`text ${n}`);
    await dead.journal.close();
    expect(await dropEntry(path, 'message-1', refuseUnread)).toBe('dropped');
    expect(await dropEntry(path, 'message-1', refuseUnread)).toBe('not-found');
    expect(texts(await recoverAll(open(path).journal))).toEqual({ 'stream-2': 'text 2' });
  });

  it('of a live process is refused', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 1);
    one.say('text');
    await journal.sync(one.log);
    expect(await dropEntry(path, 'message-1', refuseUnread)).toBe('in-use');
    expect(await dropEntry(path, 'another', refuseUnread)).toBe('not-found');
  });
});

describe('a refused message', () => {
  it('has a file of its own until it is dropped, and is removed from the journal', async () => {
    const path = emptyDirectory();
    const { journal } = open(path);
    const one = speaker(journal, 1);
    one.say('text');
    one.end();
    await journal.sync(one.log);
    const refused = message(1, { id: '../../etc/passwd\0' });
    expect(await journal.refuse(one.log, refused, '22021')).toBe(true);
    expect(journal.state().entries).toBe(0);
    expect(listRefused(path)).toMatchObject([{ id: refused.id, sqlstate: '22021' }]);
    expect(JSON.stringify(listRefused(path))).not.toContain('secret');
    const [waiting] = refusedMessages(path);
    expect(waiting?.read()).toEqual(refused);
    const directory = join(path, 'refused');
    const files = readdirSync(directory);
    expect(files).toHaveLength(1);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, files[0] ?? '')).mode & 0o777).toBe(0o600);
    expect(await dropEntry(path, refused.id, refuseUnread)).toBe('dropped');
    expect(listRefused(path)).toEqual([]);
    expect(waiting?.read()).toBeUndefined();
    expect(refusedMessages(path)).toEqual([]);
  });

  it('of the backlog, or of a dead process, is set aside the same way', async () => {
    const path = emptyDirectory();
    const dead = open(path);
    speaker(dead.journal, 1).say('text');
    await dead.journal.close();
    const { journal } = open(path);
    const two = speaker(journal, 2);
    two.say('text');
    two.end();
    await journal.sync(two.log);
    journal.keep(two.log);
    two.log.close();
    await journal.backlog(1)[0]?.refuse(message(2), '23502');
    const [taken] = await recoverAll(journal, false);
    await taken?.entry.refuse(message(1), '22P05');
    expect(
      listRefused(path)
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['message-1', 'message-2']);
    expect(journal.state().entries).toBe(0);
    expect(journal.backlog(9)).toEqual([]);
  });

  it('that cannot be written stays in the journal', async () => {
    const path = emptyDirectory();
    const { journal, errors } = open(path);
    const one = speaker(journal, 1);
    one.say('text');
    await journal.sync(one.log);
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    expect(await journal.refuse(one.log, message(1, { metadata: cyclic }), '22021')).toBe(false);
    expect(journal.state().entries).toBe(1);
    expect(errors).toHaveLength(1);
    expect(
      readFileSync(join(path, 'refused', readdirSync(join(path, 'refused'))[0] ?? ''), 'utf8'),
    ).toBe('');
  });
});
