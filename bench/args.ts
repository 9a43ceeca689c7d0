/** The command line of the bench. */
import { parseArgs } from 'node:util';

/** What was asked for. */
export interface Args {
  /** Names of the parts to run. */
  readonly parts: readonly string[];
  /** Only to see that everything works: figures mean nothing. */
  readonly quick: boolean;
  /** How long `endurance` goes on. */
  readonly minutes: number;
  /** Where the results go, as JSON. */
  readonly json: string | undefined;
  /** Results go to `results.json` and the README of the bench. */
  readonly write: boolean;
  readonly help: boolean;
}

/** What is known of a part here. */
interface Known {
  readonly name: string;
  readonly about: string;
  readonly onRequest?: true;
}

/** For `--help`, and after a mistake. */
export function usage(known: readonly Known[]): string {
  const parts = known.map(({ name, about }) => `    ${name.padEnd(10)} ${about}\n`).join('');
  return `Usage: npm run bench -- [flags] [part ...]

  parts (default: all but endurance):
${parts}
  --json FILE   write the results to FILE
  --write       keep them in bench/results.json, and show them in bench/README.md
  --quick       all parts, under a minute, only to see that they work; no goals
  --minutes N   endurance, for so long; default 3
  --help        this text
`;
}

/** Reads the arguments. Throws an `Error` that says what is wrong with them. */
export function readArgs(argv: readonly string[], known: readonly Known[]): Args {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      write: { type: 'boolean', default: false },
      quick: { type: 'boolean', default: false },
      minutes: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const names = known.map(({ name }) => name);
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new Error(`unknown part "${unknown}"; known are ${names.join(', ')}`);
  }
  const minutes = Number(values.minutes ?? '3');
  if (!(minutes > 0 && minutes <= 1_440)) throw new Error('`--minutes` is a number up to 1440');
  if (values.write && values.quick) throw new Error('`--quick` has no results to `--write`');
  const { quick, write, help, json } = values;
  return { quick, write, help, json, minutes, parts: partsOf(values, positionals, known) };
}

function partsOf(
  { quick, minutes }: { readonly quick: boolean; readonly minutes?: string | undefined },
  named: readonly string[],
  known: readonly Known[],
): readonly string[] {
  if (named.length > 0) return named;
  if (minutes !== undefined) return ['endurance'];
  return known.filter(({ onRequest }) => quick || onRequest !== true).map(({ name }) => name);
}
