/** A real Prometheus and a real Alertmanager on loopback, and the webhook that alerts arrive at. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { waitUntil } from '../../faults/wait.ts';
import { freePort } from '../../support/free-port.ts';

/** An alert as it arrived, once for every start. */
export interface Arrived {
  readonly job: string;
  /** `LastchunkX severity`. */
  readonly alert: string;
  readonly description: string;
  readonly atMs: number;
}

export interface Monitoring {
  /** Alerts that fired, in order of arrival. */
  readonly arrived: readonly Arrived[];
  /** Says where a service is to be scraped from now on. */
  target(job: string, address: string): void;
  stop(): Promise<void>;
}

/** The programs, by the names they go by in distributions. */
const PROGRAMS = {
  prometheus: ['prometheus'],
  alertmanager: ['alertmanager', 'prometheus-alertmanager'],
} as const;

/** Path names of the programs, or those that are missing. */
export function findPrograms(): { prometheus: string; alertmanager: string; missing: string[] } {
  const find = (names: readonly string[]): string =>
    names.find((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) ?? '';
  const found = {
    prometheus: find(PROGRAMS.prometheus),
    alertmanager: find(PROGRAMS.alertmanager),
  };
  const missing = Object.entries(found).flatMap(([name, path]) => (path === '' ? name : []));
  return { ...found, missing };
}

/** Their versions, for the log. */
export function versionOf(program: string): string {
  const { stdout, stderr } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return /version (\S+)/.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown';
}

/** Starts all three; returns when they are ready. */
export async function startMonitoring(
  programs: { readonly prometheus: string; readonly alertmanager: string },
  directory: string,
  rules: string,
): Promise<Monitoring> {
  const targets = join(directory, 'targets');
  mkdirSync(targets, { recursive: true });
  const arrived: Arrived[] = [];
  const webhook = await startWebhook((alert) => arrived.push(alert));
  const [ports, alertPorts] = [await freePort(), await freePort()];

  writeFileSync(join(directory, 'rules.yml'), rules);
  writeFileSync(join(directory, 'alertmanager.yml'), stringify(alertmanagerConfig(webhook.url)));
  writeFileSync(
    join(directory, 'prometheus.yml'),
    stringify(prometheusConfig(`127.0.0.1:${alertPorts}`)),
  );
  const alertmanager = launch(programs.alertmanager, directory, [
    '--config.file=alertmanager.yml',
    '--storage.path=alerts',
    `--web.listen-address=127.0.0.1:${alertPorts}`,
    '--cluster.listen-address=',
  ]);
  const prometheus = launch(programs.prometheus, directory, [
    '--config.file=prometheus.yml',
    '--storage.tsdb.path=data',
    `--web.listen-address=127.0.0.1:${ports}`,
  ]);
  await waitUntil('Alertmanager is ready', () => answers(alertPorts));
  await waitUntil('Prometheus is ready', () => answers(ports));
  return {
    arrived,
    target: (job, address) => {
      const found = [{ targets: [address], labels: { job, instance: `${job}-1` } }];
      // Renamed into place, so that Prometheus never reads half of it.
      writeFileSync(join(targets, `${job}.part`), JSON.stringify(found));
      renameSync(join(targets, `${job}.part`), join(targets, `${job}.json`));
    },
    stop: async () => {
      await Promise.all([end(prometheus), end(alertmanager)]);
      webhook.close();
    },
  };
}

/** A tenth of the shortest window: enough samples in each, also when one is late. */
function prometheusConfig(alertmanager: string): object {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yml'],
    alerting: { alertmanagers: [{ static_configs: [{ targets: [alertmanager] }] }] },
    scrape_configs: [{ job_name: 'files', file_sd_configs: [{ files: ['targets/*.json'] }] }],
  };
}

/** Everything is handed on at once. */
function alertmanagerConfig(url: string): object {
  return {
    route: {
      receiver: 'webhook',
      group_by: ['...'],
      group_wait: '0s',
      group_interval: '1s',
      repeat_interval: '1h',
    },
    receivers: [{ name: 'webhook', webhook_configs: [{ url, send_resolved: false }] }],
  };
}

async function startWebhook(
  onAlert: (alert: Arrived) => void,
): Promise<{ url: string; close(): void }> {
  const server = createServer((req, res) => {
    let body = '';
    req.setEncoding('utf8').on('data', (text: string) => (body += text));
    req.on('end', () => {
      // The body that Alertmanager's documentation shows for webhooks.
      const { alerts } = JSON.parse(body) as {
        alerts: {
          status: string;
          labels: Record<string, string>;
          annotations: Record<string, string>;
        }[];
      };
      for (const { status, labels, annotations } of alerts) {
        if (status !== 'firing') continue;
        const alert = `${labels['alertname']} ${labels['severity']}`;
        const { description = '' } = annotations;
        onAlert({ job: labels['job'] ?? '', alert, description, atMs: Date.now() });
      }
      res.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function launch(program: string, directory: string, args: readonly string[]): ChildProcess {
  const child = spawn(program, args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  const log = join(directory, `${program}.log`);
  child.stderr?.on('data', (text: Buffer) => appendFileSync(log, text));
  process.once('exit', () => child.kill('SIGKILL'));
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok;
  } catch {
    // Not listening yet: asked again.
    return false;
  }
}
