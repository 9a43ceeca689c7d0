/** End to end: a chat from an OpenAI-compatible model, served as people serve it, each way against the others. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { atATime, connectTo } from '../client.ts';
import { figure } from '../figures.ts';
import { type Cost, type Generation, inGenerations } from '../generations.ts';
import type { Bench } from '../part.ts';
import { inTurn, pick, ratios, type Rounds } from '../rounds.ts';
import { startServer, startServers, stopServers, type Server } from '../servers.ts';
import { warmUp } from '../warm-up.ts';
import { CHAT_NAMES, CHATS, type Chat, type ChatName } from '../servers/chats.ts';

/** How the model speaks, and how many listen at a time. */
const PACES = [
  { name: 'a token now and then', how: 'paced', together: 20, streams: 20 },
  { name: 'as fast as it goes', how: 'fast', together: 4, streams: 40 },
] as const;

/** Of an answer. */
const TOKENS = 200;

/** What the model is asked for before anything is measured. */
const WARM_UP = 'fast-20';

/** Processes of each way. */
const GENERATIONS = 3;
/** Those that are not counted have answers of full length, which the warm-up has not. */
const ROUNDS = { rounds: 3, warmUp: 2 };
const QUICK = { generations: 1, rounds: 1, streams: 2, tokens: 40 };

export async function benchChat(bench: Bench): Promise<void> {
  const connectionString = await bench.databases.open('off');
  const database = new pg.Pool({ connectionString, max: 1 });
  await database.query('CREATE TABLE bench_answers (text text)');
  const upstream = await startServer(bench.built, 'upstream');
  const baseURL = `http://127.0.0.1:${upstream.port}/v1`;
  await inGenerations(bench, {
    subjects: CHATS,
    things: PACES,
    generations: bench.quick ? QUICK.generations : GENERATIONS,
    live: () => live(bench, { connectionString, baseURL, database }),
    report: (pace, costs) => report(bench, pace.name, costs),
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
  for (const pace of PACES) {
    const { streams, tokens } = quick ? QUICK : { ...pace, tokens: TOKENS };
    const task = { how: pace.how, together: pace.together, tokens, streams, database };
    costs.push(
      await inTurn(CHAT_NAMES, quick ? QUICK : ROUNDS, (name) =>
        run(servers[name], CHATS[name], task),
      ),
    );
  }
  return { costs, peakMiB: await stopServers(CHAT_NAMES, servers) };
}

function report({ found }: Bench, pace: string, costs: Costs): void {
  const cpu = pick(costs, ({ cpuUs }) => cpuUs);
  const perSecond = pick(costs, (cost) => cost.perSecond);
  for (const name of CHAT_NAMES) {
    const of = (what: string): string => `${pace}, ${what}: ${CHATS[name].title}`;
    found(figure(of('CPU'), 'µs/token', cpu[name]));
    for (const other of ['plain', 'guarded'] as const) {
      if (name === other) continue;
      found(figure(of(`to ${CHATS[other].title}`), 'x', ratios(cpu[name], cpu[other])));
    }
    found(figure(of('throughput'), 'tokens/s', perSecond[name]));
  }
}

interface Task {
  readonly how: string;
  readonly tokens: number;
  readonly together: number;
  readonly streams: number;
  readonly database: pg.Pool;
}

/** Asks, reads, and waits until everything that is to be saved is there: saving belongs to the cost. */
async function run(server: Server, chat: Chat, task: Task): Promise<Cost> {
  const { how, tokens, together, streams, database } = task;
  const before = await server.usage();
  const startMs = performance.now();
  await atATime(together, streams, async () => {
    const connection = await connectTo(server.port);
    await connection.read(`/chat/${how}-${tokens}`);
    connection.close();
  });
  const seconds = (performance.now() - startMs) / 1_000;
  await saved(database, chat, streams);
  const after = await server.usage();
  const count = streams * tokens;
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
