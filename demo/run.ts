/** One run from its plan to its figures. */
import { writeFileSync } from 'node:fs';
import type { Args } from './args.ts';
import { runChaos } from './chaos.ts';
import { FAULTS, type World } from './faults.ts';
import { settle } from './judge.ts';
import { drawPlan } from './plan.ts';
import type { Reporter } from './progress.ts';
import { failuresOf, resultsOf } from './results.ts';
import { renderTable } from './table.ts';

/** Longer than the longest pause of a store that tries again (5 s), and than a lease and the look for one that is over (4 s). */
const LAST_QUIET_MS = 8_000;

/** Runs and reports. Resolves with whether the guarded route lost nothing. */
export async function runDemo(
  world: World,
  { streams, seed, json }: Args,
  options: { readonly run: string; readonly report: Reporter },
): Promise<boolean> {
  const { run, report } = options;
  const faults = FAULTS.filter((fault) => fault.impossible?.(world) === undefined);
  const plan = drawPlan(faults, { streams, seed, run });
  await runChaos(world, plan, { seed, progress: report });
  report.stage('waiting for what is still being saved');
  await settle(world.database, plan, { quietMs: LAST_QUIET_MS });

  const results = resultsOf(faults, plan);
  const failures = failuresOf(results, plan);
  report.say(`\n${renderTable(results)}\n`);
  for (const { title, impossible } of FAULTS) {
    const reason = impossible?.(world);
    if (reason !== undefined) report.say(`left out: ${title} (${reason})`);
  }
  for (const failure of failures) report.say(`FAILED: ${failure}`);
  if (failures.length === 0) report.say('The guarded route lost nothing that a client saw.');
  if (json !== undefined) {
    const figures = { seed, streams, node: process.version, results, failures };
    writeFileSync(json, `${JSON.stringify(figures, null, 2)}\n`);
  }
  return failures.length === 0;
}
