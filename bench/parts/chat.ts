/** End to end: a chat from an OpenAI-compatible model, served as people serve it, each way against the others. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { atATime, connectTo } from '../client.ts';
import { figure } from '../figures.ts';
import type { Bench } from '../part.ts';
import { inTurn, pick, ratios } from '../rounds.ts';
import { startServer, startServers, type Server } from '../servers.ts';
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

const ROUNDS = { rounds: 6, warmUp: 1 };
const QUICK = { rounds: 1, streams: 2, tokens: 40 };

export async function benchChat(bench: Bench): Promise<void> {
  const connectionString = await bench.databases.open('off');
  const database = new pg.Pool({ connectionString, max: 1 });
  await database.query('CREATE TABLE bench_answers (text text)');
  const upstream = await startServer(bench.built, 'upstream');
  const baseURL = `http://127.0.0.1:${upstream.port}/v1`;
  const servers = await startServers(CHAT_NAMES, (name) =>
    startServer(bench.built, 'chat', { args: [name, connectionString, baseURL] }),
  );
  for (const name of CHAT_NAMES) {
    const streams = await warmUp(servers[name].port, `/chat/${WARM_UP}`, bench.quick);
    await saved(database, CHATS[name], streams);
  }
  for (const pace of PACES) {
    const tokens = bench.quick ? QUICK.tokens : TOKENS;
    await measure(bench, servers, { ...pace, tokens, database });
  }
  for (const name of CHAT_NAMES) {
    const { peakBytes } = await servers[name].usage();
    bench.found(figure(`memory, peak: ${CHATS[name].title}`, 'MiB', [peakBytes / 2 ** 20]));
    await servers[name].stop();
  }
  await upstream.stop();
  await database.end();
}

interface Task {
  readonly tokens: number;
  readonly name: string;
  readonly how: string;
  readonly together: number;
  readonly streams: number;
  readonly database: pg.Pool;
}

async function measure(
  { quick, found }: Bench,
  servers: Readonly<Record<ChatName, Server>>,
  task: Task,
): Promise<void> {
  const streams = quick ? QUICK.streams : task.streams;
  const results = await inTurn(CHAT_NAMES, quick ? QUICK : ROUNDS, (name) =>
    run(servers[name], CHATS[name], { ...task, streams }),
  );
  const cpu = pick(results, ({ cpuUs }) => cpuUs);
  const perSecond = pick(results, (result) => result.perSecond);
  for (const name of CHAT_NAMES) {
    const of = (what: string): string => `${task.name}, ${what}: ${CHATS[name].title}`;
    found(figure(of('CPU'), 'µs/token', cpu[name]));
    for (const other of ['plain', 'guarded'] as const) {
      if (name === other) continue;
      found(figure(of(`to ${CHATS[other].title}`), 'x', ratios(cpu[name], cpu[other])));
    }
    found(figure(of('throughput'), 'tokens/s', perSecond[name]));
  }
}

/** Asks, reads, and waits until everything that is to be saved is there: saving belongs to the cost. */
async function run(server: Server, chat: Chat, task: Task) {
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
