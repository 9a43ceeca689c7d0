/** Answers of 1 KB to 1 MB: what they cost must grow with their length, and not faster. */
import { connectTo } from '../client.ts';
import { figure } from '../figures.ts';
import { inTurn, type Rounds } from '../rounds.ts';
import { startServer, type Server } from '../servers.ts';
import { VARIANTS, type VariantName } from '../servers/variants.ts';
import type { Bench } from '../part.ts';

const KIB = 1_024;
const SIZES_KIB = [1, 4, 16, 64, 256, 1_024];

/** The length from which the fixed costs of a stream no longer show: the exponent is taken from here on. */
const LONG_KIB = 64;

/** So much is read in all, in answers of one size. */
const VOLUME_KIB = 3_072;
const ANSWERS_AT_MOST = 200;

const ROUNDS = { rounds: 5, warmUp: 1 };
const QUICK = { rounds: 1, volumeKib: 1_024, answersAtMost: 5 };

const COMPARED = ['express', 'journal'] as const satisfies readonly VariantName[];

export async function benchGrowth({ built, quick, found }: Bench): Promise<void> {
  for (const name of COMPARED) {
    const { title } = VARIANTS[name];
    const server = await startServer(built, 'variant', { args: [name] });
    // Sizes in turn; each round gives one line of CPU over size.
    const costs: Rounds<string, number> = await inTurn(
      SIZES_KIB.map(String),
      quick ? QUICK : ROUNDS,
      (kib) => costUs(server, Number(kib), quick),
    );
    await server.stop();
    for (const kib of SIZES_KIB) {
      const values = costs[kib] ?? [];
      found(
        figure(
          `${kib} KiB: ${title}`,
          'µs/KiB',
          values.map((us) => us / kib),
        ),
      );
    }
    const rounds = (costs['1'] ?? []).map((_, round) =>
      SIZES_KIB.map((kib) => ({ x: kib, y: costs[kib]?.[round] ?? Number.NaN })),
    );
    const fits = rounds.map(fit);
    found(
      figure(
        `slope: ${title}`,
        'µs/KiB',
        fits.map(({ slope }) => slope),
      ),
    );
    found(
      figure(
        `an answer of nothing: ${title}`,
        'µs',
        fits.map(({ start }) => start),
      ),
    );
    found(
      figure(
        `R² of the line: ${title}`,
        '',
        fits.map(({ r2 }) => r2),
      ),
    );
    const exponents = rounds.map((points) => {
      const long = points.filter(({ x }) => x >= LONG_KIB);
      return fit(long.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }))).slope;
    });
    found(figure(`exponent: ${title}`, '', exponents));
  }
}

/** Microseconds of CPU for one answer. */
async function costUs(server: Server, kib: number, quick: boolean): Promise<number> {
  const volume = quick ? QUICK.volumeKib : VOLUME_KIB;
  const most = quick ? QUICK.answersAtMost : ANSWERS_AT_MOST;
  const answers = Math.max(1, Math.min(most, Math.floor(volume / kib)));
  const connection = await connectTo(server.port);
  const before = await server.usage();
  for (let one = 0; one < answers; one++) await connection.read(`/answer/${kib * KIB}`);
  const after = await server.usage();
  connection.close();
  return (after.cpuUs - before.cpuUs) / answers;
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Least squares. */
function fit(points: readonly Point[]): { slope: number; start: number; r2: number } {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(points.map((point) => point.x));
  const y = mean(points.map((point) => point.y));
  const xy = mean(points.map((point) => (point.x - x) * (point.y - y)));
  const xx = mean(points.map((point) => (point.x - x) ** 2));
  const yy = mean(points.map((point) => (point.y - y) ** 2));
  const slope = xy / xx;
  return { slope, start: y - slope * x, r2: xy ** 2 / (xx * yy) };
}
