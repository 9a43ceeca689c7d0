/**
 * The random soak: two processes on one journal under mixed load, one event after the other, all drawn from the seed. At
 * the end every stream is held against its row as after any other fault; the first that is wrong is told with the events
 * that happened while it ran.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import type { App } from './app.ts';
import type { Bench } from './bench.ts';
import { converse } from './client.ts';
import type { Conversation } from './conversation.ts';
import type { Fault } from './fault.ts';
import { waitUntil } from './wait.ts';

/** Clients at the same time. */
const CLIENTS = 24;

/** A soak, and what it can say about itself. */
export interface Soak {
  readonly fault: Fault;
  /** Events so far, by kind. */
  summary(): string;
  /** The stream that a sentence of the judge is about, and what happened while it ran. */
  explain(wrong: string): string;
}

interface World {
  readonly bench: Bench;
  readonly apps: readonly [App, App];
  readonly proxy: TcpProxy;
  /** Sets the fault of the disk; `undefined` where there is no compiler. */
  readonly disk: ((fault: string) => void) | undefined;
}

type Event = (world: World, app: App) => Promise<void>;

/** A soak of so long. `say` is told what cannot be done here. */
export function createSoak(durationMs: number, say: (line: string) => void): Soak {
  const happened: { readonly kind: string; readonly fromMs: number; toMs: number }[] = [];
  const ran: { readonly one: Conversation; readonly fromMs: number; toMs: number }[] = [];
  const startMs = performance.now();
  const run = async (bench: Bench): Promise<void> => {
    const shim = buildShim(bench.directory);
    if (shim === undefined) say('skipped: disk errors and delays (there is no compiler)');
    const proxy = await startTcpProxy(bench.server.port);
    const url = new URL(bench.connectionString);
    url.port = String(proxy.port);
    const options = { connectionString: url.href, closeMs: 5_000, env: shim?.env ?? {} };
    const apps = [await bench.app(options), await bench.app(options)] as const;
    const world: World = { bench, apps, proxy, disk: shim?.set };
    const until = performance.now() + durationMs;
    let over = false;
    const clients = Array.from({ length: CLIENTS }, () => client(world, ran, () => over));
    try {
      while (performance.now() < until) {
        const kind = drawKind(world);
        const event = { kind, fromMs: performance.now(), toMs: Infinity };
        happened.push(event);
        await EVENTS[kind]?.(world, bench.random.pick(apps));
        event.toMs = performance.now();
        await sleep(bench.random.int(50, 1_000));
      }
    } finally {
      over = true;
      await Promise.all(clients);
    }
    await bench.settled();
    for (const app of apps) await closeInTime(bench, app);
    await proxy.close();
  };
  return {
    fault: {
      name: 'soak',
      title: `random soak of ${durationMs / 1_000} s`,
      leavesFiles: true,
      run,
    },
    summary() {
      const counts = new Map<string, number>();
      for (const { kind } of happened) counts.set(kind, (counts.get(kind) ?? 0) + 1);
      return Array.from(counts, ([kind, count]) => `${kind} ${count}`).join(', ');
    },
    explain(wrong) {
      const found = ran.find(({ one }) => wrong.startsWith(`${one.id}:`));
      if (found === undefined) return wrong;
      const { one, fromMs, toMs } = found;
      const during = happened
        .filter((event) => event.fromMs <= toMs && event.toMs >= fromMs)
        .map((event) => `${event.kind} at ${seconds(event.fromMs - startMs)}`);
      const client =
        one.leave === undefined ? 'stayed' : `left at ${one.leave.at} by ${one.leave.by}`;
      return `${wrong}; ran from ${seconds(fromMs - startMs)} to ${seconds(toMs - startMs)}; client ${client}; saw ${one.tokens} of ${one.ask.tokens.length} tokens; meanwhile: ${during.join(', ') || 'nothing'}`;
    },
  };
}

/** Asks one answer after the other, each in a way of its own, of whichever process listens. */
async function client(
  { bench, apps }: World,
  ran: { readonly one: Conversation; readonly fromMs: number; toMs: number }[],
  isOver: () => boolean,
): Promise<void> {
  const { random } = bench;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (!isOver()) {
    const base = random.pick(apps).address;
    if (base === undefined) {
      await sleep(20);
      continue;
    }
    const atOnce = random.int(0, 3) === 0;
    for (const one of bench.draw(1, { mayBeInterrupted: true, atOnce, gapMs: [1, 40] })) {
      const run = { one, fromMs: performance.now(), toMs: Infinity };
      ran.push(run);
      await converse(one, base, random.int(0, 1) === 0 && one.leave === undefined ? agent : false);
      run.toMs = performance.now();
      await sleep(one.status === undefined ? 50 : random.int(0, 100));
    }
  }
  agent.destroy();
}

