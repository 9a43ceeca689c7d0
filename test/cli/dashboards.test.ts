import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dashboardFiles } from '../../tools/dashboards/index.ts';
import { complaints, readManifests } from '../deploy/manifests.ts';
import { createAppFolder } from '../support/package.ts';
import { MISTAKES } from './slo-mistakes.ts';
import { runCommand } from './run-command.ts';

const run = (...argv: string[]) => runCommand(['dashboards', ...argv]);
const FORMAT = ['--format', 'configmap'];

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

it('prints both shipped dashboards in one array', async () => {
  const { exitCode, stdout, stderr } = await run();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const shipped = ['lastchunk-saves', 'lastchunk-streams'].map((name) =>
    readFile(`dashboards/${name}.json`, 'utf8'),
  );
  const parsed = (await Promise.all(shipped)).map((text): unknown => JSON.parse(text));
  expect(JSON.parse(stdout)).toEqual(parsed);
});

it('writes each dashboard into a file of a folder that it creates', async () => {
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

it('generates the dashboards for another objective, window, label and runbook URL', async () => {
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

describe('as ConfigMaps', () => {
  /** What etcd and the API server take of one object, and `kubectl apply` of its annotations. */
  const OBJECT_BYTES = 2 ** 20;
  const ANNOTATION_BYTES = 2 ** 18;

  it('prints one for each dashboard, with the label that the Grafana sidecar looks for', async () => {
    const { exitCode, stdout, stderr } = await run(...FORMAT, '--namespace', 'monitoring');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const manifests = readManifests(stdout);
    for (const [index, name] of ['lastchunk-saves', 'lastchunk-streams'].entries()) {
      expect(manifests[index]).toEqual({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: 'monitoring', labels: { grafana_dashboard: '1' } },
        data: { [`${name}.json`]: await readFile(`dashboards/${name}.json`, 'utf8') },
      });
    }
    expect(manifests.flatMap(complaints)).toEqual([]);
    expect(manifests.length).toBe(2);
  });

  it('stays below the size limits of a Kubernetes object and of the annotation of kubectl', async () => {
    const labels = Array.from({ length: 8 }, (_, index) => `label_${index}_${'x'.repeat(20)}`);
    const flags = labels.flatMap((label) => ['--label', label]);
    const manifests = readManifests((await run(...FORMAT, ...flags)).stdout);
    for (const manifest of manifests) {
      const text = JSON.stringify(manifest);
      expect(Buffer.byteLength(text)).toBeLessThan(OBJECT_BYTES / 2);
      expect(Buffer.byteLength(text)).toBeLessThan(ANNOTATION_BYTES);
    }
  });

  it('writes each into a file, with the options of the dashboards and another name', async () => {
    const directory = await scratch();
    const place = ['--name', 'chat', '--labels', 'grafana_dashboard=yes,team=chat'];
    const { stdout } = await run(...FORMAT, ...place, '--objective', '99.5', '--out', directory);
    const files = ['lastchunk-saves.yaml', 'lastchunk-streams.yaml'];
    expect(stdout).toBe(files.map((name) => `${join(directory, name)}\n`).join(''));
    const texts = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')));
    const [saves, streams] = texts.flatMap(readManifests);
    const labels = { grafana_dashboard: 'yes', team: 'chat' };
    expect(saves?.metadata).toEqual({ name: 'chat-saves', labels });
    const [json] = dashboardFiles({ objective: 99.5 }).map(([, text]) => text);
    expect(saves).toMatchObject({ data: { 'chat-saves.json': json } });
    expect(streams?.metadata).toEqual({ name: 'chat-streams', labels });
  });

  it('refuses a name that Kubernetes would refuse, and an option without effect', async () => {
    const wrong = await run(...FORMAT, '--namespace', 'Monitoring');
    expect(wrong.exitCode).toBe(2);
    expect(wrong.stderr).toContain('lastchunk dashboards: `--namespace` must be a name');
    const idle = await run('--labels', 'team=chat');
    expect(idle).toMatchObject({ exitCode: 2, stdout: '' });
    expect(idle.stderr).toContain('`--labels` needs `--format configmap`');
    const unknown = await run('--format', 'prometheusrule');
    expect(unknown).toMatchObject({ exitCode: 2, stdout: '' });
    expect(unknown.stderr).toContain('must be one of json, configmap');
    expect((await run('--format', 'json')).stdout).toBe((await run()).stdout);
  });
});

it.each(MISTAKES)('rejects %s %j and names the valid values', async (flag, value, said) => {
  const { exitCode, stdout, stderr } = await run(flag, value);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(`lastchunk dashboards: \`${flag}\` must `);
  expect(stderr).toContain(said);
});

it('refuses unknown options and arguments', async () => {
  for (const argument of ['--bogus', 'saves.json']) {
    const { exitCode, stdout, stderr } = await run(argument);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(argument);
  }
});

it('reports why a folder cannot be created', async () => {
  const { exitCode, stderr } = await run('--out', '/dev/null/dashboards');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^lastchunk dashboards: ENOTDIR/);
});

it('finds the shipped files in the built package without optional packages', async () => {
  const folder = await createAppFolder(['yaml']);
  onTestFinished(() => folder.remove());
  const program = join(folder.path, 'node_modules/lastchunk/dist/cli/bin.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'dashboards'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toBe((await run()).stdout);
});
