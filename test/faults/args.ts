/** The command line of the fault suite. */
import { parseArgs } from 'node:util';

/** The parsed arguments. */
export interface Args {
  /** Number of streams, of all faults together. Default 2 000. */
  readonly streams: number;
  /** 0 to 4 294 967 295. Default: drawn. */
  readonly seed: number;
  /** Only faults whose name is one of these; empty means all. */
  readonly only: readonly string[];
  /** Milliseconds of a random soak in place of the faults; `undefined` for none. */
  readonly soakMs: number | undefined;
}

const STREAMS = { min: 100, max: 200_000 };
const SEED = { min: 0, max: 2 ** 32 - 1 };

/** The help text, which is printed for wrong arguments. */
export const USAGE = `Usage: npm run test:faults -- [flags]

  --streams N   streams of all faults together (${STREAMS.min} to ${STREAMS.max}, default 2000)
  --seed N      repeat the choices of a run (0 to ${SEED.max}, default: drawn and printed)
  --soak TIME   events at random for so long (90s, 10m, 1h) in place of the faults
  --only NAME   this fault alone; may be given again
`;

/** Reads the arguments; `faults` are the names of all faults. Throws an `Error` that names the wrong argument. */
export function readArgs(argv: readonly string[], faults: readonly string[]): Args {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      streams: { type: 'string', default: '2000' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
      soak: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
    },
  });
  for (const name of values.only) {
    if (!faults.includes(name)) {
      throw new Error(`--only must be one of ${faults.join(', ')}, not "${name}"`);
    }
  }
  return {
    streams: whole('streams', values.streams, STREAMS),
    seed: whole('seed', values.seed, SEED),
    only: values.only,
    soakMs: values.soak === undefined ? undefined : duration(values.soak),
  };
}

/** `90s`, `10m` or `1h`, at most a day. */
function duration(text: string): number {
  const [, count, unit = ''] = /^(\d{1,4})([smh])$/.exec(text) ?? [];
  const ms = Number(count) * (UNIT_MS[unit] ?? 0);
  if (ms > 0 && ms <= 86_400_000) return ms;
  throw new Error(`--soak must be a time such as 90s, 10m or 1h, not "${text}"`);
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

function whole(
  flag: string,
  text: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`--${flag} must be a whole number from ${min} to ${max}, not "${text}"`);
}
