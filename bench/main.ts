/**
 * What lastchunk costs, measured beside what it is compared with. Exits with 0 when every goal is met, with 1 when
 * one is missed (never with `--quick`) or the bench broke, with 2 for wrong arguments.
 */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { readArgs, USAGE, type Args } from './args.ts';
import { build } from './built.ts';
import { isMissed, line, type Figure } from './figures.ts';
import { machine } from './machine.ts';
import { PARTS } from './parts.ts';

const args = argsOrExit();
const say = (text: string): void => void process.stdout.write(`${text}\n`);

say('building');
const built = build();
try {
  const figures: Figure[] = [];
  const started = new Date();
  for (const { name, run } of PARTS) {
    if (!args.parts.includes(name)) continue;
    say(`\n${name} (load ${loadavg()[0]?.toFixed(1)})`);
    await run({
      built,
      quick: args.quick,
      found(figure) {
        figures.push(figure);
        say(line(figure));
      },
      say,
    });
  }
  say(`\nload at the end ${loadavg()[0]?.toFixed(1)}`);
  if (args.json !== undefined) {
    const facts = { ...machine(), started, ended: new Date(), quick: args.quick, figures };
    writeFileSync(args.json, `${JSON.stringify(facts, null, 2)}\n`);
  }
  process.exitCode = !args.quick && figures.some(isMissed) ? 1 : 0;
} finally {
  built.remove();
}

function argsOrExit(): Args {
  try {
    const read = readArgs(process.argv.slice(2), PARTS);
    if (!read.help) return read;
    process.stdout.write(USAGE);
    return process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return process.exit(2);
  }
}
