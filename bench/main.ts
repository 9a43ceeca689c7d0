/**
 * What lastchunk costs, measured beside what it is compared with. Exits with 0 when every goal is met, with 1 when
 * one is missed (never with `--quick`) or the bench broke, with 2 for wrong arguments.
 */
import { loadavg } from 'node:os';
import { readArgs, usage, type Args } from './args.ts';
import { build } from './built.ts';
import { createDatabases } from './databases.ts';
import type { Figure } from './figures.ts';
import { machine } from './machine.ts';
import type { Part } from './part.ts';
import { PARTS } from './parts/index.ts';
import { publish } from './publish.ts';
import { goalLines, line } from './report.ts';
import { anyMissed, writeResults, type PartResult } from './results.ts';

const args = argsOrExit();
const say = (text: string): void => void process.stdout.write(`${text}\n`);

say('building');
const built = build();
const databases = createDatabases();
try {
  const results: PartResult[] = [];
  for (const part of PARTS) {
    if (args.parts.includes(part.name)) results.push(await run(part));
    if (args.json !== undefined) writeResults(args.json, results);
  }
  if (args.write) await publish(results);
  if (!args.quick) {
    say(['\ngoals', ...goalLines(results)].join('\n'));
    if (anyMissed(results)) process.exitCode = 1;
  }
} finally {
  await databases.remove();
  built.remove();
}

async function run(part: Part): Promise<PartResult> {
  const { quick, minutes } = args;
  const figures: Figure[] = [];
  const notes: string[] = [];
  const started = new Date();
  const before = load();
  say(`\n${part.name} (load ${before})`);
  await part.run({
    built,
    databases,
    quick,
    minutes,
    found(figure) {
      figures.push(figure);
      say(line(figure));
    },
    note(text) {
      notes.push(text);
      say(`  ${text}`);
    },
  });
  const seconds = Math.round((Date.now() - started.getTime()) / 1_000);
  say(`  ${seconds} s`);
  return {
    part: part.name,
    started: started.toISOString(),
    seconds,
    load: { before, after: load() },
    machine: machine(),
    figures,
    notes,
  };
}

/** Of one minute. */
function load(): number {
  return Number((loadavg()[0] ?? 0).toFixed(1));
}

function argsOrExit(): Args {
  try {
    const read = readArgs(process.argv.slice(2), PARTS);
    if (!read.help) return read;
    process.stdout.write(usage(PARTS));
    return process.exit(0);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${message}\n\n${usage(PARTS)}`);
    return process.exit(2);
  }
}
