/**
 * `npm run test:slo`: seven services, each with real streams and a real PostgreSQL, watched by a real Prometheus and
 * Alertmanager under our own rules. One is left alone, one thing is broken in each of the others, and the alerts that
 * arrive at a webhook have to be those that belong to it. The rules are the shipped ones, faster: windows, waits and
 * ages are divided. Exits with 0 only if every expected alert came and no other; 2 for wrong arguments.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { rulesYaml } from '../../src/slo/index.ts';
import { startPostgres } from '../support/postgres.ts';
import { readArgs, USAGE, type Args } from './live/args.ts';
import { findPrograms, startMonitoring, versionOf } from './live/monitoring.ts';
import { SCENARIOS, type Scenario } from './live/scenarios.ts';
import { startService, type Service } from './live/service.ts';
import { renderTable } from './live/table.ts';
import { judge, missing } from './live/verdict.ts';

/** A quarter of an hour takes 45 seconds. */
const SPEED = 20;
/** From the start of the last service on. With nothing else to do for the machine, three minutes are enough. */
const LIMIT_MS = 270_000;
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

const database = await startPostgres();
const monitoring = await startMonitoring(programs, directory, rulesYaml({ speed: SPEED }));
const over = new AbortController();
// One after the other: each start takes a whole core.
const services: Service[] = [];
for (const scenario of scenarios) services.push(await start(scenario));
say(`${services.length} services run; each is left in peace first`);

const limit = Date.now() + LIMIT_MS;
const faults = services.map((service) => service.breakDown());
let told = 0;
while (Date.now() < limit && !complete()) {
  await sleep(500);
  tell();
}
say(complete() ? 'every expected alert is here; now for any other' : 'time is up');
await sleep(AFTERMATH_MS);
tell();

over.abort();
await Promise.all(faults);
for (const service of services) await service.stop();
await monitoring.stop();
await database.remove();
process.exit(report() ? 0 : 1);

function start(scenario: Scenario): Promise<Service> {
  const { name } = scenario;
  return startService(scenario, {
    directory,
    database,
    seed: args.seed + SCENARIOS.indexOf(scenario),
    over: over.signal,
    onAddress: (address) => monitoring.target(name, address),
    onBreak: () => say(`${name}: broken`),
    told: () => missing(scenario, monitoring.arrived).length === 0,
  });
}

function complete(): boolean {
  return scenarios.every((scenario) => missing(scenario, monitoring.arrived).length === 0);
}

/** Alerts as they arrive. */
function tell(): void {
  for (const { job, alert, description } of monitoring.arrived.slice(told)) {
    say(`${job}: ${alert}: ${description}`);
    told += 1;
  }
}

/** The table and what is wrong; true if nothing is. */
function report(): boolean {
  const verdicts = services.map(({ scenario, course }) =>
    judge(scenario, course, monitoring.arrived),
  );
  say(`\n${renderTable(verdicts)}\n`);
  const failed = verdicts.filter(({ wrong }) => wrong.length > 0);
  for (const { title, wrong } of failed) wrong.forEach((what) => say(`FAILED: ${title}: ${what}`));
  const strangers = monitoring.arrived.filter(
    ({ job }) => !scenarios.some(({ name }) => name === job),
  );
  for (const { alert, job } of strangers) say(`FAILED: ${alert} for "${job}"`);
  const failures = failed.length + strangers.length;
  if (failures > 0) say(`--seed ${args.seed} repeats the choices; logs are in ${directory}`);
  else rmSync(directory, { recursive: true, force: true });
  say(`${verdicts.length - failed.length} passed, ${failures} failed`);
  return failures === 0;
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
