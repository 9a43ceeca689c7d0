/**
 * The random soak: two processes on one journal under mixed load, with one event after the other, all drawn from the seed. At the end every
 * stream is compared with its row as after any other fault; the first failure is reported with the events that happened during its stream.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRandom, type Random } from '../../demo/random.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import type { App } from './app.ts';
import type { Bench } from './bench.ts';
import type { Fault } from './fault.ts';
import { runClient, type Ran } from './soak-clients.ts';
import { waitUntil } from './wait.ts';

/** Clients at the same time. */
const CLIENTS = 24;

/** A soak, and its reports. */
export interface Soak {
  readonly fault: Fault;
  /** Counts of streams and events so far, by kind. */
  summary(): string;
  /** The first of these sentences by the time of its stream, and the events during that stream. */
  explainFirst(wrong: readonly string[]): string;
}

/** Options of a soak. */
export interface SoakOptions {
  readonly durationMs: number;
  /** Repeats the choices of each client and of the events. */
  readonly seed: number;
  /** Receives a line about faults that cannot run here. */
  readonly say: (line: string) => void;
}

interface World {
  readonly bench: Bench;
  /** Draws the events. */
  readonly random: Random;
  readonly apps: readonly [App, App];
  readonly proxy: TcpProxy;
  /** Sets the fault of the disk; `undefined` where there is no compiler. */
  readonly disk: ((fault: string) => void) | undefined;
}

type Event = (world: World, app: App) => Promise<void>;

interface Happened {
  readonly kind: string;
  readonly fromMs: number;
  toMs: number;
}

/** Creates a soak. */
export function createSoak({ durationMs, seed, say }: SoakOptions): Soak {
  const happened: Happened[] = [];
  const ran: Ran[] = [];
  const startMs = performance.now();
  let log = '';
  const run = async (bench: Bench): Promise<void> => {
    log = join(bench.directory, 'app.log');
    const shim = buildShim(bench.directory);
    if (shim === undefined) say('skipped: disk errors and delays (there is no compiler)');
    const proxy = await startTcpProxy(bench.server.port);
    const url = new URL(bench.connectionString);
    url.port = String(proxy.port);
    const env = { ...shim?.env, JOURNAL_NAME: 'soak' };
    const options = { connectionString: url.href, closeMs: 5_000, env };
    const apps = [await bench.app(options), await bench.app(options)] as const;
    const world: World = { bench, random: createRandom(seed), apps, proxy, disk: shim?.set };
    let over = false;
    const clientWorld = { bench, apps, isOver: () => over, onRun: (one: Ran) => ran.push(one) };
    const clients = Array.from({ length: CLIENTS }, (_, index) =>
      runClient(clientWorld, seed + 1 + index),
    );
    try {
      await happen(world, performance.now() + durationMs, happened);
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
      mayBeUnconfirmed: true,
      run,
    },
    summary: () =>
      `streams: ${countsOf(ran.map(({ kind, one }) => `${kind} ${one.ask.handler}`))}\n` +
      `events: ${countsOf(happened.map(({ kind }) => kind))}`,
    explainFirst(wrong) {
      const found = wrong
        .map((what) => ({ what, of: ran.find(({ one }) => what.startsWith(`${one.id}:`)) }))
        .sort((a, b) => (a.of?.fromMs ?? 0) - (b.of?.fromMs ?? 0));
      const [first] = found;
      const others = found.slice(1, 5).map(({ what }) => what);
      const more =
        found.length === 1 ? '' : `; ${found.length - 1} more, such as ${others.join(' / ')}`;
      if (first?.of === undefined) return `${first?.what ?? ''}${more}`;
      return `${first.what}; ${describe(first.of, { happened, startMs, log })}${more}`;
    },
  };
}

/** Causes one event after the other until `untilMs`. */
async function happen(world: World, untilMs: number, happened: Happened[]): Promise<void> {
  const { random, apps } = world;
  while (performance.now() < untilMs) {
    const kind = drawKind(world);
    const event = { kind, fromMs: performance.now(), toMs: Infinity };
    happened.push(event);
    await EVENTS[kind]?.(world, random.pick(apps));
    event.toMs = performance.now();
    await sleep(random.int(50, 1_000));
  }
}

