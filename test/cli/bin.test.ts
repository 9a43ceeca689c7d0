import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { VERSION } from '../../src/version.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';

let folder: AppFolder;
beforeAll(async () => {
  folder = await createAppFolder([]);
});
afterAll(() => folder.remove());

function start(...argv: string[]) {
  const program = join(folder.path, 'node_modules/lastchunk/dist/cli/bin.js');
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  return spawn(process.execPath, [program, ...argv], { stdio });
}

it('writes to the process and ends with the exit code of the command', async () => {
  const right = start('--version');
  const wrong = start('no-such-command');
  expect(await Promise.all([text(right.stdout), once(right, 'exit')])).toEqual([
    `${VERSION}\n`,
    [0, null],
  ]);
  expect(await Promise.all([text(wrong.stderr), once(wrong, 'exit')])).toEqual([
    expect.stringContaining('no-such-command'),
    [2, null],
  ]);
});

it('ends quietly when nobody reads its output', async () => {
  const program = start('--help');
  program.stdout.destroy();
  expect(await Promise.all([text(program.stderr), once(program, 'exit')])).toEqual(['', [0, null]]);
});
