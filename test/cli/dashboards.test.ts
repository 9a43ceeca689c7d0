import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { dashboardFiles } from '../../tools/dashboards/index.ts';
import { createAppFolder } from '../support/package.ts';
import { MISTAKES } from './slo-mistakes.ts';
import { runCommand } from './run-command.ts';

const run = (...argv: string[]) => runCommand(['dashboards', ...argv]);

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

it('prints both dashboards as they are shipped, in one array', async () => {
  const { exitCode, stdout, stderr } = await run();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const shipped = ['lastchunk-saves', 'lastchunk-streams'].map((name) =>
    readFile(`dashboards/${name}.json`, 'utf8'),
  );
  const parsed = (await Promise.all(shipped)).map((text): unknown => JSON.parse(text));
  expect(JSON.parse(stdout)).toEqual(parsed);
});

it('writes each into a file of a folder that it makes', async () => {
  const directory = join(await scratch(), 'new', 'dashboards');
  const { exitCode, stdout, stderr } = await run('--out', directory);
  const names = ['lastchunk-saves.json', 'lastchunk-streams.json'];
  const paths = names.map((name) => `${join(directory, name)}\n`);
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: paths.join(''), stderr: '' });
  expect((await readdir(directory)).toSorted()).toEqual(names);
  for (const name of names) {
    expect(await readFile(join(directory, name), 'utf8')).toBe(
      await readFile(`dashboards/${name}`, 'utf8'),
    );
  }
});

it('makes them for another objective, window, label and place of the runbooks', async () => {
  const place = 'https://wiki.example/runbooks';
  const flags = `--objective 99.5 --window 28d --label cluster --runbooks ${place}`;
  const { stdout } = await run(...flags.split(' '));
  const options = { objective: 99.5, windowDays: 28, labels: ['cluster'], runbookUrl: place };
  expect(JSON.parse(stdout)).toEqual(
    dashboardFiles(options).map(([, text]): unknown => JSON.parse(text)),
  );
  const named = await run('--title', 'Chat', '--datasource', 'thanos');
  expect(named.stdout).toContain('"title": "Chat / Streams"');
  expect(named.stdout).toContain('"value": "thanos"');
  for (const text of ['28d', 'label_values(', 'cluster=~', `${place}/LastchunkMessagesLost.md`]) {
    expect(stdout).toContain(text);
  }
});

it.each(MISTAKES)('calls %s %j a mistake and says what is right', async (flag, value, said) => {
  const { exitCode, stdout, stderr } = await run(flag, value);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(`lastchunk dashboards: \`${flag}\` must `);
  expect(stderr).toContain(said);
});

it('refuses what it does not know', async () => {
  for (const argument of ['--bogus', 'saves.json']) {
    const { exitCode, stdout, stderr } = await run(argument);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(argument);
  }
});

it('says why a folder cannot be made', async () => {
  const { exitCode, stderr } = await run('--out', '/dev/null/dashboards');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^lastchunk dashboards: ENOTDIR/);
});

it('finds the shipped files in the built package, with no optional package there', async () => {
  const folder = await createAppFolder(['yaml']);
  onTestFinished(() => folder.remove());
  const program = join(folder.path, 'node_modules/lastchunk/dist/cli/bin.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'dashboards'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toBe((await run()).stdout);
});
