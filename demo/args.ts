/** The command line of the demo. */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** What was asked for. */
export interface Args {
  /** Streams for each route, all faults together. Default 275. */
  readonly streams: number;
  /** 0 to 4 294 967 295. Default: drawn. */
  readonly seed: number;
  /** Where the figures go, as JSON. */
  readonly json: string | undefined;
  /** Where the app's own log goes. Default: nowhere that lasts. */
  readonly log: string | undefined;
  /** Whether the app stays up afterwards. */
  readonly serve: boolean;
  readonly help: boolean;
}

/** For `--help`, and after a mistake. */
export const USAGE = `Usage: npm run demo -- [flags]

  --streams N   streams for each route, all faults together (11 to 20000, default 275)
  --seed N      repeat the choices of a run (0 to 4294967295, default: drawn and printed)
  --json FILE   write the figures to FILE
  --log FILE    append what the app prints to FILE
  --serve       keep the app up afterwards, with a chat page to break it by hand, its status and /metrics
  --help        this text

Environment: DATABASE_URL (default: a throw-away PostgreSQL), OPENAI_BASE_URL with OPENAI_API_KEY and
OPENAI_MODEL (default: a model on this machine that costs nothing).
`;

/** Reads the arguments. Throws an `Error` that says what is wrong with them. */
export function readArgs(argv: readonly string[]): Args {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      streams: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'string' },
      log: { type: 'string' },
      serve: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    streams: whole('streams', values.streams, { min: 11, max: 20_000 }) ?? 275,
    seed:
      whole('seed', values.seed, { min: 0, max: 2 ** 32 - 1 }) ??
      Math.floor(Math.random() * 2 ** 32),
    json: file('json', values.json),
    log: file('log', values.log),
    serve: values.serve,
    help: values.help,
  };
}

function whole(
  flag: string,
  text: string | undefined,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`--${flag} must be a whole number from ${min} to ${max}, not "${text}"`);
}

/** A path whose directory exists: better met now than after a minute of chaos. */
function file(flag: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const path = resolve(text);
  if (text !== '' && existsSync(dirname(path))) return path;
  throw new Error(`--${flag} needs a file in a directory that exists, not "${text}"`);
}
