/** Server CPU for each chunk, and chunks a second, of every variant: the hot path. */
import { connectTo } from '../client.ts';
import { figure } from '../figures.ts';
import { CHUNK } from '../frames.ts';
import { type Cost, type Generation, inGenerations } from '../generations.ts';
import { startReceiver } from '../receiver.ts';
import { differences, inTurn, pick, ratios, type Rounds } from '../rounds.ts';
import { startServer, startServers, stopServers, type Server } from '../servers.ts';
import { VARIANT_NAMES, VARIANTS, WITH_JOURNAL, type VariantName } from '../servers/variants.ts';
import { warmUp } from '../warm-up.ts';
import type { Bench } from '../part.ts';

/** Streams that are read one after the other, in each round. */
interface Shape {
  readonly name: string;
  readonly chunks: number;
  readonly aTick: number;
  readonly streams: number;
}

const LONG = [
  { name: '8 a tick', chunks: 20_000, aTick: 8, streams: 3 },
  { name: '1 a tick', chunks: 20_000, aTick: 1, streams: 2 },
] as const satisfies readonly Shape[];
const SHORT: Shape = { name: '8 a tick in streams of 200', chunks: 200, aTick: 8, streams: 200 };

/** What anybody would have to do, and what is compared with it. */
const LEAST = ['byHand', 'oneWrite'] as const satisfies readonly VariantName[];
const OURS: ReadonlySet<VariantName> = new Set([
  'observe',
  'guard',
  'journal',
  'flush20',
  'everything',
]);

/** Processes of each variant. */
const GENERATIONS = 4;
const ROUNDS = { rounds: 3, warmUp: 1 };
const QUICK = { generations: 1, rounds: 1, chunks: 2_000 };

export async function benchChunks(bench: Bench): Promise<void> {
  const receiver = await startReceiver();
  const shapes: readonly Shape[] = [...LONG, SHORT];
  await inGenerations(bench, {
    subjects: VARIANTS,
    things: shapes,
    generations: bench.quick ? QUICK.generations : GENERATIONS,
    live: () => live(bench, shapes, receiver.env),
    report: (shape, costs) => report(bench, shape, costs),
  });
  for (const shape of LONG) await measureBytes(bench, shape);
  receiver.close();
  if (receiver.bytes === 0) throw new Error('no span has reached the receiver');
}

type Costs = Rounds<VariantName, Cost>;

async function live(
  { built, quick }: Bench,
  shapes: readonly Shape[],
  env: Readonly<Record<string, string>>,
): Promise<Generation<VariantName>> {
  const servers = await startServers(VARIANT_NAMES, (name) =>
    startServer(built, 'variant', { args: [name], env }),
  );
  for (const name of VARIANT_NAMES) await warmUp(servers[name].port, '/stream/24/8', quick);
  const costs: Costs[] = [];
  for (const shape of shapes) costs.push(await measure(quick, servers, shape));
  return { costs, peakMiB: await stopServers(VARIANT_NAMES, servers) };
}

function measure(
  quick: boolean,
  servers: Readonly<Record<VariantName, Server>>,
  shape: Shape,
): Promise<Costs> {
  const count = quick ? QUICK.chunks : shape.chunks * shape.streams;
  const chunks = Math.min(shape.chunks, count);
  return inTurn(VARIANT_NAMES, quick ? QUICK : ROUNDS, (name) =>
    costOf(servers[name], { ...shape, chunks, streams: count / chunks }),
  );
}

function report({ found }: Bench, shape: Shape, costs: Costs): void {
  const cpu = pick(costs, ({ cpuUs }) => cpuUs);
  const perSecond = pick(costs, (cost) => cost.perSecond);
  for (const name of VARIANT_NAMES) {
    const of = (what: string): string => `${shape.name}, ${what}: ${VARIANTS[name].title}`;
    found(figure(of('CPU'), 'µs/chunk', cpu[name]));
    if (name !== 'express') found(figure(of('to bare'), 'x', ratios(cpu[name], cpu.express)));
    for (const least of OURS.has(name) ? LEAST : []) {
      found(figure(of(`to ${VARIANTS[least].title}`), 'x', ratios(cpu[name], cpu[least])));
    }
    found(figure(of('throughput'), 'chunks/s', perSecond[name]));
  }
  const onTop = differences(cpu[WITH_JOURNAL], cpu.guard);
  found(figure(`${shape.name}: journal on top of guard()`, 'µs/chunk', onTop));
}

async function costOf(server: Server, { chunks, aTick, streams }: Shape): Promise<Cost> {
  const connection = await connectTo(server.port);
  const before = await server.usage();
  const startMs = performance.now();
  for (let one = 0; one < streams; one++) await connection.read(`/stream/${chunks}/${aTick}`);
  const seconds = (performance.now() - startMs) / 1_000;
  const after = await server.usage();
  connection.close();
  const count = streams * chunks;
  return { cpuUs: (after.cpuUs - before.cpuUs) / count, perSecond: count / seconds };
}

/** The size of a journal that holds nothing but one stream. */
async function measureBytes({ built, found }: Bench, { name, chunks, aTick }: Shape) {
  const server = await startServer(built, 'variant', { args: [WITH_JOURNAL] });
  const connection = await connectTo(server.port);
  await connection.read(`/measured/${chunks}/${aTick}`);
  connection.close();
  const bytes = Number(await server.ask('journalBytes'));
  await server.stop();
  if (bytes < CHUNK.length * chunks) throw new Error('the journal does not hold the stream');
  found(figure(`${name}: bytes written to the journal, a chunk`, 'bytes', [bytes / chunks]));
}
