/**
 * `npm run test:faults`: runs thousands of streams through real processes and a real PostgreSQL, with one fault after the other, and prints
 * one table. Exits with 0 only if nothing was lost, saved twice or miscounted; with 2 for wrong arguments.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createReporter } from '../../demo/progress.ts';
import { createRandom } from '../../demo/random.ts';
import { startPostgres } from '../support/postgres.ts';
import { readArgs, USAGE, type Args } from './args.ts';
import { createBench } from './bench.ts';
import { answersLost, connectionsKilled, pooled, stopped } from './database.ts';
import type { Fault } from './fault.ts';
import { deleted } from './deleted.ts';
import { full } from './full.ts';
import { hostile } from './hostile.ts';
import { frozen, shared } from './neighbours.ts';
import { ownTables } from './own-tables.ts';
import { keptAlive, killed, terminated } from './process.ts';
import { relayFaults } from './relay/faults.ts';
import { createSoak } from './soak.ts';
import { renderTable, type Result } from './table.ts';

const FAULTS: readonly Fault[] = [
  killed,
  terminated,
  keptAlive,
  stopped,
  connectionsKilled,
  answersLost,
  pooled,
  full,
  deleted,
  ownTables,
  shared,
  frozen,
  hostile,
  ...relayFaults('postgres'),
  ...relayFaults('redis'),
];

const args = argsOrExit();
const soak =
  args.soakMs === undefined
    ? undefined
    : createSoak({
        durationMs: args.soakMs,
        seed: args.seed,
        say: (line) => void process.stdout.write(`${line}\n`),
      });
const chosen =
  soak === undefined
    ? FAULTS.filter(({ name }) => args.only.length === 0 || args.only.includes(name))
    : [soak.fault];
const impossible = new Map(chosen.map((fault) => [fault, fault.impossible?.()]));
const possible = chosen.filter((fault) => impossible.get(fault) === undefined);
const share = Math.ceil(args.streams / possible.length);
const report = createReporter(process.stdout, share * possible.length);
const directory = mkdtempSync(join(tmpdir(), 'lastchunk-faults-'));

report.say(
  `fault suite, ${args.soakMs === undefined ? `--streams ${args.streams}` : `--soak ${args.soakMs / 1_000}s`} --seed ${args.seed}`,
);
report.stage('starting PostgreSQL');
const server = await startPostgres();
const results: Result[] = [];
for (const fault of possible) results.push(await runFault(fault));
await server.remove();

const missing = chosen.filter(
  (fault) =>
    impossible.get(fault) !== undefined && fault.neededInCi && process.env['CI'] === 'true',
);
const failed = results.filter(({ wrong }) => wrong.length > 0);
report.say(`\n${renderTable(results)}\n`);
for (const { title, notes } of results) for (const note of notes) report.say(`${title}: ${note}`);
for (const [{ title }, reason] of impossible) {
  if (reason !== undefined) report.say(`skipped: ${title} (${reason})`);
}
for (const { title, wrong } of failed) {
  if (soak !== undefined) report.say(`FAILED: ${title}: ${soak.explainFirst(wrong)}`);
  else for (const what of wrong.slice(0, 20)) report.say(`FAILED: ${title}: ${what}`);
}
if (soak !== undefined) report.say(soak.summary());
for (const { title } of missing) report.say(`FAILED: ${title}: cannot be skipped where CI is true`);
const failures = failed.length + missing.length;
if (failures > 0) report.say(`--seed ${args.seed} repeats the choices; logs are in ${directory}`);
else rmSync(directory, { recursive: true, force: true });
report.say(`${results.length - failed.length} passed, ${failures} failed`);
process.exit(failures === 0 && results.length > 0 ? 0 : 1);

async function runFault(fault: Fault): Promise<Result> {
  const startedAt = Date.now();
  report.stage(fault.title);
  const bench = await createBench({
    name: fault.name,
    random: createRandom(args.seed + FAULTS.indexOf(fault)),
    server,
    directory: join(directory, fault.name),
    leavesFiles: fault.leavesFiles === true,
    mayBeUnconfirmed: fault.mayBeUnconfirmed === true,
    onDone: () => report.done(),
  });
  const thrown: string[] = [];
  try {
    await fault.run(bench, share);
  } catch (error) {
    thrown.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    await server.start();
  }
  try {
    const tally = await bench.finish();
    const empty = tally.seen === 0 ? ['no client saw anything'] : [];
    const wrong = [...thrown, ...empty, ...tally.wrong];
    const seconds = (Date.now() - startedAt) / 1000;
    return { ...tally, title: fault.title, seconds, wrong, notes: bench.notes };
  } catch (error) {
    // The earlier error is most likely the cause of this one.
    thrown.push(error instanceof Error ? error.message : String(error));
    throw new Error(`${fault.title}: ${thrown.join('; then ')}`);
  } finally {
    await bench.tearDown();
  }
}

function argsOrExit(): Args {
  try {
    return readArgs(
      process.argv.slice(2),
      FAULTS.map(({ name }) => name),
    );
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}
