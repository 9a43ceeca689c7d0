/** How long a scrape takes of an app with many routes, all of which have had traffic. */
import { connectTo, type Connection } from '../client.ts';
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
  /** Until the client has all of its bytes. */
  readonly tookMs: readonly number[];
  /** Of one. */
  readonly cpuMs: number;
  readonly bytes: number;
}

async function scrapes({ port, usage }: Server): Promise<Scrapes> {
  const connection = await connectTo(port);
  const tookMs: number[] = [];
  let body = Buffer.alloc(0);
  const before = await usage();
  for (let one = 0; one < SCRAPES; one++) {
    const startMs = performance.now();
    const pieces = await scrape(connection);
    tookMs.push(performance.now() - startMs);
    body = Buffer.concat(pieces);
    if (!body.includes(`/route-${ROUTES - 1}"`)) throw new Error('a route is missing');
  }
  const after = await usage();
  connection.close();
  return { tookMs, bytes: body.length, cpuMs: (after.cpuUs - before.cpuUs) / 1_000 / SCRAPES };
}

/** What Prometheus asks for first. */
const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0';

/** What ends a text in that format. */
const EOF = '# EOF\n';

/**
 * All bytes of one answer, head and body, as they came. The connection waits for the end of a chunked body, which this is not:
 * its own promise can only be rejected.
 */
function scrape(connection: Connection): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let tail = '';
    const take = (piece: Buffer): void => {
      pieces.push(piece);
      tail = (tail + piece.subarray(-EOF.length).toString('latin1')).slice(-EOF.length);
      if (tail === EOF) resolve(pieces);
    };
    connection.read('/metrics', take, OPEN_METRICS).catch(reject);
  });
}
