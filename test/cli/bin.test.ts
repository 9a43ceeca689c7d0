import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { VERSION } from '../../src/core/version.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';

let folder: AppFolder;
beforeAll(async () => {
  folder = await createAppFolder([]);
});
afterAll(() => folder.remove());

/** Runs the program to its end; `unread` closes its output before it can write. */
async function run(argv: readonly string[], unread = false) {
  const path = join(folder.path, 'node_modules/lastchunk/dist/cli/bin.js');
  const program = spawn(process.execPath, [path, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  if (unread) program.stdout.destroy();
  const [stdout, stderr, [exitCode]] = await Promise.all([
    unread ? '' : text(program.stdout),
    text(program.stderr),
    once(program, 'exit'),
  ]);
  return { exitCode: Number(exitCode), stdout, stderr };
}

it('writes to the process and ends with the exit code of the command', async () => {
  expect(await run(['--version'])).toEqual({ exitCode: 0, stdout: `${VERSION}\n`, stderr: '' });
  const { exitCode, stdout, stderr } = await run(['no-such-command']);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain('no-such-command');
});

it('exits with 0 and without an error when nobody reads its output', async () => {
  expect(await run(['--help'], true)).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});
