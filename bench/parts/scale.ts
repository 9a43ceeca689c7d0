/**
 * Many streams at a time: what each takes of memory while it says nothing, and what all take of the event loop and
 * of the processor at one chunk a second each.
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { atATime, openStream } from '../client.ts';
import { figure } from '../figures.ts';
import { differences, inTurn, pick, ratios } from '../rounds.ts';
import { startServer, type Server } from '../servers.ts';
import { VARIANTS, type VariantName } from '../servers/variants.ts';
import { warmUp } from '../warm-up.ts';
import type { Bench } from '../part.ts';

const STREAMS = [100, 1_000, 5_000, 10_000];
const ROUNDS = { rounds: 3 };
const QUICK = { streams: [100], rounds: 1, windowMs: 500 };

/** For so long they are watched. */
const WINDOW_MS = 4_000;

/** Until all of them say something, and what the collection before has left is done. */
const SETTLE_MS = 1_200;

/** Connections that are opened at a time. */
const OPENED_AT_A_TIME = 50;

const COMPARED = ['express', 'guard', 'journal'] as const satisfies readonly VariantName[];

export async function benchScale(bench: Bench): Promise<void> {
  const { quick, found } = bench;
  for (const count of quick ? QUICK.streams : STREAMS) {
    const results = await inTurn(COMPARED, quick ? QUICK : ROUNDS, (name) =>
      watch(bench, name, count),
    );
    const heap = pick(results, (result) => result.heap);
    const resident = pick(results, ({ rss }) => rss);
    const delay = pick(results, ({ delayMs }) => delayMs);
    const cpu = pick(results, ({ cpuShare }) => cpuShare);
    const peak = pick(results, ({ peakMiB }) => peakMiB);
    for (const name of COMPARED) {
      const of = (what: string): string => `${count} streams, ${what}: ${VARIANTS[name].title}`;
      found(figure(of('heap a stream'), 'bytes', heap[name]));
      found(figure(of('resident a stream'), 'bytes', resident[name]));
      if (name !== 'express') {
        found(figure(of('heap beyond bare'), 'bytes', differences(heap[name], heap.express)));
        const more = differences(resident[name], resident.express);
        found(figure(of('resident beyond bare'), 'bytes', more));
      }
      found(figure(of('loop delay, p99'), 'ms', delay[name]));
      if (name !== 'express') {
        found(figure(of('loop delay to bare'), 'x', ratios(delay[name], delay.express)));
      }
      found(figure(of('CPU'), '% of a core', cpu[name]));
      found(figure(of('peak memory'), 'MiB', peak[name]));
    }
  }
}

interface Watched {
  /** Bytes of one stream. */
  readonly heap: number;
  readonly rss: number;
  readonly delayMs: number;
  /** Percent of one core. */
  readonly cpuShare: number;
  readonly peakMiB: number;
}

/** A fresh server for each: memory that others have left would be in the way. */
async function watch({ built, quick }: Bench, name: VariantName, count: number): Promise<Watched> {
  const windowMs = quick ? QUICK.windowMs : WINDOW_MS;
  const server = await startServer(built, 'variant', { args: [name], flags: ['--expose-gc'] });
  await warmUp(server.port, '/stream/24/8', quick);
  const empty = await server.memory();
  const sockets = await openAll(server, count, '/slow');
  const full = await server.memory();
  await server.ask('tick');
  await sleep(quick ? windowMs : SETTLE_MS);
  await server.loopDelayMs();
  const before = await server.usage();
  const startMs = performance.now();
  await sleep(windowMs);
  const after = await server.usage();
  const tookMs = performance.now() - startMs;
  const delayMs = await server.loopDelayMs();
  await server.stop();
  for (const socket of sockets) socket.destroy();
  return {
    heap: (full.heapUsed - empty.heapUsed) / count,
    rss: (full.rss - empty.rss) / count,
    delayMs,
    cpuShare: ((after.cpuUs - before.cpuUs) / 1_000 / tookMs) * 100,
    peakMiB: after.peakBytes / 2 ** 20,
  };
}

async function openAll(server: Server, count: number, path: string): Promise<readonly Socket[]> {
  const sockets: Socket[] = [];
  await atATime(OPENED_AT_A_TIME, count, async () => {
    const socket = await openStream(server.port, path);
    // The server goes first: what it then does to its sockets is nobody's failure.
    socket.on('error', () => socket.destroy());
    sockets.push(socket);
  });
  return sockets;
}
