/**
 * `npx tsx test/formats/fuzz/main.ts --runs N --seed S`: reads many generated bodies and says what did not hold. Both are printed, so that a
 * run can be repeated. Exit code 1 when something did not hold.
 */
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { deliveredProperty, property } from './properties.ts';

/** Bodies of one seed. */
const BATCH = 1_000;
/** One batch in so many goes as bytes, which takes longer. */
const DELIVERED = 20;
/** A fault is made smaller for so long, not for ever. */
const LIMITS = { interruptAfterTimeLimit: 600_000, markInterruptAsFailure: false } as const;
/** So many faults end the run. */
const MAX_FAULTS = 10;

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } } });
const runs = Number(values.runs ?? 100_000);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
process.stdout.write(`fuzz: ${runs} bodies, seed ${seed}\n`);

const startedAt = performance.now();
const faults = new Map<string, string>();
let read = 0;
for (let batch = 0; read < runs && faults.size < MAX_FAULTS; batch += 1) {
  const numRuns = Math.min(BATCH, runs - read);
  const isDelivered = batch % DELIVERED === DELIVERED - 1;
  const parameters = { numRuns, seed: seed + batch, ...LIMITS };
  const details = isDelivered
    ? await fc.check(deliveredProperty, parameters)
    : await fc.check(property, parameters);
  read += details.numRuns;
  if (details.failed) {
    const error = String(details.errorInstance);
    const why = error.split('\n', 1)[0] ?? '';
    const shown = `${error}\n  seed ${seed + batch}: ${JSON.stringify(details.counterexample)}`;
    if (!faults.has(why)) process.stdout.write(`${shown}\n`);
    faults.set(why, shown);
  }
}
const seconds = (performance.now() - startedAt) / 1000;
process.stdout.write(
  `fuzz: ${read} bodies in ${seconds.toFixed(1)} s (${Math.round(read / seconds)} a second), ` +
    `${faults.size} kinds of fault\n`,
);
process.exitCode = faults.size === 0 ? 0 : 1;
