/** How much later a client is told that the answer is whole, because it is saved first. */
import { connectTo, type Connection } from '../client.ts';
import { fsyncs, type Fsync } from '../databases.ts';
import { figure, quantile } from '../figures.ts';
import { agesUs } from '../frames.ts';
import type { Bench } from '../part.ts';
import { differences, ratios } from '../rounds.ts';
import { startServer } from '../servers.ts';

const ROUNDS = 8;
const ANSWERS = 500;
const QUICK = { rounds: 1, answers: 50 };
const WARM_UP = 5_000;

const PARTS_OF_ALL = { p50: 0.5, p99: 0.99 } as const;

/** The routes of `servers/frame.ts`. */
const WAYS = ['bare', 'byHand', 'guarded'] as const;

export async function benchFrame(bench: Bench): Promise<void> {
  for (const fsync of fsyncs(bench.quick)) await measure(bench, fsync);
}

async function measure({ built, databases, quick, found }: Bench, fsync: Fsync): Promise<void> {
  const args = [await databases.open(fsync)];
  const server = await startServer(built, 'frame', { args });
  const connection = await connectTo(server.port);
  await read(connection, quick ? QUICK.answers : WARM_UP);
  const rounds: Ages[] = [];
  for (let round = 0; round < (quick ? QUICK.rounds : ROUNDS); round++) {
    rounds.push(await read(connection, quick ? QUICK.answers : ANSWERS));
  }
  connection.close();
  await server.stop();
  for (const [label, part] of Object.entries(PARTS_OF_ALL)) {
    const of = (way: keyof Ages): number[] => rounds.map((ages) => quantile(ages[way], part));
    const [bare, byHand, guarded] = [of('bare'), of('byHand'), of('guarded')];
    const what = `fsync ${fsync}, ${label}`;
    found(figure(`${what}: bare Express`, 'ms', bare));
    found(figure(`${what} added: guard()`, 'ms', differences(guarded, bare)));
    found(figure(`${what} added: the upsert by hand`, 'ms', differences(byHand, bare)));
    found(figure(`${what}: guard() to by hand`, 'x', ratios(guarded, byHand)));
  }
}

/** Milliseconds from the moment at which the handler had the frame to its arrival. */
type Ages = Readonly<Record<(typeof WAYS)[number], number[]>>;

/** One answer of each kind after the other, so that whatever else the machine does meets all. */
async function read(connection: Connection, count: number): Promise<Ages> {
  const ages: Ages = { bare: [], byHand: [], guarded: [] };
  for (let one = 0; one < count; one++) {
    for (const way of one % 2 === 0 ? WAYS : WAYS.toReversed()) {
      await connection.read(`/${way}`, (data) => {
        ages[way].push(...agesUs(data).map((us) => us / 1_000));
      });
    }
  }
  if (WAYS.some((way) => ages[way].length !== count)) throw new Error('a frame did not come');
  return ages;
}
