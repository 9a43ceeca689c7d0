/** docker-compose.yml and what it mounts, checked without an engine: by reading, and by the programs that would run. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../support/imports.ts';

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly environment?: Readonly<Record<string, string>>;
}

/** As compose itself writes them out. */
interface Port {
  readonly host_ip: string;
}
interface Volume {
  readonly type: string;
  readonly source: string;
}

const at = (path: string): string => join(ROOT, path);
const read = (path: string): unknown => parse(readFileSync(at(path), 'utf8'), { merge: true });
// Compose itself looks at the form, below.
const stack = read('docker-compose.yml') as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries(stack.services);

const scratch = mkdtempSync(join(tmpdir(), 'lastchunk-stack-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('docker-compose.yml', () => {
  it('has the services of the picture', () => {
    expect(Object.keys(stack.services)).toEqual([
      'postgres',
      'demo-1',
      'demo-2',
      'proxy',
      'prometheus',
      'alertmanager',
      'grafana',
      'jaeger',
    ]);
  });

  it.each(services)('pins the image version of %s', (_, { image, build }) => {
    expect(image).toMatch(
      build === undefined ? /^[\w./-]+:v?\d[\d.]*(?:@sha256:[0-9a-f]{64})?$/ : /:local$/,
    );
    expect(build === undefined || existsSync(at(build.dockerfile))).toBe(true);
  });

  it.each(services)('publishes ports of %s on loopback only', (_, { ports = [] }) => {
    expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
  });

  it('publishes every host port once', () => {
    const ports = services.flatMap(
      ([, service]) => service.ports?.map((one) => one.split(':')[1]) ?? [],
    );
    expect(new Set(ports).size).toBe(ports.length);
  });

  it.each(services)('has a health check for %s', (_, { healthcheck }) => {
    expect(healthcheck?.test[0]).toMatch(/^CMD(?:-SHELL)?$/);
  });

  it('mounts existing files, read-only, and declared volumes', () => {
    const mounts = services.flatMap(([, { volumes = [] }]) => volumes.map((one) => one.split(':')));
    const binds = mounts.filter(([source = '']) => source.startsWith('.'));
    expect(binds.length).toBeGreaterThan(5);
    expect(binds.filter(([source = '']) => !existsSync(at(source)))).toEqual([]);
    expect(binds.filter(([, , mode]) => mode !== 'ro')).toEqual([]);
    const named = mounts.map(([source = '']) => source).filter((source) => !source.startsWith('.'));
    expect(named.toSorted()).toEqual(Object.keys(stack.volumes).toSorted());
  });

  it('has two instances that share a relay, each with a journal of its own, both scraped and behind the proxy', () => {
    const instances = services.filter(([name]) => name.startsWith('demo-'));
    const journals = instances.map(([, { volumes = [] }]) => volumes.join());
    expect(new Set(journals).size).toBe(2);
    expect(instances.map(([, { environment }]) => environment?.['RELAY'])).toEqual([
      'true',
      'true',
    ]);
    const addresses = instances.map(([name]) => `${name}:3000`);
    expect(readFileSync(at('deploy/proxy/Caddyfile'), 'utf8')).toContain(addresses.join(' '));
    expect(readFileSync(at('deploy/prometheus/prometheus.yml'), 'utf8')).toContain(
      `targets: [${addresses.map((one) => `'${one}'`).join(', ')}]`,
    );
  });

  it('permits no remote stop or reload of Prometheus, and no Grafana without a chosen password', () => {
    expect(stack.services['prometheus']?.command?.join(' ')).not.toMatch(/lifecycle|admin-api/);
    const { environment = {} } = stack.services['grafana'] ?? {};
    expect(environment['GF_SECURITY_ADMIN_PASSWORD']).toMatch(/^\$\{GRAFANA_PASSWORD:\?/);
    const open = Object.keys(environment).filter((name) => /ANONYMOUS|LOGIN_FORM/.test(name));
    expect(open).toEqual([]);
  });

  it('keeps metrics longer than the window of the error budget, and exemplars', () => {
    expect(stack.services['prometheus']?.command).toEqual(
      expect.arrayContaining([
        '--storage.tsdb.retention.time=35d',
        '--enable-feature=exemplar-storage',
      ]),
    );
  });

  const compose = [['docker', 'compose'], ['docker-compose']].find(
    ([program = '', ...args]) => spawnSync(program, [...args, 'version']).status === 0,
  );
  if (compose === undefined)
    process.stdout.write('no docker compose here: its own check is left out\n');
  it.runIf(compose !== undefined)('is valid for docker compose', () => {
    const [program = '', ...args] = compose ?? [];
    // Not the .env of whoever runs this.
    const file = ['--env-file', '/dev/null', '-f', at('docker-compose.yml')];
    const config = [...args, ...file, 'config', '--format=json'];
    const { GRAFANA_PASSWORD: _, ...unset } = process.env;
    const refused = spawnSync(program, config, { env: unset });
    expect(String(refused.stderr)).toContain('write GRAFANA_PASSWORD=');
    const env = { ...process.env, GRAFANA_PASSWORD: 'chosen' };
    const { status, stdout, stderr } = spawnSync(program, config, { env });
    expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: '' });
    // The form is that of the Compose specification, with everything written out.
    const { services: resolved } = JSON.parse(String(stdout)) as {
      services: Record<string, { ports?: Port[]; volumes?: Volume[] }>;
    };
    const all = Object.values(resolved);
    const mounted = all
      .flatMap(({ volumes = [] }) => volumes)
      .filter(({ type }) => type === 'bind');
    expect(mounted.length).toBeGreaterThan(5);
    expect(mounted.filter(({ source }) => !existsSync(source))).toEqual([]);
    const ports = all.flatMap((one) => one.ports ?? []);
    expect(new Set(ports.map((port) => port.host_ip))).toEqual(new Set(['127.0.0.1']));
  });
});

