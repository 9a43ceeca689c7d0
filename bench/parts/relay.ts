/**
 * What it costs to share streams with other instances, and how soon those have a token: lastchunk over both engines, beside two
 * libraries that keep streams in Redis. They are not dependencies: npm installs them into a directory of this run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { hasRedis, startRedis, type TestRedis } from '../../test/support/redis.ts';
import { figure } from '../figures.ts';
import { install } from '../npm.ts';
import type { Bench } from '../part.ts';
import { inTurn, pick, ratios } from '../rounds.ts';
import { startServer, type Server } from '../servers.ts';
import { measureFollowing, measureLoss, nextId, read } from './relay-readers.ts';

/** Streams at a time at 50 tokens a second. */
const LOAD = { streams: 200, tokens: 250, gapMs: 20 };
const ROUNDS = { rounds: 3 };
/** Measured in each process. */
const LOADS = 2;
const QUICK = { rounds: 1, load: { streams: 10, tokens: 50, gapMs: 20 } };

/**
 * Before anything is measured, at more tokens a second than the server can do. After the ten tokens a stream with which this began, a token
 * cost 1.4 times what it cost twenty seconds later, with a relay or without.
 */
const WARM_UP = { turns: 4, gapMs: 2 };

/** Until PostgreSQL has counted what idle connections did. */
const COUNTED_MS = 2_000;

const OTHERS = {
  'resumable-stream': { version: '2.2.13', files: ['dist/ioredis.js'] },
  'assistant-stream': {
    version: '0.3.57',
    files: ['dist/resumable/index.js', 'dist/resumable/stores/ioredis.js'],
  },
} as const;
type Other = keyof typeof OTHERS;

/** Who tells the engine, over which one. */
interface Way {
  readonly title: string;
  readonly args: readonly string[];
  /** Operations of the engine so far; `undefined` where there is none. */
  readonly operations: (() => Promise<number>) | undefined;
  /** Only what it adds in delay is measured. */
  readonly isAhead?: boolean;
}

export async function benchRelay(bench: Bench): Promise<void> {
  const redis = hasRedis('the relay over Redis, and other libraries')
    ? await startRedis()
    : undefined;
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
  const connectionString = await bench.databases.open(bench.quick ? 'off' : 'on');
  const database = new pg.Pool({ connectionString, max: 1 });
  try {
    const ways = waysOf({ bench, redis, connectionString, database, home });
    await measureCost(
      bench,
      ways.filter(({ isAhead }) => isAhead !== true),
    );
    const sharing = ways.filter(({ operations }) => operations !== undefined);
    for (const way of sharing) await measureFollowing(bench, way);
    for (const way of sharing) await measureLoss(bench, way);
  } finally {
    await database.end();
    await redis?.remove();
    rmSync(home, { recursive: true, force: true });
  }
}

interface Parts {
  readonly bench: Bench;
  readonly redis: TestRedis | undefined;
  readonly connectionString: string;
  readonly database: pg.Pool;
  readonly home: string;
}

function waysOf({ bench, redis, connectionString, database, home }: Parts): Way[] {
  const transactions = async (): Promise<number> => {
    const { rows } = await database.query<{ count: string }>(TRANSACTIONS);
    return Number(rows[0]?.count);
  };
  const ways: Way[] = [
    { title: 'no relay', args: ['off'], operations: undefined },
    { title: 'postgresRelay()', args: ['lastchunk', connectionString], operations: transactions },
    aheadOf('postgresRelay()', connectionString, transactions),
  ];
  if (redis === undefined) return ways;
  const url = `redis://127.0.0.1:${redis.port}`;
  const operations = async (): Promise<number> => {
    const stats = String(await redis.ask('INFO', 'commandstats'));
    return Array.from(stats.matchAll(/calls=(\d+)/g), ([, calls]) => Number(calls)).reduce(
      (sum, calls) => sum + calls,
      0,
    );
  };
  ways.push({ title: 'redisRelay()', args: ['lastchunk', url], operations });
  ways.push(aheadOf('redisRelay()', url, operations));
  const packages = Object.entries(OTHERS).map(([name, { version }]) => `${name}@${version}`);
  if (!install(bench, home, ['ioredis@5', ...packages])) return ways;
  // The keys of the table.
  for (const name of Object.keys(OTHERS) as Other[]) {
    const files = OTHERS[name].files.map((file) => join(home, 'node_modules', name, file));
    ways.push({ title: name, args: [name, url, files.join(',')], operations });
  }
  return ways;
}

function aheadOf(title: string, url: string, operations: Way['operations']): Way {
  return { title: `${title}, ahead`, args: ['ahead', url], operations, isAhead: true };
}

const TRANSACTIONS = `SELECT xact_commit AS count FROM pg_stat_database WHERE datname = current_database()`;

interface Cost {
  /** Of the server, a token. */
  readonly cpuUs: number;
  /** A stream. */
  readonly operations: number;
}

/** One server at a time, all of its streams at once, and nobody follows. */
async function measureCost(bench: Bench, ways: readonly Way[]): Promise<void> {
  const { quick, found, note } = bench;
  const load = quick ? QUICK.load : LOAD;
  const titles = ways.map(({ title }) => title);
  const costs = await inTurn(titles, quick ? QUICK : ROUNDS, async (title) => {
    const way = ways.find((one) => one.title === title);
    if (way === undefined) throw new Error(`there is no ${title}`);
    return costOf(bench, way, load);
  });
  const cpu = pick(costs, ({ cpuUs }) => cpuUs);
  const operations = pick(costs, (cost) => cost.operations);
  note(`${load.streams} streams of ${load.tokens} tokens at ${1_000 / load.gapMs} a second`);
  for (const { title, operations: counted } of ways) {
    const bare = cpu['no relay'] ?? [];
    found(figure(`shared, CPU: ${title}`, 'µs/token', cpu[title] ?? []));
    if (counted === undefined) continue;
    found(figure(`shared, to no relay: ${title}`, 'x', ratios(cpu[title] ?? [], bare)));
    found(figure(`shared, operations a stream: ${title}`, '', operations[title] ?? []));
  }
}

async function costOf({ built }: Bench, way: Way, load: typeof LOAD): Promise<Cost> {
  const server = await startServer(built, 'relay', { args: way.args });
  for (let turn = 0; turn < WARM_UP.turns; turn++) {
    await readAll(server, { ...load, gapMs: WARM_UP.gapMs });
  }
  await sleep(COUNTED_MS);
  const operationsBefore = (await way.operations?.()) ?? 0;
  const before = await server.usage();
  for (let one = 0; one < LOADS; one++) await readAll(server, load);
  const after = await server.usage();
  await sleep(COUNTED_MS);
  const operations = ((await way.operations?.()) ?? 0) - operationsBefore;
  await server.stop();
  const streams = load.streams * LOADS;
  const cpuUs = (after.cpuUs - before.cpuUs) / (streams * load.tokens);
  return { cpuUs, operations: operations / streams };
}

async function readAll(server: Server, { streams, tokens, gapMs }: typeof LOAD): Promise<void> {
  const all = Array.from({ length: streams }, () =>
    read(server.port, `/stream/${nextId()}/${tokens}/${gapMs}`, () => {}),
  );
  await Promise.all(all);
}
