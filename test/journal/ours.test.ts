import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { listJournal, listRefused } from '../../src/journal/index.ts';
import { writeRefused } from '../../src/journal/aside/dead-letters.ts';
import type { Message } from '../../src/core/message.ts';
import { until } from '../support/until.ts';
import { ending, stream } from './support-data.ts';
import {
  afterwards,
  emptyDirectory,
  instances,
  open,
  recoverAll,
  segmentFiles,
  speaker,
  texts,
} from './support.ts';

/** Nobody. */
const OTHER = 65_534;
const isRoot = process.geteuid?.() === 0;
if (!isRoot)
  process.stdout.write(
    'not root: files of another user cannot be made, so those attacks are not tried\n',
  );

/** A journal with one stream in it that a dead process left. */
async function leave(path: string, name: string): Promise<string> {
  const { journal } = open(path);
  speaker(journal, name).say(`words of ${name}`);
  await journal.close();
  return instances(path)[0] ?? '';
}

/** Gives everything there to another user. */
function giveAway(path: string): void {
  if (lstatSync(path).isDirectory()) {
    for (const name of readdirSync(path)) giveAway(join(path, name));
  }
  chownSync(path, OTHER, OTHER);
}

const message = (streamId: string, id = 'm'): Message => {
  const opened = { ...stream(1), id: streamId, messageId: id };
  return { ...ending(opened), text: 'secret', events: null };
};

