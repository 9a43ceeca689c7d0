/** `lastchunk rules`: prints or writes the rules for Prometheus, for other objectives than those of the committed file. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { oneOf } from '../core/options.ts';
import { rulesYaml } from '../slo/index.ts';
import { prometheusRule } from '../slo/manifests.ts';
import type { Io } from './io.ts';
import { MANIFEST_OPTIONS, manifestHelp, manifestPlaceOf } from './manifest-options.ts';
import { namedByFlag, SLO_OPTIONS, SLO_OPTIONS_HELP, sloOptionsOf } from './slo-options.ts';

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
  oneOf('--format', values.format, FORMATS, 'prometheus');
  const slo = sloOptionsOf(values);
  const place = manifestPlaceOf(values, 'prometheusrule');
  const rules = namedByFlag(() =>
    place === undefined ? rulesYaml(slo) : prometheusRule(slo, place),
  );
  if (values.out === undefined) {
    io.stdout.write(rules);
    return 0;
  }
  await writeFile(values.out, rules);
  io.stdout.write(`${values.out}\n`);
  return 0;
}

const FORMATS = ['prometheus', 'prometheusrule'] as const;

const OPTIONS = {
  ...SLO_OPTIONS,
  ...MANIFEST_OPTIONS,
  out: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk rules [options]

Prints the recording and alerting rules as a file for Prometheus 2.42 and later.

  -o, --out FILE        write them into FILE instead
      --format NAME     prometheus, or prometheusrule: an object for the operator of Prometheus in Kubernetes
${manifestHelp('prometheusrule', 'what the object is called')}
${SLO_OPTIONS_HELP}
  -h, --help            this text
`;