/** Describes a stream: its client, what it received, the events during it, and the log lines about it. */
function describe(
  { one, kind, fromMs, toMs }: Ran,
  about: { readonly happened: readonly Happened[]; readonly startMs: number; readonly log: string },
): string {
  const at = (ms: number): string => `${((ms - about.startMs) / 1_000).toFixed(1)} s`;
  const during = about.happened
    .filter((event) => event.fromMs <= toMs && event.toMs >= fromMs)
    .map((event) => `${event.kind} from ${at(event.fromMs)} to ${at(event.toMs)}`);
  const left = one.leave === undefined ? 'stayed' : `left at ${one.leave.at} by ${one.leave.by}`;
  const said = linesAbout(about.log, one.streamId);
  return [
    `${kind} client of ${one.ask.handler}, ${left}, from ${at(fromMs)} to ${at(toMs)}`,
    `status ${one.status ?? 'none'}, stream ${one.streamId ?? 'unknown'}`,
    `saw ${one.tokens} of ${one.ask.tokens.length} tokens${one.sawFinish ? ' and the end' : ''}`,
    `meanwhile: ${during.join(', ') || 'nothing'}`,
    ...(said === '' ? [] : [`the apps said: ${said}`]),
  ].join('; ');
}

function linesAbout(log: string, streamId: string | undefined): string {
  if (streamId === undefined) return '';
  const lines = readFileSync(log, 'utf8').split('\n');
  const about = lines.flatMap((line, index) =>
    line.includes(streamId) ? lines.slice(Math.max(0, index - 3), index + 2) : [],
  );
  return about.slice(0, 20).join(' | ');
}

function countsOf(kinds: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const kind of kinds.toSorted()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return Array.from(counts, ([kind, count]) => `${kind} ${count}`).join(', ');
}

const EVENTS: Readonly<Record<string, Event>> = {
  kill: async (_world, app) => {
    await app.kill();
    await app.start();
  },
  'crash-loop': async ({ random }, app) => {
    for (let times = random.int(2, 4); times > 0; times -= 1) {
      await app.kill();
      await app.start();
      await sleep(random.int(0, 200));
    }
  },
  sigterm: async ({ bench }, app) => {
    await closeInTime(bench, app);
    await app.start();
  },
  'sigterm-twice': async ({ random }, app) => {
    await app.closeTwice(random.int(0, 300));
    await app.start();
  },
  sigstop: async ({ random }, app) => {
    app.freeze();
    await sleep(random.int(100, 3_000));
    app.thaw();
  },
  'database-crash': async ({ bench, random }) => {
    await bench.server.stopImmediate();
    await sleep(random.int(0, 3_000));
    await bench.server.start();
  },
  'database-lock': async ({ bench, random }) => {
    const seconds = random.int(1, 6);
    await bench.query(
      `BEGIN; LOCK TABLE lastchunk_messages IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(${seconds}); COMMIT`,
    );
  },
  'database-read-only': async ({ bench, random, proxy }) => {
    await bench.query(readOnly('SET default_transaction_read_only = on'));
    proxy.cut();
    await sleep(random.int(500, 3_000));
    await waitUntil('the database can be written again', async () => {
      await bench.query(readOnly('RESET default_transaction_read_only'));
      return (await bench.query(SETTINGS))?.length === 0;
    });
    proxy.cut();
  },
  'answers-lost': async ({ random, proxy }) => {
    proxy.loseAnswers();
    await sleep(random.int(10, 500));
    proxy.cut();
    proxy.resume();
  },
  'network-silent': async ({ random, proxy }) => {
    proxy.pause();
    await sleep(random.int(100, 4_000));
    proxy.resume();
  },
  'disk-write-error': (world) => breakDisk(world, 'w'),
  'disk-full': (world) => breakDisk(world, 'f'),
  'disk-sync-error': (world) => breakDisk(world, 's'),
  'disk-slow': (world) => breakDisk(world, 'd'),
};

function drawKind({ random, disk }: World): string {
  const kinds = Object.keys(EVENTS).filter(
    (kind) => disk !== undefined || !kind.startsWith('disk'),
  );
  return kinds[random.int(0, kinds.length - 1)] ?? 'kill';
}

/**
 * During a disk fault the database works, and the next event waits until the journals have recovered: so database or disk is always
 * available.
 */
async function breakDisk({ bench, random, apps, disk }: World, fault: string): Promise<void> {
  disk?.(fault);
  await sleep(random.int(200, 2_000));
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

/** The settings of this database alone. */
const SETTINGS = `SELECT 1 FROM pg_db_role_setting
  WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`;

interface Shim {
  readonly env: Readonly<Record<string, string>>;
  readonly set: (fault: string) => void;
}

/** Compiles the library that injects disk faults; `undefined` where there is no compiler. */
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
