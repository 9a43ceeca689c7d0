/** End to end: a chat from an OpenAI-compatible model, served as people serve it, each way against the others. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connectTo } from '../client.ts';
import { figure } from '../figures.ts';
import { type Cost, type Generation, inGenerations } from '../generations.ts';
import type { Bench } from '../part.ts';
import { inTurn, pick, ratios, type Rounds } from '../rounds.ts';
import { startServer, startServers, stopServers, type Server } from '../servers.ts';
import { warmUp } from '../warm-up.ts';
import { CHAT_NAMES, CHATS, type Chat, type ChatName } from '../servers/chats.ts';

/** One kind of traffic. */
interface Work {
  readonly name: string;
  /** How the model speaks. */
  readonly how: 'paced' | 'fast';
  /** Clients, each with a connection that it keeps. */
  readonly together: number;
  readonly streams: number;
  /** Of an answer. */
  readonly tokens: number;
  /** What the cost is given for. */
  readonly per: 'token' | 'answer';
  /** Ways that are compared; the costs of a client of a model are those of its tokens, so they are compared once. */
  readonly chats: readonly ChatName[];
}

const OURS: readonly ChatName[] = ['plain', 'careful', 'unjournaled', 'guarded'];

const WORKS: readonly Work[] = [
  {
    name: '100 streams, a token every 20 ms',
    how: 'paced',
    together: 100,
    streams: 100,
    tokens: 100,
    per: 'token',
    chats: OURS,
  },
  {
    name: '8 streams as fast as they go',
    how: 'fast',
    together: 8,
    streams: 16,
    tokens: 1_000,
    per: 'token',
    chats: CHAT_NAMES,
  },
  {
    name: '8 clients, answers of 12 tokens',
    how: 'fast',
    together: 8,
    streams: 800,
    tokens: 12,
    per: 'answer',
    chats: OURS,
  },
];

/** What the model is asked for before anything is measured. */
const WARM_UP = 'fast-20';

/** Processes of each way. */
const GENERATIONS = 3;
/** Those that are not counted have answers of full length, which the warm-up has not. */
const ROUNDS = { rounds: 3, warmUp: 2 };
const QUICK = { generations: 1, rounds: 1, together: 2, streams: 2, tokens: 40 };

export async function benchChat(bench: Bench): Promise<void> {
  const connectionString = await bench.databases.open('off');
  const database = new pg.Pool({ connectionString, max: 1 });
  await database.query('CREATE TABLE bench_answers (text text)');
  const upstream = await startServer(bench.built, 'upstream');
  const baseURL = `http://127.0.0.1:${upstream.port}/v1`;
  await inGenerations(bench, {
    subjects: CHATS,
    things: WORKS,
    generations: bench.quick ? QUICK.generations : GENERATIONS,
    live: () => live(bench, { connectionString, baseURL, database }),
    report: (work, costs) => report(bench, work, costs),
  });
  await upstream.stop();
  await database.end();
}

type Costs = Rounds<ChatName, Cost>;

/** What all of them share. */
interface World {
  readonly connectionString: string;
  readonly baseURL: string;
  readonly database: pg.Pool;
}

async function live(
  { built, quick }: Bench,
  { connectionString, baseURL, database }: World,
): Promise<Generation<ChatName>> {
  const servers = await startServers(CHAT_NAMES, (name) =>
    startServer(built, 'chat', { args: [name, connectionString, baseURL] }),
  );
  for (const name of CHAT_NAMES) {
    const streams = await warmUp(servers[name].port, `/chat/${WARM_UP}`, quick);
    await saved(database, CHATS[name], streams);
  }
  const costs: Costs[] = [];
  for (const work of WORKS) {
    const task = { ...work, ...(quick && QUICK), database };
    const measured = await inTurn(work.chats, quick ? QUICK : ROUNDS, (name) =>
      run(servers[name], CHATS[name], task),
    );
    costs.push({ ...NOT_COMPARED, ...measured });
  }
  return { costs, peakMiB: await stopServers(CHAT_NAMES, servers) };
}

/** No round of any way. */
const NOT_COMPARED = Object.fromEntries(
  CHAT_NAMES.map((name): [ChatName, readonly Cost[]] => [name, []]),
  // Every name has its list.
) as Costs;

function report({ found }: Bench, { name: work, per, chats }: Work, costs: Costs): void {
  const cpu = pick(costs, ({ cpuUs }) => cpuUs);
  const perSecond = pick(costs, (cost) => cost.perSecond);
  for (const name of chats) {
    const of = (what: string): string => `${work}, ${what}: ${CHATS[name].title}`;
    found(figure(of('CPU'), `µs/${per}`, cpu[name]));
    for (const other of ['plain', 'careful', 'guarded'] as const) {
      if (name === other) continue;
      found(figure(of(`to ${CHATS[other].title}`), 'x', ratios(cpu[name], cpu[other])));
    }
    found(figure(of('throughput'), `${per}s/s`, perSecond[name]));
  }
}

interface Task extends Omit<Work, 'name' | 'chats'> {
  readonly database: pg.Pool;
}

/** Asks, reads, and waits until everything that is to be saved is there: saving belongs to the cost. */
async function run(server: Server, chat: Chat, task: Task): Promise<Cost> {
  const { how, tokens, together, streams, database, per } = task;
  const before = await server.usage();
  const startMs = performance.now();
  const left = Array(streams).keys();
  const client = async (): Promise<void> => {
    const connection = await connectTo(server.port);
    // All clients share the one iterator.
    for (const _ of left) await connection.read(`/chat/${how}-${tokens}`);
    connection.close();
  };
  await Promise.all(Array.from({ length: together }, client));
  const seconds = (performance.now() - startMs) / 1_000;
  await saved(database, chat, streams);
  const after = await server.usage();
  const count = per === 'token' ? streams * tokens : streams;
  return { cpuUs: (after.cpuUs - before.cpuUs) / count, perSecond: count / seconds };
}

/** How long rows may take to come. */
const PATIENCE_MS = 20_000;

/** Resolves when all rows are there, and takes them away. */
async function saved(database: pg.Pool, { title, table }: Chat, streams: number): Promise<void> {
  if (table === undefined) return;
  const givesUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const { rows } = await database.query<{ count: string }>(`SELECT count(*) FROM ${table}`);
    const count = Number(rows[0]?.count);
    if (count === streams) break;
    if (performance.now() > givesUpAt) {
      throw new Error(`${title} has saved ${count} of ${streams} answers`);
    }
    await sleep(20);
  }
  await database.query(`TRUNCATE ${table}`);
}
