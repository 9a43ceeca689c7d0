/** The command line of the live proof. */
import { parseArgs } from 'node:util';

/** What was asked for. */
export interface Args {
  /** 0 to 4 294 967 295. Default: drawn. */
  readonly seed: number;
  /** Only services whose name is one of these; empty means all. */
  readonly only: readonly string[];
}

/** For mistakes. */
export const USAGE = `Usage: npm run test:slo -- [flags]

  --seed N      repeat the choices of a run (0 to ${2 ** 32 - 1}, default: drawn and printed)
  --only NAME   this service alone; may be given again
`;

/** Reads the arguments. Throws an `Error` that says what is wrong with them. */
export function readArgs(argv: readonly string[], names: readonly string[]): Args {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
      only: { type: 'string', multiple: true, default: [] },
    },
  });
  const unknown = values.only.filter((name) => !names.includes(name));
  if (unknown.length > 0) {
    throw new Error(`--only must be one of ${names.join(', ')}, not ${unknown.join(', ')}`);
  }
  const seed = Number(values.seed);
  if (!/^\d+$/.test(values.seed) || seed >= 2 ** 32) {
    throw new Error(`--seed must be a whole number below ${2 ** 32}, not "${values.seed}"`);
  }
  return { seed, only: values.only };
}
