/** How long a scrape takes of an app with many routes, all of which have had traffic. */
import { connectTo, type Connection } from '../client.ts';
import { figure, quantile } from '../figures.ts';
import type { Bench } from '../part.ts';
import { inTurn, pick, ratios } from '../rounds.ts';
import { startServer, type Server } from '../servers.ts';

const ROUTES = 100;
const STREAMS_A_ROUTE = 5;
const ROUNDS = 10;
const SCRAPES = 20;
const QUICK = { rounds: 1 };

export async function benchScrape({ built, quick, found, note }: Bench): Promise<void> {
  const server = await startServer(built, 'scrape', { args: [String(ROUTES)] });
  const connection = await connectTo(server.port);
  for (let route = 0; route < ROUTES; route++) {
    for (let one = 0; one < STREAMS_A_ROUTE; one++) await connection.read(`/route-${route}`);
  }
  connection.close();
  const lines = Number(await server.ask('copy'));
  note(`${lines} lines; at /same prom-client alone renders them, as gauges`);
  for (const path of PATHS) await scrapes(server, path);
  const rounds = await inTurn(PATHS, { rounds: quick ? QUICK.rounds : ROUNDS }, (path) =>
    scrapes(server, path),
  );
  await server.stop();
  const what = `${ROUTES} routes`;
  const ours = rounds['/metrics'];
  const of = (part: number): number[] => ours.map(({ tookMs }) => quantile(tookMs, part));
  const cpu = pick(rounds, ({ cpuMs }) => cpuMs);
  const sizes = ours.map(({ bytes }) => bytes / 1_024);
  found(figure(`${what}, p50`, 'ms', of(0.5)));
  found(figure(`${what}, p99`, 'ms', of(0.99)));
  found(figure(`${what}, server CPU`, 'ms', cpu['/metrics']));
  found(figure(`${what}, server CPU, prom-client alone`, 'ms', cpu['/same']));
  found(
    figure(`${what}, server CPU to prom-client alone`, 'x', ratios(cpu['/metrics'], cpu['/same'])),
  );
  found(figure(`${what}, size`, 'KiB', sizes));
}

const PATHS = ['/metrics', '/same'] as const;

interface Scrapes {
  /** Until the client has all of its bytes. */
  readonly tookMs: readonly number[];
  /** Of one. */
  readonly cpuMs: number;
  readonly bytes: number;
}

async function scrapes({ port, usage }: Server, path: string): Promise<Scrapes> {
  const connection = await connectTo(port);
  const tookMs: number[] = [];
  let body = Buffer.alloc(0);
  const before = await usage();
  for (let one = 0; one < SCRAPES; one++) {
    const startMs = performance.now();
    const pieces = await scrape(connection, path);
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
function scrape(connection: Connection, path: string): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let tail = '';
    const take = (piece: Buffer): void => {
      pieces.push(piece);
      tail = (tail + piece.subarray(-EOF.length).toString('latin1')).slice(-EOF.length);
      if (tail === EOF) resolve(pieces);
    };
    connection.read(path, take, OPEN_METRICS).catch(reject);
  });
}
