import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { isDead } from '../../../src/journal/lease/liveness.ts';
import { soon, until } from '../../support/until.ts';
import { startChild } from '../children.ts';
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

const OWNER = 'owner.json';

/** Changes what a directory's owner says about itself. */
function rewriteOwner(instance: string, change: Record<string, unknown>): void {
  const file = join(instance, OWNER);
  const owner: unknown = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...Object(owner), ...change }));
}

/** As if its owner had not renewed it for so long. */
function age(instance: string, seconds: number): void {
  const then = Date.now() / 1000 - seconds;
  utimesSync(join(instance, OWNER), then, then);
}

/** As an owner does it whose clock then jumps: its file is new again and again, and old by the clock. */
function renewOld(instance: string): void {
  writeFileSync(join(instance, 'new'), readFileSync(join(instance, OWNER)));
  renameSync(join(instance, 'new'), join(instance, OWNER));
  age(instance, 3600);
}

/** Short, because nobody renews what these tests look at, or somebody does at every turn. */
const LOOK = { observeMs: 20 };

/** A directory whose owner was killed: a socket that refuses, and a file that says it was not released. */
async function killedInstance(path: string): Promise<string> {
  const child = startChild('write', path);
  await until('it has written', () => (child.last('round') ?? 0) >= 5);
  await child.kill('SIGKILL');
  const [instance = ''] = instances(path);
  return instance;
}

describe('two processes with one journal directory', () => {
  it('write separate directories, and the survivor takes over only that of the dead one', async () => {
    const path = emptyDirectory();
    const [a, b] = [startChild('write', path, 'a'), startChild('write', path, 'b')];
    await until('both have written', () =>
      [a, b].every((child) => (child.last('round') ?? 0) >= 30),
    );
    const { journal } = open(path);
    expect(await recoverAll(journal)).toEqual([]);
    await a.kill('SIGKILL');
    const all = await recoverAll(journal);
    expect(all).toHaveLength(9);
    expect(all.every(({ id }) => id.startsWith('stream-a-'))).toBe(true);
    const before = b.last('round') ?? 0;
    await until('the other one goes on', () => (b.last('round') ?? 0) > before + 10);
    expect(b.lines.some((line) => 'error' in line)).toBe(false);
  });

  it('that start together on the directory of a dead one: each stream goes to one of them', async () => {
    const path = emptyDirectory();
    await killedInstance(path);
    const takers = [open(path), open(path), open(path)];
    const found = await Promise.all(takers.map(({ journal }) => recoverAll(journal)));
    const ids = found.flat().map(({ id }) => id);
    expect(ids.sort()).toEqual(Array.from({ length: 9 }, (_, n) => `stream-a-${n}`));
    expect(takers.flatMap(({ errors }) => errors)).toEqual([]);
  });
});

describe('an owner that is stopped by SIGSTOP', () => {
  it('counts as alive, and continues unchanged', async () => {
    const path = emptyDirectory();
    const child = startChild('write', path);
    await until('it has written', () => (child.last('round') ?? 0) >= 10);
    child.signal('SIGSTOP');
    const [instance = ''] = instances(path);
    age(instance, 3600);
    const { journal } = open(path);
    expect(await recoverAll(journal)).toEqual([]);
    child.signal('SIGCONT');
    const before = child.last('round') ?? 0;
    await until('it goes on', () => (child.last('round') ?? 0) > before + 10);
  });

  it('and is taken over all the same loses nothing, and no stream is given twice', async () => {
    const path = emptyDirectory();
    const child = startChild('write', path);
    await until('it has written', () => (child.last('round') ?? 0) >= 40);
    child.signal('SIGSTOP');
    const [instance = ''] = instances(path);
    const { journal } = open(path);
    const own = instances(path).find((directory) => directory !== instance) ?? '';
    // The wrong takeover, as a taker on another machine would do it.
    renameSync(instance, join(own, `taken-${instance.split('/').at(-1)}`));
    const first = await recoverAll(journal);
    expect(first).toHaveLength(9);
    child.signal('SIGCONT');
    const moved = await until('it writes into another directory', () =>
      instances(path).find((directory) => directory !== own && segmentFiles(directory).length > 0),
    );
    expect(moved).not.toBe(instance);
    const movedAt = child.last('round') ?? 0;
    await until('it goes on', () => (child.last('round') ?? 0) > movedAt + 50);
    await child.kill('SIGKILL');
    const seen = child.last('round') ?? 0;
    const later = await recoverAll(journal);
    const all = new Map([...first, ...later].map(({ id, text }) => [id, text]));
    for (let n = 3; n < 9; n++) {
      const expected = Array.from({ length: seen + 1 }, (_, round) => `a${round} `).join('');
      expect(all.get(`stream-a-${n}`)?.startsWith(expected)).toBe(true);
    }
    // Those that had ended before the takeover are whole as well.
    for (let n = 0; n < 3; n++) expect(all.get(`stream-a-${n}`)).toMatch(/ a20 $/);
  });
});

