/**
 * Minutes of mixed traffic with faults of clients, models and the database. Afterwards everything that a process can
 * hold on to has to be what it was before, and every message has to be there.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startPostgres, type TestPostgres } from '../../test/support/postgres.ts';
import { atATime, connectTo, openStream } from '../client.ts';
import { figure } from '../figures.ts';
import type { Bench } from '../part.ts';
import { startReceiver } from '../receiver.ts';
import { startServer, type Server } from '../servers.ts';
import type { Holdings, Tally } from '../servers/endurance.ts';

/** How the model behaves; most of the time it does. */
const MODELS = ['paced-40', 'fast-200', 'paced-40', 'fast-200', 'paced-20'];
const BROKEN_MODELS = ['reset-20', 'stall-20', 'error-20', 'cut-20'];
const BROKEN_SHARE = 0.2;

const VISITORS = 20;
const WARM_UP_MS = 30_000;
const QUICK = { warmUpMs: 1_000, trafficMs: 2_000, patienceMs: 5_000 };

/** Between two faults of the database, and how long it is away. */
const FAULT_EVERY_MS = 10_000;
const AWAY_MS = 2_000;

/** Idle connections to the database and to the model are gone after so long; the baseline is without them. */
const IDLE_MS = 15_000;

/** Until everything is saved, and again until everything is let go. */
const PATIENCE_MS = 120_000;

export async function benchEndurance(bench: Bench): Promise<void> {
  const { built, quick, minutes } = bench;
  const database = await startPostgres();
  const connectionString = await database.newDatabase();
  const receiver = await startReceiver();
  const upstream = await startServer(built, 'upstream');
  const server = await startServer(built, 'endurance', {
    args: [connectionString, `http://127.0.0.1:${upstream.port}/v1`],
    env: receiver.env,
    flags: ['--expose-gc'],
  });
  const patienceMs = quick ? QUICK.patienceMs : PATIENCE_MS;
  await traffic(server, database, quick ? QUICK.warmUpMs : WARM_UP_MS);
  await calm(server, patienceMs);
  await sleep(quick ? 0 : IDLE_MS);
  const baseline = await holdingsOf(server);
  await traffic(server, database, quick ? QUICK.trafficMs : minutes * 60_000);
  const tally = await calm(server, patienceMs);
  const after = await returned(server, baseline, quick ? 0 : PATIENCE_MS);
  const missing = await missingRows(connectionString, tally);
  await server.stop();
  await upstream.stop();
  receiver.close();
  await database.remove();
  report(bench, { baseline, after, tally, missing });
}

/** Visitors come, and the database has its faults, for so long. */
async function traffic(server: Server, database: TestPostgres, forMs: number): Promise<void> {
  const endsAt = performance.now() + forMs;
  const over = new AbortController();
  const faults = breakDatabase(database, over.signal);
  await atATime(VISITORS, VISITORS, async () => {
    while (performance.now() < endsAt) await visit(server.port);
  });
  over.abort();
  await faults;
}

/** By turns, connections are killed and the whole of it is away, as in a crash. */
async function breakDatabase(database: TestPostgres, signal: AbortSignal): Promise<void> {
  for (let turn = 0; ; turn++) {
    try {
      await sleep(FAULT_EVERY_MS, undefined, { signal });
    } catch {
      // Aborted: the traffic is over, and the database is there.
      return;
    }
    if (turn % 2 === 0) {
      await killConnections(database);
    } else {
      await database.stopImmediate();
      await sleep(AWAY_MS);
      await database.start();
    }
  }
}

async function killConnections({ connectionString }: TestPostgres): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
  );
  await client.end();
}

type Way = (port: number, path: string) => Promise<void>;

