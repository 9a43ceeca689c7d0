/** `lastchunk journal verify` and `dump`, on segments that processes left, whole, torn and damaged. */
import {
  chmodSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { open, segmentFiles, speaker } from '../../journal/support.ts';
import { runCommand } from '../run-command.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
});

const run = (...argv: string[]) => runCommand(['journal', ...argv]);

/** What a process left that died with two answers in its journal; the path of its one segment. */
async function left(): Promise<string> {
  const { journal, directory } = open(dir);
  for (const name of ['one', 'two']) {
    const { say, end, log } = speaker(journal, name);
    say(`first secret of ${name} `, true);
    say(`last secret of ${name}`, true);
    end();
    expect(await journal.sync(log)).toBe(true);
    journal.keep(log);
  }
  await journal.close();
  const [file] = segmentFiles(directory);
  if (file === undefined) throw new Error('there is a segment');
  return file;
}

function flip(file: string, text: string): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(text);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

describe('lastchunk journal verify', () => {
  it('reports a journal without damage as whole', async () => {
    await left();
    const { exitCode, stdout, stderr } = await run('verify', '--dir', dir);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^SEGMENT +STATE +OWNER +RECORDS +BYTES$/m);
    expect(stdout).toMatch(/^[0-9a-f]{16}\/\d{8}-[0-9a-f]{8}\.segment +whole +left +\d+ +\d+$/m);
    expect(stdout).toContain('1 segments, 0 damaged places; 2 messages wait, 0 of them with a gap');
    expect(stdout).not.toContain('secret');
  });

  it('finds one flipped bit, and the message that has a gap because of it', async () => {
    flip(await left(), 'first secret of two');
    const { exitCode, stdout } = await run('verify', '--dir', dir);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/ 1 damaged +left /);
    expect(stdout).toContain('1 damaged places; 2 messages wait, 1 of them with a gap');
  });

  it('reports a half-written record at the end as torn, not as damaged', async () => {
    const file = await left();
    truncateSync(file, statSync(file).size - 3);
    const { exitCode, stdout } = await run('verify', '--dir', dir);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/ torn +left /);
  });

  it('checks the segments of a live process too', async () => {
    const { journal } = open(dir);
    speaker(journal, 'live').say('words', true);
    const { exitCode, stdout } = await run('verify', '--dir', dir);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/ whole +live +2 /);
  });

  it('checks the segments in damaged/ as well', async () => {
    flip(await left(), 'first secret of two');
    const next = open(dir);
    for await (const entry of next.journal.recover(new AbortController().signal)) {
      await entry.body();
      await entry.settle();
    }
    await next.journal.close();
    expect(readdirSync(join(dir, 'damaged'))).toHaveLength(1);
    const { exitCode, stdout } = await run('verify', '--dir', dir);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^damaged\/\S+ +1 damaged +aside /m);
  });

  it('reports that there is no journal', async () => {
    const { exitCode, stderr } = await run('verify', '--dir', join(dir, 'nowhere'));
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('ENOENT')]);
  });
});

describe('lastchunk journal dump', () => {
  it('prints place, kind, size and ids of each record, never its text', async () => {
    const { exitCode, stdout } = await run('dump', await left());
    expect(exitCode).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^AT +KIND +STREAM +OFFSET +BYTES +FACTS$/);
    expect(lines[1]).toMatch(/^0 +open +\d+ +0 +\d+ +messageId=message-one id=stream-one /);
    expect(lines.filter((line) => / text /.test(line))).toHaveLength(4);
    expect(stdout).toMatch(/ end +\d+ +38 +\d+ +outcome=completed complete=true revision=0 /);
    expect(stdout).not.toContain('secret');
    expect(stdout).not.toContain('tea');
  });

  it('shows which bytes are not a record', async () => {
    const file = await left();
    flip(file, 'first secret of two');
    const { exitCode, stdout } = await run('dump', file);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^\d+ +damaged +- +- +\d+$/m);
  });

  it('refuses a file that is not a segment, and one that others may write', async () => {
    const other = join(dir, 'notes.txt');
    writeFileSync(other, 'words');
    const named = await run('dump', other);
    expect([named.exitCode, named.stderr]).toEqual([
      2,
      expect.stringContaining('notes.txt is not the name of a segment'),
    ]);
    const open = join(dir, '00000001-5be1c07a.segment');
    writeFileSync(open, '', { mode: 0o666 });
    chmodSync(open, 0o666);
    const refused = await run('dump', open);
    expect([refused.exitCode, refused.stderr]).toEqual([
      1,
      expect.stringContaining('can be written by its group or by others'),
    ]);
    expect((await run('dump')).stderr).toContain('`dump` takes one file');
  });
});