describe('a file that somebody plants in the directory of a journal', () => {
  /** Each makes something beside an honest dead directory, which must come back alone and with all its text. */
  const attacks: readonly (readonly [
    string,
    boolean,
    (path: string, instance: string) => Promise<void> | void,
  ])[] = [
    [
      'a directory of another user',
      true,
      async (path) => {
        const elsewhere = emptyDirectory();
        cpSync(await leave(elsewhere, 'planted'), join(path, 'aaaaaaaaaaaaaaaa'), {
          recursive: true,
        });
        giveAway(join(path, 'aaaaaaaaaaaaaaaa'));
      },
    ],
    [
      'a directory that everybody may write',
      false,
      async (path) => {
        const elsewhere = emptyDirectory();
        cpSync(await leave(elsewhere, 'planted'), join(path, 'aaaaaaaaaaaaaaaa'), {
          recursive: true,
        });
        chmodSync(join(path, 'aaaaaaaaaaaaaaaa'), 0o777);
      },
    ],
    [
      'a link to a directory elsewhere',
      false,
      async (path) =>
        symlinkSync(await leave(emptyDirectory(), 'planted'), join(path, 'aaaaaaaaaaaaaaaa')),
    ],
    [
      'a link inside a dead directory that is called as if it had been taken',
      false,
      async (_, instance) =>
        symlinkSync(
          await leave(emptyDirectory(), 'planted'),
          join(instance, 'taken-bbbbbbbbbbbbbbbb'),
        ),
    ],
    [
      'a segment of another user',
      true,
      async (_, instance) => {
        const [file = ''] = segmentFiles(await leave(emptyDirectory(), 'planted'));
        const copy = join(instance, file.split('/').at(-1)?.replace('00000001', '00000000') ?? '');
        cpSync(file, copy);
        giveAway(copy);
      },
    ],
    [
      'a link to a segment elsewhere',
      false,
      async (_, instance) => {
        const [file = ''] = segmentFiles(await leave(emptyDirectory(), 'planted'));
        symlinkSync(
          file,
          join(instance, file.split('/').at(-1)?.replace('00000001', '00000000') ?? ''),
        );
      },
    ],
    [
      'a FIFO in place of a segment',
      false,
      (_, instance) => void execFileSync('mkfifo', [join(instance, '00000000-00000000.segment')]),
    ],
    [
      'a FIFO in place of an owner file',
      false,
      (path) => {
        mkdirSync(join(path, 'aaaaaaaaaaaaaaaa'), { mode: 0o700 });
        execFileSync('mkfifo', [join(path, 'aaaaaaaaaaaaaaaa', 'owner.json')]);
      },
    ],
  ];

  it.each(attacks.filter(([, needsRoot]) => isRoot || !needsRoot))(
    '(%s) is neither read nor deleted, and blocks nothing',
    async (_, __, attack) => {
      const path = emptyDirectory();
      const instance = await leave(path, 'honest');
      await attack(path, instance);
      const unread: unknown[] = [];
      const listed = await listJournal(path, (_path, error) => unread.push(error));
      for (const error of unread) expect(error).toMatchObject({ code: 'ENOTOURS' });
      expect(listed.map(({ messageId }) => messageId)).toEqual(['message-honest']);
      const { journal } = open(path);
      const found = [];
      for (let turn = 0; turn < 6; turn++) found.push(...(await recoverAll(journal)));
      expect(texts(found)).toEqual({ 'stream-honest': 'words of honest' });
      await journal.close();
    },
  );

  it('is reported once in the log, and in the state', async () => {
    const path = emptyDirectory();
    await leave(path, 'honest');
    symlinkSync(await leave(emptyDirectory(), 'planted'), join(path, 'aaaaaaaaaaaaaaaa'));
    const { journal, lines } = open(path);
    await recoverAll(journal);
    await recoverAll(journal);
    expect(lines.filter((line) => line.includes('aaaaaaaaaaaaaaaa'))).toHaveLength(1);
    expect(journal.state().problems).toEqual({ untrusted: 1 });
  });

  it('(a link) does not cause segments elsewhere to be deleted', async () => {
    const elsewhere = emptyDirectory();
    const target = await leave(elsewhere, 'planted');
    const path = emptyDirectory();
    const instance = await leave(path, 'honest');
    symlinkSync(target, join(instance, 'taken-bbbbbbbbbbbbbbbb'));
    await recoverAll(open(path).journal);
    expect(segmentFiles(elsewhere)).toHaveLength(1);
  });

  it('(an owner file that names a socket elsewhere) causes no connection to that socket', async () => {
    const path = emptyDirectory();
    const instance = await leave(path, 'honest');
    const owner = join(instance, 'owner.json');
    const live = open(emptyDirectory());
    expect(live.journal.state().degraded).toBeUndefined();
    const socket = join(emptyDirectory(), 'elsewhere.sock');
    const { createServer } = await import('node:net');
    let dialled = 0;
    const server = createServer((peer) => {
      dialled++;
      peer.destroy();
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    afterwards(() => server.close());
    const content: unknown = JSON.parse(readFileSync(owner, 'utf8'));
    writeFileSync(owner, JSON.stringify({ ...(content as object), released: false, socket }));
    await recoverAll(open(path).journal);
    expect(dialled).toBe(0);
  });
});

describe('a journal path that others may write', () => {
  const unusable: readonly (readonly [string, boolean, (path: string) => void])[] = [
    ['of mode 777', false, (path) => chmodSync(path, 0o777)],
    ['of mode 1777', false, (path) => chmodSync(path, 0o1777)],
    ['of a group that may write', false, (path) => chmodSync(path, 0o770)],
    ['of another user', true, (path) => giveAway(path)],
    [
      'that is a link',
      false,
      (path) => {
        renameSync(path, `${path}-real`);
        symlinkSync(`${path}-real`, path);
      },
    ],
  ];

  it.each(unusable.filter(([, needsRoot]) => isRoot || !needsRoot))(
    '(%s) is refused if it was given as an option',
    (_, __, spoil) => {
      const path = join(emptyDirectory(), 'journal');
      mkdirSync(path);
      spoil(path);
      expect(() => open(path)).toThrow(/cannot be used/);
      expect(readdirSync(path)).toEqual([]);
    },
  );

  it('degrades the journal if it is the default path, until it is repaired', async () => {
    const before = process.cwd();
    process.chdir(emptyDirectory());
    afterwards(() => process.chdir(before));
    mkdirSync('.lastchunk');
    chmodSync('.lastchunk', 0o777);
    const { journal, degraded } = open(undefined);
    expect(degraded).toEqual(['untrusted']);
    expect(await recoverAll(journal)).toEqual([]);
    chmodSync('.lastchunk', 0o700);
    await until('it works', () => journal.state().degraded === undefined);
  });
});

describe('refused messages', () => {
  it('are not written into a file that somebody created before', async () => {
    const path = emptyDirectory();
    mkdirSync(join(path, 'refused'), { mode: 0o700 });
    await writeRefused(path, message('s'), '23514');
    const [name = ''] = readdirSync(join(path, 'refused'));
    rmSync(join(path, 'refused', name));
    const trap = join(path, 'refused', `${name}.tmp`);
    writeFileSync(trap, '', { mode: 0o666 });
    await writeRefused(path, message('s'), '23514');
    expect(readFileSync(trap, 'utf8')).toBe('');
    expect(statSync(join(path, 'refused', name)).mode & 0o777).toBe(0o600);
  });

  it('are not read from a FIFO, a link or a file of another user', async () => {
    const path = emptyDirectory();
    await writeRefused(path, message('honest', 'honest'), '23514');
    const directory = join(path, 'refused');
    const [name = ''] = readdirSync(directory);
    execFileSync('mkfifo', [join(directory, 'fifo.json')]);
    symlinkSync(join(directory, name), join(directory, 'link.json'));
    if (isRoot) {
      cpSync(join(directory, name), join(directory, 'other.json'));
      chownSync(join(directory, 'other.json'), OTHER, OTHER);
    }
    expect(listRefused(path).map(({ id }) => id)).toEqual(['honest']);
  });

  it('of two streams with one message id are both kept', async () => {
    const path = emptyDirectory();
    await writeRefused(path, message('one'), '23514');
    await writeRefused(path, message('two'), '23514');
    expect(listRefused(path).map(({ streamId }) => streamId)).toEqual(['one', 'two']);
  });
});

describe('a new journal', () => {
  it('adds a .gitignore file that excludes it from git', () => {
    const path = emptyDirectory();
    open(path);
    expect(readFileSync(join(path, '.gitignore'), 'utf8')).toBe('*\n');
    expect(existsSync(join(path, '.gitignore'))).toBe(true);
  });
});
