/**
 * `npm run test:slo`: six services, each with real streams and a real PostgreSQL, watched by a real Prometheus and
 * Alertmanager under our own rules. One is left alone, one thing is broken in each of the others, and the alerts that
 * arrive at a webhook have to be those that belong to it. The rules are the shipped ones, faster: windows, waits and
 * ages are divided. Exits with 0 only if every expected alert came and no other; 2 for wrong arguments.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../../demo/random.ts';
import { rulesYaml } from '../../src/slo/index.ts';
import { startPostgres } from '../support/postgres.ts';
import { createApp } from './live/app.ts';
import { readArgs, USAGE, type Args } from './live/args.ts';
import { findPrograms, startMonitoring, versionOf } from './live/monitoring.ts';
import { SCENARIOS, type Scenario, type World } from './live/scenarios.ts';
import { renderTable, type Verdict } from './live/table.ts';
import { startTraffic } from './live/traffic.ts';

/** A quarter of an hour takes 45 seconds. */
const SPEED = 20;
/** Healthy for so long first: more than the quarter of an hour that an unusual share is compared over. */
const HEALTHY_MS = 65_000;
/** The slowest alert takes 45 minutes of its own time. */
const LIMIT_MS = 200_000;
/** After the last expected alert, for others to come that should not. */
const AFTERMATH_MS = 20_000;

const startedAt = Date.now();
const args = argsOrExit();
const programs = findPrograms();
if (programs.missing.length > 0) {
  say(`cannot run: there is no ${programs.missing.join(' and no ')} in PATH`);
  process.exit(1);
}
const scenarios = SCENARIOS.filter(
  ({ name }) => args.only.length === 0 || args.only.includes(name),
);
const directory = mkdtempSync(join(tmpdir(), 'lastchunk-slo-'));
say(
  `live proof of the alerts, --seed ${args.seed}, ${SPEED} times as fast; ` +
    `Prometheus ${versionOf(programs.prometheus)}, Alertmanager ${versionOf(programs.alertmanager)}`,
);

const shared = await startPostgres();
const monitoring = await startMonitoring(programs, directory, rulesYaml({ speed: SPEED }));
const over = new AbortController();
const worlds = new Map<Scenario, World>();
// One after the other: each start takes a whole core.
for (const [index, scenario] of scenarios.entries()) {
  worlds.set(scenario, await startService(scenario, args.seed + index));
}
say(`${worlds.size} services run; all are left in peace for ${HEALTHY_MS / 1000} s`);
await sleep(HEALTHY_MS);

const brokenAt = Date.now();
const faults = Array.from(worlds, ([scenario, world]) => breakIt(scenario, world));
let told = 0;
while (Date.now() < brokenAt + LIMIT_MS && !complete()) {
  await sleep(500);
  tell();
}
say(complete() ? 'every expected alert is here; now for any other' : 'time is up');
await sleep(AFTERMATH_MS);
tell();

over.abort();
await Promise.all(faults);
for (const { app, traffic } of worlds.values()) {
  await app.kill();
  await traffic.stop();
}
await monitoring.stop();
for (const database of new Set([shared, ...Array.from(worlds.values(), (one) => one.database)])) {
  await database.remove();
}

const verdicts = Array.from(worlds, ([scenario, world]) => judge(scenario, world));
say(`\n${renderTable(verdicts)}\n`);
const strangers = monitoring.arrived.filter(
  ({ job }) => !scenarios.some(({ name }) => name === job),
);
for (const { alert, job } of strangers) say(`FAILED: ${alert} for "${job}"`);
const failed = verdicts.filter(({ wrong }) => wrong.length > 0);
for (const { title, wrong } of failed) wrong.forEach((what) => say(`FAILED: ${title}: ${what}`));
const failures = failed.length + strangers.length;
if (failures > 0) say(`--seed ${args.seed} repeats the choices; logs are in ${directory}`);
else rmSync(directory, { recursive: true, force: true });
say(`${verdicts.length - failed.length} passed, ${failures} failed`);
process.exit(failures === 0 && verdicts.length > 0 ? 0 : 1);

async function startService(scenario: Scenario, seed: number): Promise<World> {
  const { name, ownDatabase, app: given } = scenario;
  const random = createRandom(seed);
  const database = ownDatabase === true ? await startPostgres() : shared;
  const app = createApp({
    connectionString: await database.newDatabase(),
    journal: join(directory, `journal-${name}`),
    journalBytes: 256 * 1024 * 1024,
    log: join(directory, `${name}.log`),
    onAddress: (address) => monitoring.target(name, address),
    ...given,
  });
  await app.start();
  const told = (): boolean => missing(scenario).length === 0;
  return { app, database, random, traffic: startTraffic(app, random), over: over.signal, told };
}

async function breakIt({ name, fault }: Scenario, world: World): Promise<void> {
  if (fault === undefined) return;
  say(`${name}: broken`);
  await fault(world);
}

/** Expected alerts that have not come. */
function missing({ name, expected }: Scenario): string[] {
  return expected.filter(
    (alert) => !monitoring.arrived.some((one) => one.job === name && one.alert === alert),
  );
}

function complete(): boolean {
  return scenarios.every((scenario) => missing(scenario).length === 0);
}

function tell(): void {
  for (; told < monitoring.arrived.length; told += 1) {
    const { job = '', alert = '', description = '' } = monitoring.arrived[told] ?? {};
    say(`${job}: ${alert}: ${description}`);
  }
}

function judge(scenario: Scenario, { traffic }: World): Verdict {
  const { name, title, expected, later = [] } = scenario;
  const own = monitoring.arrived.filter(({ job }) => job === name);
  const alerts = [...new Set(own.map(({ alert }) => alert))];
  return {
    title,
    streams: traffic.streams,
    alerts: alerts.map((alert) => {
      const first = own.find((one) => one.alert === alert)?.atMs ?? brokenAt;
      return `${alert} (${Math.round((first - brokenAt) / 1000)} s)`;
    }),
    wrong: [
      ...(traffic.streams === 0 ? ['it had no streams'] : []),
      ...missing(scenario).map((alert) => `no ${alert}`),
      ...alerts
        .filter((alert) => !expected.includes(alert) && !later.includes(alert))
        .map((alert) => `also ${alert}`),
    ],
  };
}

function say(text: string): void {
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${seconds} s  ${text}\n`);
}

function argsOrExit(): Args {
  try {
    return readArgs(
      process.argv.slice(2),
      SCENARIOS.map(({ name }) => name),
    );
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}
