/** The command line of the bench. */
import { parseArgs } from 'node:util';

/** What was asked for. */
export interface Args {
  /** Names of the parts to run. Default: all. */
  readonly parts: readonly string[];
  /** Only to see that everything works: figures mean nothing. */
  readonly quick: boolean;
  /** Where the figures go, as JSON. */
  readonly json: string | undefined;
  readonly help: boolean;
}

/** For `--help`, and after a mistake. */
export const USAGE = `Usage: npx tsx bench/main.ts [flags] [part ...]

  parts: saves, latency, journal, recovery, memory, profile (default: all)

  --json FILE   write the figures to FILE
  --quick       under a minute, to see that it works; no goals
  --help        this text
`;

/** Reads the arguments. Throws an `Error` that says what is wrong with them. */
export function readArgs(
  argv: readonly string[],
  known: readonly { readonly name: string }[],
): Args {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const names = known.map(({ name }) => name);
  const unknown = positionals.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new Error(`unknown part "${unknown}"; known are ${names.join(', ')}`);
  }
  return { ...values, json: values.json, parts: positionals.length === 0 ? names : positionals };
}
