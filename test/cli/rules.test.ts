import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { ruleGroups, rulesYaml } from '../../src/slo/index.ts';
import { complaints, readManifests, type Manifest } from '../deploy/manifests.ts';
import { findPromtools } from '../slo/rules/promtool.ts';
import { MISTAKES, PLACE_MISTAKES } from './slo-mistakes.ts';
import { runCommand } from './run-command.ts';

const run = (...argv: string[]) => runCommand(['rules', ...argv]);
const FORMAT = ['--format', 'prometheusrule'];

it('prints the shipped rules', async () => {
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

it('refuses a path for the runbooks, which is valid for dashboards', async () => {
  const { exitCode, stdout, stderr } = await run('--runbooks', '/public/runbooks');
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain('`--runbooks` must be an address, such as https://…, not the path');
});

describe('as a PrometheusRule', () => {
  it('prints the same groups in an object of Kubernetes', async () => {
    const place = ['--name', 'chat', '--namespace', 'monitoring'];
    const labels = ['--labels', 'release=prometheus,example.com/on=on'];
    const { exitCode, stdout, stderr } = await run(
      ...FORMAT,
      ...place,
      ...labels,
      '--objective',
      '99.5',
    );
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const [manifest, ...more] = readManifests(stdout);
    expect(more).toEqual([]);
    expect(manifest).toEqual({
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PrometheusRule',
      metadata: {
        name: 'chat',
        namespace: 'monitoring',
        labels: { release: 'prometheus', 'example.com/on': 'on' },
      },
      spec: { groups: ruleGroups({ objective: 99.5 }) },
    });
    expect(complaints(manifest as Manifest)).toEqual([]);
  });

  it('has no namespace and no labels by default', async () => {
    const [manifest] = readManifests((await run(...FORMAT)).stdout);
    expect(manifest?.metadata).toEqual({ name: 'lastchunk' });
  });

  it('is written into a file', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const file = join(directory, 'rules.yaml');
    await run(...FORMAT, '--out', file);
    expect(await readFile(file, 'utf8')).toBe((await run(...FORMAT)).stdout);
  });

  const promtools = findPromtools();
  if (promtools.length === 0)
    process.stdout.write('skipped: promtool on a PrometheusRule (there is no program promtool)\n');
  it.each(promtools)('has rules that promtool $version accepts', async ({ path }) => {
    const directory = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const [manifest] = readManifests((await run(...FORMAT)).stdout);
    const check = async (spec: unknown) => {
      const file = join(directory, 'rules.yml');
      // The operator writes the groups into such a file.
      await writeFile(file, stringify(spec));
      return spawnSync(path, ['check', 'rules', file], { encoding: 'utf8' });
    };
    const { status, stdout, stderr } = await check(manifest?.spec);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const rules = ruleGroups().flatMap((group) => group.rules).length;
    expect(stdout).toContain(`SUCCESS: ${rules} rules found`);
    const broken = { groups: [{ name: 'x', rules: [{ record: 'y', expr: 'sum(' }] }] };
    expect((await check(broken)).status).not.toBe(0);
  });

  it.each(PLACE_MISTAKES)('rejects %s %j', async (flag, value, said) => {
    const { exitCode, stdout, stderr } = await run(...FORMAT, flag, value);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(`lastchunk rules: \`${flag}\` must ${said}`);
  });

  it.each(PLACE_MISTAKES)('makes %s an option that is refused without it', async (flag) => {
    const { exitCode, stdout, stderr } = await run(flag, 'chat');
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(`\`${flag}\` needs \`--format prometheusrule\``);
  });

  it('is one of two formats, and any other is refused', async () => {
    const { exitCode, stderr } = await run('--format', 'helm');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('`--format` must be one of prometheus, prometheusrule, not "helm"');
    expect((await run('--format', 'prometheus')).stdout).toBe(rulesYaml());
  });
});

it.each(MISTAKES)('rejects %s %j and names the valid values', async (flag, value, said) => {
  const { exitCode, stdout, stderr } = await run(flag, value);
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toContain(`lastchunk rules: \`${flag}\` must `);
  expect(stderr).toContain(said);
});

it('refuses unknown options and arguments', async () => {
  for (const argument of ['--bogus', 'file.yml']) {
    const { exitCode, stdout, stderr } = await run(argument);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(argument);
  }
});

it('reports why a file cannot be written', async () => {
  const { exitCode, stderr } = await run('--out', '/no/such/directory/rules.yml');
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^lastchunk rules: ENOENT/);
});
