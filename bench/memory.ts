/** Memory of a stream that is open and says nothing, beyond what it costs in bare Express. */
import type { Socket } from 'node:net';
import { figure } from './figures.ts';
import type { Bench } from './parts.ts';
import { startServer, type Server, type Usage, type Variant } from './servers.ts';

const STREAMS = [1_000, 5_000];
const ROUNDS = 3;
const QUICK = { streams: [200], rounds: 1 };

/** Streams that come and go first, so that what is made once is there. */
const WARM_UP = 100;

/** Connections that are opened at a time. */
const AT_A_TIME = 50;

/** Bytes of one idle guarded stream, beyond bare Express. */
const GOAL = { atMost: 4_096 };

const COMPARED = ['guard', 'guard+journal'] as const satisfies readonly Variant[];

export async function benchMemory({ built, quick, found }: Bench): Promise<void> {
  for (const count of quick ? QUICK.streams : STREAMS) {
    const rounds: Record<Exclude<Variant, 'observe'>, Growth[]> = {
      express: [],
      guard: [],
      'guard+journal': [],
    };
    for (let round = 0; round < (quick ? QUICK.rounds : ROUNDS); round++) {
      for (const variant of ['express', ...COMPARED] as const) {
        const server = await startServer(built, variant, ['--expose-gc']);
        rounds[variant].push(await grow(server, count));
        await server.stop();
      }
    }
    for (const kind of ['heapUsed', 'rss'] as const) {
      const what = `${count} idle, ${kind}`;
      const bare = rounds.express.map((growth) => growth[kind]);
      found(figure(`${what}: Express`, 'bytes', bare));
      for (const variant of COMPARED) {
        const more = rounds[variant].map((growth, at) => growth[kind] - (bare[at] ?? Number.NaN));
        found(figure(`${what}: ${variant} on top`, 'bytes', more, GOAL));
      }
    }
  }
}

/** Bytes for each stream. */
type Growth = Pick<Usage, 'heapUsed' | 'rss'>;

async function grow(server: Server, count: number): Promise<Growth> {
  for (const socket of await openAll(server, WARM_UP)) socket.destroy();
  const before = await server.usage();
  const sockets = await openAll(server, count);
  const after = await server.usage();
  for (const socket of sockets) socket.destroy();
  return {
    heapUsed: (after.heapUsed - before.heapUsed) / count,
    rss: (after.rss - before.rss) / count,
  };
}

async function openAll(server: Server, count: number): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Math.min(AT_A_TIME, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => server.open('idle')))));
  }
  return sockets;
}