describe('an owner whose directory was taken', () => {
  it('reports nothing as journaled that is only in the taken directory', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, { fsyncMs: 60_000 });
    const one = speaker(journal, 1);
    one.say('before ');
    await nextTurn();
    const [instance = ''] = instances(path);
    const elsewhere = join(emptyDirectory(), 'taken');
    renameSync(instance, elsewhere);
    one.say('after');
    one.end();
    expect(await journal.sync(one.log)).toBe(true);
    rmSync(elsewhere, { recursive: true });
    const [now = ''] = instances(path);
    expect(now).not.toBe(instance);
    await journal.close();
    const [back] = await recoverAll(open(path).journal);
    expect(back?.text).toBe('before after');
    expect(back?.entry.ending?.outcome).toBe('completed');
  });

  it('forgets what is only on disk: the taker has it', async () => {
    const path = emptyDirectory();
    const { journal } = open(path, { fsyncMs: 60_000 });
    const [kept, live] = [speaker(journal, 1), speaker(journal, 2)];
    for (const one of [kept, live]) one.say(`text of ${one.opened.id}`);
    kept.end();
    await journal.sync(kept.log);
    journal.keep(kept.log);
    const [instance = ''] = instances(path);
    const taker = open(path);
    const own = instances(path).find((directory) => directory !== instance) ?? '';
    renameSync(instance, join(own, `taken-${instance.split('/').at(-1)}`));
    live.say(' and more');
    expect(await journal.sync(live.log)).toBe(true);
    expect(journal.backlog(9)).toEqual([]);
    const taken = texts(await recoverAll(taker.journal));
    expect(taken['stream-1']).toBe('text of stream-1');
  });

  it('is read again by the taker if it wrote on: no segment that has grown is deleted', async () => {
    const path = emptyDirectory();
    const victim = open(path, { fsyncMs: 60_000 });
    const one = speaker(victim.journal, 1);
    one.say('seen ');
    await nextTurn();
    const [instance = ''] = instances(path);
    const taker = open(path);
    const own = instances(path).find((directory) => directory !== instance) ?? '';
    renameSync(instance, join(own, `taken-${instance.split('/').at(-1)}`));
    const [first] = await recoverAll(taker.journal, false);
    expect(first?.text).toBe('seen ');
    one.say('later');
    await nextTurn();
    await first?.entry.settle();
    expect(segmentFiles(own)).not.toEqual([]);
    expect(texts(await recoverAll(taker.journal))).toEqual({ 'stream-1': 'seen later' });
    expect(segmentFiles(own)).toEqual([]);
  });
});

