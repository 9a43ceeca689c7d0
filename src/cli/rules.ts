/** `lastchunk rules`: the rules for Prometheus, for other objectives than those of the committed file. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { rulesYaml } from '../slo/index.ts';
import type { Io } from './io.ts';
import { SLO_OPTIONS, SLO_OPTIONS_HELP, sloOptionsOf } from './slo-options.ts';

/**
 * Runs the command and resolves to the exit code. Rejects with `bad-option` (or the error of `parseArgs`) for a mistake
 * in the arguments, and with the error of the file system where the file cannot be written.
 */
export async function runRules(argv: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  const rules = rulesYaml(sloOptionsOf(values));
  if (values.out === undefined) {
    io.stdout.write(rules);
    return 0;
  }
  await writeFile(values.out, rules);
  io.stdout.write(`${values.out}\n`);
  return 0;
}

const OPTIONS = {
  ...SLO_OPTIONS,
  out: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk rules [options]

Prints the recording and alerting rules as a file for Prometheus 2.42 and later.

  -o, --out FILE        write them into FILE instead
${SLO_OPTIONS_HELP}
  -h, --help            this text
`;
