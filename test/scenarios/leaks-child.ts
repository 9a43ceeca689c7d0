/**
 * A process whose clients all leave, and which then counts what is still in its memory. Needs `--expose-gc`. Argument: the database's URL.
 * Prints a `LeakReport`.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, Agent, get, type IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import pg from 'pg';
import { Registry } from 'prom-client';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { chatChunk } from '../support/frames.ts';
import { parseScrape } from '../support/scrape.ts';
import { turns, until } from '../support/until.ts';

/** What exists in the process after a full garbage collection. */
interface Remains {
  readonly heap: number;
  readonly timers: number;
  readonly serverListeners: number;
  /** Number of responses that were not collected. */
  readonly responses: number;
  readonly active: number;
  readonly pending: number;
  readonly finishing: number;
}

/** The report that the process prints at its end. */
export interface LeakReport {
  readonly warmUp: number;
  readonly streams: number;
  readonly rows: number;
  readonly before: Remains;
  readonly after: Remains;
  /** Listeners of one connection with many streams, by event: after the first stream, and after the last. */
  readonly socketListenersAtFirst: Listeners;
  readonly socketListeners: Listeners;
}

type Listeners = Readonly<Record<string, number>>;

const WARM_UP = 500;
const STREAMS = 5000;
const AT_ONCE = 50;

const [connectionString = ''] = process.argv.slice(2);
const { gc } = globalThis;
if (gc === undefined) throw new Error('needs --expose-gc');

const path = await mkdtemp(join(tmpdir(), 'lastchunk-leaks-'));
const metrics = prometheus({ registry: new Registry() });
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  journal: path,
  metrics,
});
let responses = 0;
const collected = new FinalizationRegistry(() => (responses -= 1));
const app = express();
for (const disconnected of ['finish', 'keep'] as const) {
  app.get(`/${disconnected}`, keep.guard({ policy: { disconnected } }), async (_, res) => {
    responses += 1;
    collected.register(res, undefined);
    res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    await once(res.req.socket, 'close');
    res.write(chatChunk({ content: ' world' }));
    res.end(chatChunk({}, 'stop'));
  });
}
app.get('/whole', keep.guard({}), (_, res) => {
  res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
  res.end(chatChunk({}, 'stop'));
});
const server = createServer(app).listen(0, '127.0.0.1');
let newest: Socket | undefined;
server.on('connection', (socket) => (newest = socket));
await once(server, 'listening');
// A TCP server that listens has an address object.
const { port } = server.address() as AddressInfo;

async function respond(name: string, agent: Agent | false): Promise<IncomingMessage> {
  const request = get(`http://127.0.0.1:${port}/${name}`, { agent });
  // `once` resolves to the arguments of the event: the response.
  const [reply] = (await once(request, 'response')) as [IncomingMessage];
  return reply;
}

async function leave(name: string): Promise<void> {
  const reply = await respond(name, false);
  await once(reply, 'data');
  reply.on('error', () => {
    // The client leaves before the end on purpose.
  });
  reply.socket.destroy();
}

async function leaveTimes(count: number): Promise<void> {
  const people = Array.from({ length: AT_ONCE }, async (_, index) => {
    const name = index % 2 === 0 ? 'finish' : 'keep';
    for (let left = count / AT_ONCE; left > 0; left -= 1) await leave(name);
  });
  await Promise.all(people);
}

async function remains(): Promise<Remains> {
  const scrape = async (): Promise<Omit<Remains, 'heap' | 'timers' | 'serverListeners'>> => {
    const now = parseScrape(await metrics.registry.metrics());
    const sum = (name: string): number => now.sum(`lastchunk_${name}`);
    return {
      responses,
      active: sum('streams_active'),
      pending: sum('saves_pending'),
      finishing: sum('streams_finishing'),
    };
  };
  await until('all are over', async () => (await scrape()).active === 0);
  await keep.flush();
  // Finalizers run in later turns, and what they release is collected only by the next collection.
  for (let round = 0; round < 5; round += 1) {
    await turns();
    gc?.();
  }
  const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const serverListeners = listenersOf(server);
  const counts = await scrape();
  return {
    heap: process.memoryUsage().heapUsed,
    timers,
    serverListeners: Object.values(serverListeners).reduce((sum, count) => sum + count, 0),
    ...counts,
  };
}

function listenersOf(emitter: NodeJS.EventEmitter): Listeners {
  return Object.fromEntries(
    emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]),
  );
}

/** Requests many streams one after the other on one connection. */
async function oneConnection(): Promise<[Listeners, Listeners]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async (): Promise<Listeners> => {
    const reply = await respond('whole', agent);
    reply.resume();
    await once(reply, 'end');
    await turns();
    return newest === undefined ? {} : listenersOf(newest);
  };
  const first = await ask();
  for (let count = 0; count < 50; count += 1) await ask();
  const last = await ask();
  agent.destroy();
  return [first, last];
}

await leaveTimes(WARM_UP);
const before = await remains();
await leaveTimes(STREAMS);
const after = await remains();
const reader = new pg.Client({ connectionString });
await reader.connect();
const { rows } = await reader.query<{ count: number }>(
  'SELECT count(*)::int AS count FROM lastchunk_messages',
);
await reader.end();
const [socketListenersAtFirst, socketListeners] = await oneConnection();
const report: LeakReport = {
  warmUp: WARM_UP,
  streams: STREAMS,
  rows: rows[0]?.count ?? 0,
  before,
  after,
  socketListenersAtFirst,
  socketListeners,
};
server.close();
await keep.close();
await rm(path, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(report)}\n`);
