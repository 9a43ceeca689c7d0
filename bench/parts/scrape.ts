/** How long a scrape takes of an app with many routes, all of which have had traffic. */
import { connectTo } from '../client.ts';
import { figure, quantile } from '../figures.ts';
import type { Bench } from '../part.ts';
import { startServer, type Server } from '../servers.ts';

const ROUTES = 100;
const STREAMS_A_ROUTE = 5;
const ROUNDS = 10;
const SCRAPES = 20;
const QUICK = { rounds: 1 };

export async function benchScrape({ built, quick, found }: Bench): Promise<void> {
  const server = await startServer(built, 'scrape', { args: [String(ROUTES)] });
  const connection = await connectTo(server.port);
  for (let route = 0; route < ROUTES; route++) {
    for (let one = 0; one < STREAMS_A_ROUTE; one++) await connection.read(`/route-${route}`);
  }
  connection.close();
  await scrapes(server);
  const rounds: Scrapes[] = [];
  for (let round = 0; round < (quick ? QUICK.rounds : ROUNDS); round++) {
    rounds.push(await scrapes(server));
  }
  await server.stop();
  const of = (part: number): number[] => rounds.map(({ tookMs }) => quantile(tookMs, part));
  found(figure(`${ROUTES} routes, p50`, 'ms', of(0.5)));
  found(figure(`${ROUTES} routes, p99`, 'ms', of(0.99)));
  found(
    figure(
      `${ROUTES} routes, server CPU`,
      'ms',
      rounds.map(({ cpuMs }) => cpuMs),
    ),
  );
  found(
    figure(
      `${ROUTES} routes, size`,
      'KiB',
      rounds.map(({ bytes }) => bytes / 1_024),
    ),
  );
}

interface Scrapes {
  /** Until the client has all of it. */
  readonly tookMs: readonly number[];
  /** Of one. */
  readonly cpuMs: number;
  readonly bytes: number;
}

async function scrapes(server: Server): Promise<Scrapes> {
  const tookMs: number[] = [];
  let bytes = 0;
  const before = await server.usage();
  for (let one = 0; one < SCRAPES; one++) {
    const startMs = performance.now();
    const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    const text = await response.text();
    tookMs.push(performance.now() - startMs);
    if (!text.includes(`/route-${ROUTES - 1}"`)) throw new Error('a route is missing');
    bytes = text.length;
  }
  const after = await server.usage();
  return { tookMs, bytes, cpuMs: (after.cpuUs - before.cpuUs) / 1_000 / SCRAPES };
}
