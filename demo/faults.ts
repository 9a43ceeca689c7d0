/**
 * What goes wrong, as a table: what each client and its upstream do, and what is done to the app and its
 * database while they do it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppProcess } from './app-process.ts';
import type { LeaveAt, LeaveBy } from './client.ts';
import type { Database } from './database.ts';
import type { Random } from './random.ts';
import type { Replicas } from './replicas.ts';
import type { Script, Upstream } from './upstream.ts';

/** Names for the figures. */
export type FaultName =
  | 'none'
  | 'disconnect'
  | 'disconnect-at-terminal'
  | 'upstream-reset'
  | 'upstream-stall'
  | 'pool-exhausted'
  | 'connections-killed'
  | 'database-down'
  | 'process-killed'
  | 'connection-lost'
  | 'instance-lost';

/** Everything that can be broken. */
export interface World {
  readonly app: AppProcess;
  /** Three more of it, each with a disk of its own. */
  readonly replicas: Replicas;
  readonly database: Database;
  /** `undefined` when the model is somebody else's. */
  readonly upstream: Upstream | undefined;
}

/** What one client and its upstream do. */
export interface Course {
  readonly leave?: { readonly at: LeaveAt; readonly by: LeaveBy };
  readonly breaks?: Script['breaks'];
  /** Default 15 s. */
  readonly patienceMs?: number;
  /** The history is read in the moment the client leaves, and what it holds then is what counts. */
  readonly readAtOnce?: true;
  /** The client asks for the rest when its connection breaks, and the whole answer is what counts. */
  readonly readsOn?: true;
}

/** The streams of one fault. */
export interface Streams {
  /** Runs them all at once; returns when every client is done. */
  run(): Promise<void>;
  /** Returns when all have begun and half have given so many tokens, or all are over. */
  underWay(tokens: number): Promise<void>;
  /** What happens now may take what clients got in the last so many milliseconds. */
  mayLose(lastMs: number): void;
}

/** One kind of trouble. */
export interface Fault {
  readonly name: FaultName;
  readonly title: string;
  /** Draws the course of a stream of so many tokens. */
  readonly course: (random: Random, tokens: number) => Course;
  /** Runs the streams and breaks the world around them; without it they run together with others. */
  readonly around?: (world: World, streams: Streams, random: Random) => Promise<void>;
  /** The clients talk to the three instances, and their answers take longer than an instance keeps to itself. */
  readonly onReplicas?: true;
  /** Why it cannot be done to this world; `undefined` when it can. */
  readonly impossible?: (world: World) => string | undefined;
}

/** In the order of the table. */
export const FAULTS: readonly Fault[] = [
  { name: 'none', title: 'nothing goes wrong', course: () => ({}) },
  {
    name: 'disconnect',
    title: 'client leaves at a random token',
    course: (random, tokens) => ({
      leave: { at: random.int(1, tokens - 1), by: random.pick(['fin', 'rst']) },
    }),
  },
  {
    name: 'disconnect-at-terminal',
    title: 'client leaves at the last frame, reads history',
    course: (random) => ({
      leave: { at: random.pick(['finish-reason', 'done']), by: random.pick(['fin', 'rst']) },
      readAtOnce: true,
    }),
  },
  {
    name: 'upstream-reset',
    title: 'model resets the connection',
    course: (random, tokens) => ({
      breaks: { how: 'reset', afterTokens: random.int(1, tokens - 1) },
    }),
    impossible: needsOwnUpstream,
  },
  {
    name: 'upstream-stall',
    title: 'model stalls, client gives up after 2 s',
    course: (random, tokens) => ({
      breaks: { how: 'stall', afterTokens: random.int(1, tokens - 1) },
      patienceMs: 2_000,
    }),
    impossible: needsOwnUpstream,
  },
  {
    name: 'pool-exhausted',
    title: "app's connection pool is exhausted",
    course: () => ({}),
    around: exhaustPool,
  },
  {
    name: 'connections-killed',
    title: 'database connections are killed all the time',
    course: () => ({}),
    around: killConnections,
  },
  {
    name: 'database-down',
    title: 'database is down',
    course: () => ({}),
    around: takeDatabaseDown,
    impossible: ({ database }) =>
      database.server === undefined ? 'the server in DATABASE_URL is not ours to stop' : undefined,
  },
  {
    name: 'process-killed',
    title: 'app is killed (SIGKILL) and restarted',
    course: () => ({}),
    around: killProcess,
  },
  {
    name: 'connection-lost',
    title: 'client loses its connection, reads on elsewhere',
    course: () => ({ readsOn: true }),
    around: cutClients,
    onReplicas: true,
  },
  {
    name: 'instance-lost',
    title: 'instance killed, its disk gone',
    course: () => ({}),
    around: loseInstance,
    onReplicas: true,
  },
];

function needsOwnUpstream({ upstream }: World): string | undefined {
  return upstream === undefined ? 'the model at OPENAI_BASE_URL is not ours to break' : undefined;
}

/** Slow pages take every connection of the app's pool (10, pg's default) until the streams are over. */
async function exhaustPool({ app, database }: World, streams: Streams): Promise<void> {
  let over = false;
  const reader = async (): Promise<void> => {
    // A page that fails, because another one got the connection or was ended, is asked for again.
    while (!over) await fetch(new URL('/report', app.url)).catch(() => sleep(10));
  };
  const connections = 10;
  const reading = Promise.all(Array.from({ length: connections }, reader));
  while ((await database.sleepers()) < connections) await sleep(10);
  await streams.run();
  over = true;
  await wakeUntil(reading, database);
}

/** A page may get its connection only now: it is ended too. */
async function wakeUntil(done: Promise<unknown>, database: Database): Promise<void> {
  let waiting = true;
  void done.finally(() => (waiting = false));
  while (waiting) {
    await database.wakeSleepers();
    await sleep(20);
  }
}

async function killConnections({ database }: World, streams: Streams): Promise<void> {
  let running = true;
  const kill = async (): Promise<void> => {
    while (running) {
      await database.killConnections();
      await sleep(10);
    }
  };
  await Promise.all([streams.run().finally(() => (running = false)), kill()]);
}

/** As a crash: no goodbye to clients. The server is back when the streams are over. */
async function takeDatabaseDown({ database }: World, streams: Streams): Promise<void> {
  await database.server?.stopImmediate();
  await streams.run();
  await database.server?.start();
}

async function killProcess({ app }: World, streams: Streams, random: Random): Promise<void> {
  const over = streams.run();
  await streams.underWay(random.int(2, 20));
  await app.kill();
  await over;
  await app.start();
}

/** The relay is told every 250 ms; until then a stream is known to its own instance alone. */
const FLUSH_MS = 250;

/** What an exchange may take beside that, on a machine that runs all of this at once. */
const EXCHANGE_MS = 500;

async function cutClients({ replicas }: World, streams: Streams): Promise<void> {
  await replicas.start();
  const over = streams.run();
  await streams.underWay(2);
  await sleep(FLUSH_MS + EXCHANGE_MS);
  replicas.cut();
  await over;
}

/** One that has a third of the streams, and does not come back. */
async function loseInstance({ replicas }: World, streams: Streams): Promise<void> {
  const untoldMs = FLUSH_MS + EXCHANGE_MS;
  await replicas.start();
  const over = streams.run();
  await streams.underWay(2);
  // So that everybody has seen something that has to be there.
  await sleep(untoldMs);
  streams.mayLose(untoldMs);
  await replicas.lose();
  await over;
}
