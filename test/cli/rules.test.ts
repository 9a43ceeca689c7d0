import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { rulesYaml } from '../../src/slo/index.ts';
import { MISTAKES } from './slo-mistakes.ts';
import { runCommand } from './run-command.ts';

const run = (...argv: string[]) => runCommand(['rules', ...argv]);

it('prints the rules as they are shipped', async () => {
  expect(await run()).toEqual({ exitCode: 0, stdout: rulesYaml(), stderr: '' });
  expect(rulesYaml()).toBe(await readFile('alerts/lastchunk.rules.yml', 'utf8'));
});

it('prints the rules for another objective, window and labels', async () => {
  const flags = [
    '--objective',
    '99.5',
    '--window',
    '28d',
    '--label',
    'cluster',
    '--label',
    'region',
  ];
  const options = { objective: 99.5, windowDays: 28, labels: ['cluster', 'region'] };
  expect((await run(...flags)).stdout).toBe(rulesYaml(options));
});

it('prints the rules for series that OpenTelemetry sends', async () => {
  const { stdout } = await run('--source', 'otel');
  expect(stdout).toBe(rulesYaml({ source: 'otel' }));
  expect(stdout).toContain('http_route');
});

it('writes them into a file', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const file = join(directory, 'rules.yml');
  expect(await run('--out', file)).toEqual({ exitCode: 0, stdout: `${file}\n`, stderr: '' });
  expect(await readFile(file, 'utf8')).toBe(rulesYaml());
});

it.each(MISTAKES)('calls %s %j a mistake and says what is right', async (flag, value, said) => {
  const { exitCode, stdout, stderr } = await run(flag, value);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(`lastchunk rules: \`${flag}\` must `);
  expect(stderr).toContain(said);
});

it('refuses what it does not know', async () => {
  for (const argument of ['--bogus', 'file.yml']) {
    const { exitCode, stdout, stderr } = await run(argument);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(argument);
  }
});

it('says why a file cannot be written', async () => {
  const { exitCode, stderr } = await run('--out', '/no/such/directory/rules.yml');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^lastchunk rules: ENOENT/);
});
