/** The command line of the matrix. */
import { parseArgs } from 'node:util';

/** What was asked for. */
export interface Args {
  /** Only what has all of these words. */
  readonly only: readonly string[];
  /** Where the results are written; `undefined` for nowhere. */
  readonly json: string | undefined;
}

/** For mistakes. */
export const USAGE = `Usage: npm run test:matrix -- [flags]

  --only WORD   only combinations with this word: node20 ... node26, sdk2, sdk3, express4, express5, prom-client,
                prometheus-io, lowest, clients, scrapes, beside, types; given again, both words must be there
  --json FILE   writes [{ what, versions, ok, note }]; ok is null for what cannot be, and note says why
`;

/** Reads the arguments. Throws an \`Error\` that says what is wrong with them. */
export function readArgs(argv: readonly string[], words: ReadonlySet<string>): Args {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
    },
  });
  for (const word of values.only) {
    if (!words.has(word)) throw new Error(`--only must be one of ${[...words].join(', ')}`);
  }
  return { only: values.only, json: values.json };
}
