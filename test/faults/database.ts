/** Faults of the database: it stops, kills connections, its answers are lost, or it is behind a pooler. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import type { Bench } from './bench.ts';
import type { Fault } from './fault.ts';
import { hasPgBouncer, startPgBouncer } from './pgbouncer.ts';

/** The server crashes before, during and after streams, and is started again when their clients have left. */
export const stopped: Fault = {
  name: 'server-stopped',
  title: 'database stopped before, during, after streams',
  run: async (bench, streams) => {
    const app = await bench.app();
    const third = Math.ceil(streams / 3);
    for (const share of [0, 0.4, 0.9]) {
      const conversations = bench.draw(third);
      const tokens = conversations.reduce((sum, { ask }) => sum + ask.tokens.length, 0);
      if (share === 0) await bench.server.stopImmediate();
      const over = bench.run(app, conversations);
      // Clients that leave do not receive the rest of a stream, so fewer tokens arrive than are sent.
      await bench.tokens(conversations, Math.floor(tokens * share * 0.75));
      await bench.server.stopImmediate();
      await over;
      await bench.server.start();
      await bench.settled();
    }
  },
};

/** All connections of the app are killed repeatedly. */
export const connectionsKilled: Fault = {
  name: 'connections-killed',
  title: 'database connections killed continuously',
  run: async (bench, streams) => {
    const app = await bench.app();
    await whileRunning(bench.run(app, bench.draw(streams)), () => killConnections(bench));
  },
};

/** The database commits, but its answer is lost: every retry finds its own row. */
export const answersLost: Fault = {
  name: 'answers-lost',
  title: 'connection cut between commit and answer',
  run: async (bench, streams) => {
    const proxy = await startTcpProxy(bench.server.port);
    const app = await bench.app({ connectionString: through(bench, proxy.port) });
    const conversations = bench.draw(streams);
    await whileRunning(bench.run(app, conversations), async () => {
      proxy.loseAnswers();
      const { sentBytes } = proxy;
      // The statement has run by the time of the cut, because the database answers within a millisecond.
      for (let turn = 0; turn < 20 && proxy.sentBytes === sentBytes; turn += 1) await sleep(2);
      await sleep(bench.random.int(0, 10));
      proxy.cut();
      proxy.resume();
      await sleep(bench.random.int(0, 60));
    });
    await bench.settled();
    await app.close();
    await proxy.close();
  },
};

/** A pooler in transaction mode is between app and server; half of the time its connections to the server are killed. */
export const pooled: Fault = {
  name: 'pgbouncer',
  title: 'PgBouncer in transaction mode',
  impossible: () => (hasPgBouncer() ? undefined : 'there is no program pgbouncer'),
  neededInCi: true,
  run: async (bench, streams) => {
    const bouncer = await startPgBouncer(bench.server.port);
    try {
      const app = await bench.app({ connectionString: through(bench, bouncer.port) });
      const half = Math.floor(streams / 2);
      await bench.run(app, bench.draw(half));
      const broken = bench.run(app, bench.draw(streams - half));
      await whileRunning(broken, () => killConnections(bench));
      await bench.settled();
      await app.close();
    } finally {
      await bouncer.stop();
    }
  },
};

/** Kills all connections of the apps, and pauses for a few milliseconds. */
export async function killConnections(bench: Bench): Promise<void> {
  await bench.query(KILL);
  await sleep(bench.random.int(2, 30));
}

/** PgBouncer passes on the application name of the client. */
const KILL = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'faults'`;

async function whileRunning(over: Promise<void>, breakIt: () => Promise<void>): Promise<void> {
  let running = true;
  const loop = async (): Promise<void> => {
    while (running) await breakIt();
  };
  await Promise.all([over.finally(() => (running = false)), loop()]);
}

function through({ connectionString }: Bench, port: number): string {
  const url = new URL(connectionString);
  url.port = String(port);
  return url.href;
}