const has = (program: string): boolean =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
for (const program of ['promtool', 'amtool', 'bash']) {
  if (!has(program))
    process.stdout.write(`no ${program} here: what it checks or runs is left out\n`);
}

describe.runIf(has('bash'))('scripts/pin-images.sh', () => {
  /** Copies of what it changes, and a `docker` that says `says` of each image: there is no engine here. */
  const pin = (says: string) => {
    const home = mkdtempSync(join(scratch, 'pin-'));
    const files = ['docker-compose.yml', 'deploy/demo/Dockerfile'].map((name) => {
      const copy = join(home, name.replaceAll('/', '-'));
      cpSync(at(name), copy);
      return copy;
    });
    writeFileSync(join(home, 'docker'), `#!/bin/sh\necho "${says}"\n`, { mode: 0o755 });
    const env = { ...process.env, PATH: `${home}:${process.env['PATH']}` };
    const run = () => spawnSync(at('scripts/pin-images.sh'), files, { env, encoding: 'utf8' });
    return { run, text: () => files.map((file) => readFileSync(file, 'utf8')).join('\n') };
  };
  const withoutDigests = (text: string): string => text.replaceAll(/@sha256:\w+/g, '');

  it('writes the digest of each image behind its version, once', () => {
    const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
    const { run, text } = pin(digest);
    const before = text();
    const pulled = before.match(/^(?: *image:|FROM) \S+(?<!:local)$/gm) ?? [];
    expect(pulled.length).toBeGreaterThan(5);
    for (const time of ['first', 'again']) {
      expect({ time, ...run() }).toMatchObject({ status: 0, stderr: '' });
      expect(text().split(`@${digest}`)).toHaveLength(pulled.length + 1);
      expect(withoutDigests(text())).toBe(withoutDigests(before));
    }
  });

  it('changes nothing if a digest is missing', () => {
    const { run, text } = pin('no such manifest');
    const before = text();
    expect(run()).toMatchObject({ status: 1, stderr: expect.stringContaining('no digest of') });
    expect(text()).toBe(before);
  });
});

describe('the configuration', () => {
  it.runIf(has('promtool'))('of Prometheus is valid for promtool, with its rules', () => {
    // The files lie elsewhere in the container: here they lie in one folder.
    for (const file of ['deploy/prometheus/watchdog.rules.yml', 'alerts/lastchunk.rules.yml']) {
      cpSync(at(file), join(scratch, file.split('/').at(-1) ?? ''));
    }
    const config = readFileSync(at('deploy/prometheus/prometheus.yml'), 'utf8');
    writeFileSync(join(scratch, 'p.yml'), config.replace('/etc/prometheus/rules', scratch));
    const { status, stdout } = spawnSync('promtool', ['check', 'config', join(scratch, 'p.yml')]);
    expect(String(stdout)).toContain('2 rule files found');
    expect(status).toBe(0);
  });

  it.runIf(has('amtool'))('of Alertmanager is valid for amtool', () => {
    const file = at('deploy/alertmanager/alertmanager.yml');
    expect(spawnSync('amtool', ['check-config', file]).status).toBe(0);
  });

  it.runIf(has('amtool')).each([
    ['pager', 'alertname=LastchunkMessagesLost', 'severity=critical'],
    ['ticket', 'alertname=LastchunkJournalBacklogOld', 'severity=warning'],
    ['nobody', 'alertname=LastchunkCapturesCut', 'severity=info'],
    ['dead-mans-switch', 'alertname=Watchdog', 'severity=none'],
  ])('of Alertmanager sends to %s an alert with %s, %s', (receiver, ...labels) => {
    const file = at('deploy/alertmanager/alertmanager.yml');
    const args = [
      'config',
      'routes',
      'test',
      `--config.file=${file}`,
      `--verify.receivers=${receiver}`,
    ];
    expect(spawnSync('amtool', [...args, ...labels]).status).toBe(0);
  });

  it('of Grafana has the data sources that the dashboards and the exemplars name', () => {
    // The form is Grafana's; what is looked at is compared.
    const { datasources } = read('deploy/grafana/provisioning/datasources/lastchunk.yml') as {
      datasources: {
        uid: string;
        jsonData?: { exemplarTraceIdDestinations?: { name: string; datasourceUid: string }[] };
      }[];
    };
    expect(datasources.map(({ uid }) => uid)).toEqual(['prometheus', 'jaeger', 'alertmanager']);
    expect(datasources[0]?.jsonData?.exemplarTraceIdDestinations).toEqual([
      expect.objectContaining({ name: 'trace_id', datasourceUid: 'jaeger' }),
    ]);
  });

  it('of Grafana reads dashboards and runbooks from where they are mounted', () => {
    const { providers } = read('deploy/grafana/provisioning/dashboards/lastchunk.yml') as {
      providers: { options: { path: string } }[];
    };
    const mounts = stack.services['grafana']?.volumes ?? [];
    expect(mounts).toContain(`./dashboards:${providers[0]?.options.path}:ro`);
    expect(mounts).toContain('./docs/runbooks:/usr/share/grafana/public/runbooks:ro');
    const home =
      stack.services['grafana']?.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'];
    expect(existsSync(at(`dashboards/${home?.split('/').at(-1)}`))).toBe(true);
  });
});