/** What a visitor does. */
const WAYS: readonly Way[] = [
  // Reads to the end; a model that breaks may cut it short.
  async (port, path) => {
    const connection = await connectTo(port);
    await connection.read(path).catch(() => undefined);
    connection.close();
  },
  // Leaves at some moment, with a FIN or a RST.
  async (port, path) => {
    const socket = await openStream(port, path);
    await sleep(Math.random() * 200);
    socket.destroy();
  },
  async (port, path) => {
    const socket = await openStream(port, path);
    await sleep(Math.random() * 200);
    socket.resetAndDestroy();
  },
  // Stops reading, and leaves later.
  async (port, path) => {
    const socket = await openStream(port, path);
    socket.pause();
    await sleep(Math.random() * 500);
    socket.destroy();
  },
  // Leaves at the last frame, as browsers do.
  async (port, path) => {
    const connection = await connectTo(port);
    const read = connection.read(path, (data) => {
      if (data.includes('"stop"')) connection.close();
    });
    await read.catch(() => undefined);
    connection.close();
  },
  // Presses Stop.
  async (port, path) => {
    const abort = new AbortController();
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: abort.signal });
    const id = response.headers.get('x-stream-id') ?? 'none';
    await fetch(`http://127.0.0.1:${port}/streams/${id}`, { method: 'DELETE' });
    await response.text().catch(() => undefined);
    abort.abort();
  },
];

async function visit(port: number): Promise<void> {
  const models = Math.random() < BROKEN_SHARE ? BROKEN_MODELS : MODELS;
  const way = oneOf(WAYS);
  await way?.(port, `/chat/${oneOf(models)}`);
}

function oneOf<T>(list: readonly T[]): T | undefined {
  return list[Math.floor(Math.random() * list.length)];
}

/** Resolves when no stream is on its way and no message waits, or when that should long have been so. */
async function calm(server: Server, patienceMs: number): Promise<Tally> {
  const givesUpAt = performance.now() + patienceMs;
  for (;;) {
    // What servers/endurance.ts answers.
    const tally = (await server.ask('tally')) as Tally;
    const open = Object.values(tally.open).some((count) => count > 0);
    if (!open || performance.now() > givesUpAt) return tally;
    await sleep(100);
  }
}

async function holdingsOf(server: Server): Promise<Holdings> {
  // What servers/endurance.ts answers.
  return (await server.ask('holdings')) as Holdings;
}

/** What is held once it is no more than the baseline, or after so long. */
async function returned(server: Server, baseline: Holdings, patienceMs: number): Promise<Holdings> {
  const givesUpAt = performance.now() + patienceMs;
  for (;;) {
    const now = await holdingsOf(server);
    const back = FIGURES.every(({ key }) => key === 'journalBytes' || now[key] <= baseline[key]);
    if (back || performance.now() > givesUpAt) return now;
    await sleep(1_000);
  }
}

/** Messages that were said to be kept and are not in the database. */
async function missingRows(connectionString: string, { saves }: Tally): Promise<number> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM lastchunk_messages');
  await client.end();
  return (saves['saved'] ?? 0) + (saves['journaled'] ?? 0) - Number(rows[0]?.count);
}

/** What is shown of each holding. */
const FIGURES = [
  { key: 'heapBytes', name: 'heap', unit: 'MiB', of: 2 ** 20 },
  { key: 'listeners', name: 'listeners', unit: '', of: 1 },
  { key: 'timers', name: 'timers', unit: '', of: 1 },
  { key: 'resources', name: 'active resources', unit: '', of: 1 },
  { key: 'fileDescriptors', name: 'file descriptors', unit: '', of: 1 },
  { key: 'journalBytes', name: 'journal', unit: 'MiB', of: 2 ** 20 },
] as const satisfies readonly { readonly key: keyof Holdings; readonly [more: string]: unknown }[];

function report(
  { found, note }: Bench,
  end: {
    readonly baseline: Holdings;
    readonly after: Holdings;
    readonly tally: Tally;
    readonly missing: number;
  },
): void {
  const { baseline, after, tally, missing } = end;
  for (const { key, name, unit, of } of FIGURES) {
    found(figure(`${name}: baseline`, unit, [baseline[key] / of]));
    found(figure(`${name}: growth`, unit, [(after[key] - baseline[key]) / of]));
  }
  const streams = Object.values(tally.outcomes).reduce((sum, count) => sum + count, 0);
  found(figure('streams', '', [streams]));
  found(figure('still on their way', '', [tally.open.live]));
  found(figure('not yet saved', '', [tally.open.pending + tally.open.journaled]));
  found(figure('lost', '', [tally.saves['lost'] ?? 0]));
  found(figure('missing', '', [tally.saves['missing'] ?? 0]));
  found(figure('not in the database', '', [missing]));
  note(`outcomes: ${countsOf(tally.outcomes)}`);
  note(`messages: ${countsOf(tally.saves)}`);
}

function countsOf(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