describe('a dead owner', () => {
  it('is a killed owner of this boot, at once', async () => {
    const instance = await killedInstance(emptyDirectory());
    expect(await isDead(instance)).toBe(true);
  });

  it('is not a live owner, whatever its owner file says', async () => {
    const path = emptyDirectory();
    open(path);
    const [instance = ''] = instances(path);
    // Every container is pid 1, and another host has another boot.
    rewriteOwner(instance, { pid: 1, bootId: 'another boot' });
    age(instance, 3600);
    expect(await isDead(instance)).toBe(false);
  });

  it('is an owner of another boot only after a minute without a renewal', async () => {
    const instance = await killedInstance(emptyDirectory());
    rewriteOwner(instance, { bootId: 'another boot' });
    expect(await isDead(instance, LOOK)).toBe(false);
    age(instance, 61);
    expect(await isDead(instance, LOOK)).toBe(true);
  });

  it('is a directory without an owner file only when it is a minute old', async () => {
    const instance = join(emptyDirectory(), 'new-0123456789abcdef');
    mkdirSync(instance);
    expect(await isDead(instance, LOOK)).toBe(false);
    utimesSync(instance, Date.now() / 1000 - 61, Date.now() / 1000 - 61);
    expect(await isDead(instance, LOOK)).toBe(true);
  });

  it('is an owner without a socket only after a minute without a renewal', async () => {
    const instance = await killedInstance(emptyDirectory());
    rmSync(join(instance, 'alive.sock'));
    expect(await isDead(instance, LOOK)).toBe(false);
    age(instance, 61);
    expect(await isDead(instance, LOOK)).toBe(true);
  });

  it('is not an owner without a socket that renews its file, however old the clock makes the file', async () => {
    const instance = await killedInstance(emptyDirectory());
    rmSync(join(instance, 'alive.sock'));
    age(instance, 3600);
    const renewal = setInterval(() => renewOld(instance), 1);
    afterwards(() => clearInterval(renewal));
    expect(await isDead(instance, { observeMs: 500 })).toBe(false);
    clearInterval(renewal);
    expect(await isDead(instance, LOOK)).toBe(true);
  });

  it('is not recovered if the recovery is aborted, which ends at once', async () => {
    const path = emptyDirectory();
    const instance = await killedInstance(path);
    rmSync(join(instance, 'alive.sock'));
    age(instance, 61);
    const { journal } = open(path);
    const abort = new AbortController();
    const looked = journal.recover(abort.signal)[Symbol.asyncIterator]().next();
    await nextTurn();
    abort.abort();
    expect(await soon('the look ends', looked)).toEqual({ done: true, value: undefined });
    expect(instances(path)).toContain(instance);
  });
});

describe('a directory with a long name', () => {
  it('is owned and taken over like any other', async () => {
    const path = join(emptyDirectory(), 'a'.repeat(120), 'b'.repeat(120));
    const before = open(path);
    const [instance = ''] = instances(path);
    expect(await isDead(instance)).toBe(false);
    speaker(before.journal, 1).say('text');
    await before.journal.close();
    expect(await isDead(instance)).toBe(true);
    expect(texts(await recoverAll(open(path).journal))).toEqual({ 'stream-1': 'text' });
  });
});

describe('a taker that died', () => {
  it('before it recovered what it had taken is itself taken over with all of it', async () => {
    const path = emptyDirectory();
    for (const n of [1, 2, 3]) {
      const { journal } = open(path);
      speaker(journal, n).say(`text ${n}`);
      await journal.close();
    }
    const [a = '', b = '', c = ''] = instances(path);
    renameSync(a, join(b, `taken-${basename(a)}`));
    renameSync(b, join(c, `taken-${basename(b)}`));
    const { journal } = open(path);
    const found = texts(await recoverAll(journal));
    expect(Object.values(found).sort()).toEqual(['text 1', 'text 2', 'text 3']);
    await journal.close();
    expect(instances(path)).toEqual([]);
  });

  it('is taken over with all that it had taken, at paths of constant depth', async () => {
    const path = emptyDirectory();
    let before = open(path);
    speaker(before.journal, 1).say('text');
    for (let generation = 0; generation < 12; generation++) {
      await before.journal.close();
      before = open(path);
      expect(texts(await recoverAll(before.journal, false))).toEqual({ 'stream-1': 'text' });
    }
    const deepest = Math.max(...segmentFiles(path).map((file) => file.split('/').length));
    expect(deepest).toBe(path.split('/').length + 3);
    const all = await recoverAll(before.journal, false);
    expect(all).toEqual([]);
  });
});
