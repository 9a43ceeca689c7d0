/** Server CPU for each chunk of one stream: bare Express, observed, guarded, and guarded with a journal. */
import { figure } from './figures.ts';
import type { Bench } from './parts.ts';
import { CHUNK, startServer, VARIANTS, type Server, type Variant } from './servers.ts';

/** Chunks in one tick, and what the journal may add to each of them. */
const TICKS = [
  { aTick: 8, goal: { atMost: 0.35 } },
  { aTick: 1, goal: { atMost: 1 } },
] as const;

const CHUNKS = 20_000;
const STREAMS = 3;
const ROUNDS = 9;
const QUICK = { streams: 1, rounds: 1 };

/** What the journal may write: so many times what the handler wrote, and so many bytes a chunk. */
const BYTES_TIMES = 1.1;
const BYTES_A_CHUNK = 32;

export async function benchJournal(bench: Bench): Promise<void> {
  const servers: { variant: Variant; server: Server }[] = [];
  for (const variant of VARIANTS) {
    servers.push({ variant, server: await startServer(bench.built, variant) });
  }
  for (const { aTick, goal } of TICKS) {
    const costs = await measure(bench, servers, aTick);
    const what = `${aTick} chunk${aTick === 1 ? '' : 's'} a tick`;
    for (const variant of VARIANTS) {
      bench.found(figure(`${what}: ${variant}`, 'µs/chunk', costs[variant]));
    }
    const { found } = bench;
    const { express, guard } = costs;
    found(figure(`${what}: guard on top of Express`, 'µs/chunk', differences(guard, express)));
    const onTop = differences(costs['guard+journal'], guard);
    found(figure(`${what}: journal on top of guard`, 'µs/chunk', onTop, goal));
    await measureBytes(bench, aTick);
  }
  for (const { server } of servers) await server.stop();
}

type Costs = Record<Variant, number[]>;

/** Microseconds of CPU for each chunk, round by round; every variant in every round, in turning order. */
async function measure(
  { quick }: Bench,
  servers: readonly { variant: Variant; server: Server }[],
  aTick: number,
): Promise<Costs> {
  const costs: Costs = { express: [], observe: [], guard: [], 'guard+journal': [] };
  // Two rounds more, which warm up and are not counted.
  const rounds = quick ? QUICK.rounds : ROUNDS;
  for (let round = -2; round < rounds; round++) {
    const order = round % 2 === 0 ? servers : servers.toReversed();
    for (const { variant, server } of order) {
      const cost = await cpuOf(server, aTick, quick ? QUICK.streams : STREAMS);
      if (round >= 0) costs[variant].push(cost);
    }
  }
  return costs;
}

async function cpuOf(server: Server, aTick: number, streams: number): Promise<number> {
  const before = await server.usage();
  for (let one = 0; one < streams; one++) await server.read(`${CHUNKS}/${aTick}`);
  const after = await server.usage();
  return (after.cpuUs - before.cpuUs) / (streams * CHUNKS);
}

/** The size of a journal that holds nothing but one stream. */
async function measureBytes({ built, found }: Bench, aTick: number): Promise<void> {
  const server = await startServer(built, 'guard+journal');
  await server.read(`${CHUNKS}/${aTick}`);
  const { journalBytes } = await server.usage();
  await server.stop();
  const wrote = CHUNK.length * CHUNKS;
  if (journalBytes < wrote) throw new Error('the journal does not hold the stream');
  const atMost = (wrote * BYTES_TIMES) / CHUNKS + BYTES_A_CHUNK;
  const name = `${aTick} a tick: bytes written for a chunk of ${CHUNK.length}`;
  found(figure(name, 'bytes', [journalBytes / CHUNKS], { atMost }));
}

function differences(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, round) => value - (others[round] ?? Number.NaN));
}