const EVENTS: Readonly<Record<string, Event>> = {
  kill: async (_world, app) => {
    await app.kill();
    await app.start();
  },
  'crash-loop': async ({ bench }, app) => {
    for (let times = bench.random.int(2, 4); times > 0; times -= 1) {
      await app.kill();
      await app.start();
      await sleep(bench.random.int(0, 200));
    }
  },
  sigterm: async ({ bench }, app) => {
    await closeInTime(bench, app);
    await app.start();
  },
  'sigterm-twice': async ({ bench }, app) => {
    await app.closeTwice(bench.random.int(0, 300));
    await app.start();
  },
  sigstop: async ({ bench }, app) => {
    app.freeze();
    await sleep(bench.random.int(100, 3_000));
    app.thaw();
  },
  'database-crash': async ({ bench }) => {
    await bench.server.stopImmediate();
    await sleep(bench.random.int(0, 3_000));
    await bench.server.start();
  },
  'database-lock': async ({ bench }) => {
    const seconds = bench.random.int(1, 6);
    await bench.query(
      `BEGIN; LOCK TABLE lastchunk_messages IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(${seconds}); COMMIT`,
    );
  },
  'database-read-only': async ({ bench, proxy }) => {
    await bench.query(readOnly('SET default_transaction_read_only = on'));
    proxy.cut();
    await sleep(bench.random.int(500, 3_000));
    await waitUntil('the database can be written again', async () => {
      await bench.query(readOnly('RESET default_transaction_read_only'));
      return (await bench.query(SETTINGS))?.length === 0;
    });
    proxy.cut();
  },
  'answers-lost': async ({ bench, proxy }) => {
    proxy.loseAnswers();
    await sleep(bench.random.int(10, 500));
    proxy.cut();
    proxy.resume();
  },
  'network-silent': async ({ bench, proxy }) => {
    proxy.pause();
    await sleep(bench.random.int(100, 4_000));
    proxy.resume();
  },
  'disk-write-error': (world) => breakDisk(world, 'w'),
  'disk-full': (world) => breakDisk(world, 'f'),
  'disk-sync-error': (world) => breakDisk(world, 's'),
  'disk-slow': (world) => breakDisk(world, 'd'),
};

function drawKind({ bench, disk }: World): string {
  const kinds = Object.keys(EVENTS).filter(
    (kind) => disk !== undefined || !kind.startsWith('disk'),
  );
  return kinds[bench.random.int(0, kinds.length - 1)] ?? 'kill';
}

/** The database works meanwhile, and the next event waits until the journals do again: one witness is always there. */
async function breakDisk({ bench, apps, disk }: World, fault: string): Promise<void> {
  disk?.(fault);
  await sleep(bench.random.int(200, 2_000));
  disk?.('-');
  await waitUntil('no journal is degraded', async () => {
    const degraded = apps.map((app) => bench.metric(app, 'lastchunk_journal_degraded'));
    return (await Promise.all(degraded)).every((value) => value === 0);
  });
}

async function closeInTime(bench: Bench, app: App): Promise<void> {
  const { code, closed } = await app.close();
  bench.check(code === 0 && closed?.lost === 0, `close(): ${code} ${JSON.stringify(closed)}`);
}

function readOnly(setting: string): string {
  return `BEGIN READ WRITE; DO $$ BEGIN EXECUTE format('ALTER DATABASE %I ${setting}', current_database()); END $$; COMMIT`;
}

/** What is set for this database alone. */
const SETTINGS = `SELECT 1 FROM pg_db_role_setting
  WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`;

interface Shim {
  readonly env: Readonly<Record<string, string>>;
  readonly set: (fault: string) => void;
}

/** Compiles the library that makes the disk fail; `undefined` where there is no compiler. */
function buildShim(directory: string): Shim | undefined {
  const source = fileURLToPath(new URL('disk-shim.c', import.meta.url));
  const library = join(directory, 'disk-shim.so');
  const flags = ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'];
  if (spawnSync('gcc', flags, { stdio: 'ignore' }).status !== 0) return undefined;
  const control = join(directory, 'disk-fault');
  writeFileSync(control, '-');
  const faulty = join(directory, 'journal');
  return {
    env: { LD_PRELOAD: library, FAULT_FILE: control, FAULTY_DIR: faulty },
    set: (fault) => writeFileSync(control, fault),
  };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
