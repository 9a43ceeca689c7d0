/** Three instances of the app whose disks go with them, with a relay, behind a balancer that takes them in turn. */
import { rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { createAppProcess, type AppProcess } from './app-process.ts';

/** Instances of one app. */
export interface Replicas {
  /** Of the balancer. */
  readonly url: string;
  /** Starts those that do not run; returns when all of them listen. */
  start(): Promise<void>;
  /** SIGKILL for one that runs, and its disk is removed; returns when it is gone. */
  lose(): Promise<void>;
  /** Resets the connections of all clients. */
  cut(): void;
  /** Kills all of them and stops the balancer. */
  close(): Promise<void>;
}

/** How they are started. */
export interface ReplicaOptions {
  /** Beside the journal, for all of them. */
  readonly env: Readonly<Record<string, string>>;
  /** Their disks are directories in it. */
  readonly home: string;
  readonly log: string;
  readonly onCrash: (error: Error) => void;
}

interface Replica {
  readonly app: AppProcess;
  readonly journal: string;
  isUp: boolean;
}

const COUNT = 3;

/** Starts the balancer alone: the instances follow when they are needed. */
export async function createReplicas(options: ReplicaOptions): Promise<Replicas> {
  const { env, home, log, onCrash } = options;
  const all = Array.from({ length: COUNT }, (_, index): Replica => {
    const journal = join(home, `journal-${index}`);
    const app = createAppProcess({ ...env, JOURNAL: journal, RELAY: 'true' }, log, onCrash);
    return { app, journal, isUp: false };
  });
  const running = (): readonly Replica[] => all.filter(({ isUp }) => isUp);
  const balancer = await startBalancer(() => running().map(({ app }) => app.url));
  return {
    url: balancer.url,
    start: async () => {
      const down = all.filter(({ isUp }) => !isUp);
      await Promise.all(down.map(({ app }) => app.start()));
      for (const one of down) one.isUp = true;
    },
    lose: async () => {
      const [lost] = running();
      if (lost === undefined) throw new Error('there is no instance that could be lost');
      lost.isUp = false;
      await lost.app.kill();
      rmSync(lost.journal, { recursive: true, force: true });
    },
    cut: balancer.cut,
    close: async () => {
      balancer.close();
      await Promise.all(all.map(({ app }) => app.kill()));
    },
  };
}

interface Balancer {
  readonly url: string;
  cut(): void;
  close(): void;
}

/** Each connection goes to the next one of `urls()`. */
async function startBalancer(urls: () => readonly string[]): Promise<Balancer> {
  const clients = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    const targets = urls();
    const target = targets[turn++ % targets.length];
    if (target === undefined) return void client.destroy();
    clients.add(client);
    const upstream = connect(Number(new URL(target).port), '127.0.0.1');
    const end = (): void => {
      clients.delete(client);
      client.destroy();
      upstream.destroy();
    };
    // A connection that breaks on one side breaks on the other: that is all that a client notices of a lost instance.
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    for (const client of clients) client.resetAndDestroy();
  };
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    cut,
    close: () => {
      server.close();
      cut();
    },
  };
}
