import { expect, it } from 'vitest';
import { VERSION } from '../../src/core/version.ts';
import { runCommand } from './run-command.ts';

const run = (...argv: string[]) => runCommand(argv);

it.each(['--help', '-h'])('prints every command once for %s', async (flag) => {
  const { exitCode, stdout, stderr } = await run(flag);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^usage: lastchunk <command>/);
  const commands = [...stdout.matchAll(/^ {2}(\w+) +\w/gm)].map(([, name]) => name);
  expect(commands).toEqual(['migrate', 'journal', 'doctor', 'rules', 'dashboards', 'probe']);
  expect(stderr).toBe('');
});

it.each(['--version', '-v'])('prints the version for %s', async (flag) => {
  expect(await run(flag)).toEqual({ exitCode: 0, stdout: `${VERSION}\n`, stderr: '' });
});

it('refuses a call without a command and prints the help on stderr', async () => {
  const { exitCode, stdout, stderr } = await run();
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^usage: /);
});

it('lists the commands for an unknown command', async () => {
  const { exitCode, stdout, stderr } = await run('constructor');
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^lastchunk: unknown command `constructor`; known are .*\bmigrate\b/);
});

it('refuses an unknown option', async () => {
  const { exitCode, stderr } = await run('--verbose');
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^lastchunk: .*--verbose/);
});

it.each(['migrate', 'journal', 'probe'])(
  'passes options to %s, and names the command that refused one',
  async (name) => {
    expect(await run(name, '--help')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(new RegExp(`^usage: lastchunk ${name}`)),
    });
    const { exitCode, stderr } = await run(name, '--no-such-option');
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(new RegExp(`^lastchunk ${name}: .*--no-such-option`));
  },
);

it('exits with 1, not 2, for a failure that is not a mistake in the call', async () => {
  const { exitCode, stderr } = await run('journal', 'list', '--dir', '/proc/no-such-directory');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^lastchunk journal: .*ENOENT/);
});

it('prints no character that moves the cursor of a terminal or reverses its text', async () => {
  const { stderr } = await run('\u001b[2J\u009b1A\u202ex\r\ny');
  expect(stderr).toMatch(
    /^lastchunk: unknown command `\\u001b\[2J\\u009b1A\\u202ex\\u000d\\u000ay`; .*\n$/,
  );
});

it.each([[], ['migrate'], ['journal'], ['doctor']])(
  'hides the password of an address in the wrong place: %j',
  async (...command) => {
    const { exitCode, stderr } = await run(...command, 'postgres://user:secret@host/database');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('postgres://***@host/database');
    expect(stderr).not.toContain('secret');
  },
);
