/** Three instances whose disks go with them, on one engine, and what is lost of their streams when one of them is. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import type { App } from '../app.ts';
import type { Bench } from '../bench.ts';
import type { Conversation } from '../conversation.ts';
import { waitUntil } from '../wait.ts';

/** Where the relay is. */
export type Engine = 'postgres' | 'redis';

/** By default, and as short as it may be. */
const LEASE_MS = 2_000;
const FLUSH_MS = 250;
/** What an exchange may take beside `FLUSH_MS`, while three instances and all clients share a few cores. */
const EXCHANGE_MS = 1_250;
/** What an instance may keep to itself. */
export const UNTOLD_MS = FLUSH_MS + EXCHANGE_MS;
/** From the end of a lease until the messages are in the store. */
const TAKEOVER_MS = 5_000;

/** How often the rows are looked at while streams are waited for. */
const LOOK_MS = 100;

const COUNT = 3;

/** Why there is no such engine here; `undefined` where there is one. */
export function withoutEngine(engine: Engine): string | undefined {
  if (engine === 'postgres') return undefined;
  const { error } = spawnSync('redis-server', ['--version'], { stdio: 'ignore' });
  return error === undefined ? undefined : 'there is no program redis-server';
}

/** How a fleet is started. */
export interface FleetOptions {
  readonly engine: Engine;
  /** The port that instances reach the engine by; default its own. */
  readonly through?: (port: number) => Promise<number>;
  /** The port that instances reach the store by; default its own. */
  readonly storePort?: number;
}

/** Instances of one app. The last one has no journal, the others have one on a disk of their own. */
export class Fleet {
  readonly apps: readonly App[];
  readonly #bench: Bench;
  readonly #redis: TestRedis | undefined;
  readonly #owners = new Map<Conversation, App>();
  /** Of streams whose instance is gone: since when, and since when no instance was lost that might have taken them over. */
  readonly #lost = new Map<Conversation, { readonly atMs: number; sinceMs: number }>();
  readonly #waiting: Promise<void>[] = [];
  #longestMs = 0;
  /** Looks at the rows, and how long all of them took with the pauses between them. */
  #looks = 0;
  #lookedMs = 0;

  private constructor(bench: Bench, apps: readonly App[], redis: TestRedis | undefined) {
    this.#bench = bench;
    this.apps = apps;
    this.#redis = redis;
  }

  /** Starts all of them, and a Redis where that is the engine. */
  static async open(bench: Bench, { engine, through, storePort }: FleetOptions): Promise<Fleet> {
    const redis = engine === 'redis' ? await startRedis() : undefined;
    const own = redis?.port ?? bench.server.port;
    const port = (await through?.(own)) ?? own;
    const relay =
      redis === undefined
        ? withPort(bench.connectionString, port)
        : `redis://127.0.0.1:${String(port)}`;
    // Where journals are looked for at the end: those of a fleet are elsewhere.
    mkdirSync(bench.journal, { recursive: true });
    const start = (index: number): Promise<App> =>
      bench.app({
        connectionString: withPort(bench.connectionString, storePort ?? bench.server.port),
        journal: diskOf(bench, index),
        closeMs: 3_000,
        env: { RELAY_URL: relay, LEASE_MS: String(LEASE_MS) },
      });
    const apps = await Promise.all(Array.from({ length: COUNT }, (_, index) => start(index)));
    return new Fleet(bench, apps, redis);
  }

  /** The same instances, as a list that is not empty. */
  get oneOrMore(): readonly [App, ...App[]] {
    return atLeastOne(this.apps);
  }

  /** Runs streams, each on an instance of its own choice. */
  run(conversations: readonly Conversation[], atOnce?: number): Promise<void> {
    const choose = (conversation: Conversation): App => {
      const app = this.#bench.random.pick(this.oneOrMore);
      this.#owners.set(conversation, app);
      return app;
    };
    return this.#bench.run(choose, conversations, atOnce);
  }

  /** Those that this instance was asked for. */
  of(app: App): Conversation[] {
    return Array.from(this.#owners).flatMap(([one, owner]) => (owner === app ? [one] : []));
  }

  /**
   * Waits until an instance has sent to the engine everything that is older than `UNTOLD_MS`, by its own metrics. Nothing is promised for
   * the streams of an instance that could not reach the engine.
   */
  async waitUntilSent(app: App): Promise<void> {
    const { metric } = this.#bench;
    await waitUntil('an instance has sent its streams', async () => {
      const lagSeconds = (await metric(app, 'lastchunk_relay_lag_seconds')) ?? Infinity;
      const isUp = (await metric(app, 'lastchunk_relay_up')) === 1;
      return isUp && lagSeconds * 1_000 < UNTOLD_MS;
    });
  }

  /** SIGKILL, and its disk is gone. It starts again with an empty one. */
  async lose(app: App): Promise<void> {
    await this.waitUntilSent(app);
    const stored = new Set((await this.#bench.rows()).map((row) => row.conversation_id));
    const atMs = performance.now();
    for (const one of this.#lost.values()) one.sinceMs = atMs;
    const unsaved = this.of(app).filter(
      (one) => one.seen !== '' && !one.sawFinish && !stored.has(one.id) && !this.#lost.has(one),
    );
    await app.kill();
    this.removeDisk(app);
    for (const one of unsaved) {
      one.mayLose(atMs - UNTOLD_MS);
      this.#lost.set(one, { atMs, sinceMs: atMs });
    }
    const finalised = this.#finalised(unsaved);
    // `end` waits for it, and fails with it.
    finalised.catch(() => undefined);
    this.#waiting.push(finalised);
    await app.start();
  }

  removeDisk(app: App): void {
    const disk = diskOf(this.#bench, this.apps.indexOf(app));
    if (disk !== '') rmSync(disk, { recursive: true, force: true });
  }

  /** As in a crash: Redis forgets everything, and the tables of PostgreSQL are emptied. */
  async stopEngine(): Promise<void> {
    await (this.#redis?.kill() ?? this.#bench.server.stopImmediate());
  }

  async startEngine(): Promise<void> {
    await (this.#redis?.start() ?? this.#bench.server.start());
  }

  /** When nothing is on its way any more: says what was lost, and closes the instances. */
  async end(): Promise<void> {
    await Promise.all(this.#waiting);
    await this.#bench.settled();
    await this.#tellLosses();
    for (const app of this.apps) {
      const { code, closed } = await app.close();
      const isOver = code === 0 && closed?.lost === 0;
      this.#bench.check(isOver, `close(): ${code} ${JSON.stringify(closed)}`);
    }
  }

  /** Stops a Redis; once. */
  async remove(): Promise<void> {
    await this.#redis?.remove();
  }

  /**
   * Waits until all of them are in the store, and notes how long the last one took. One that nothing is owed of may have been lost
   * before the engine was told of it: it is waited for as long as a takeover may take.
   */
  async #finalised(conversations: readonly Conversation[]): Promise<void> {
    const left = new Set(conversations);
    const sinceMs = (one: Conversation): number => this.#lost.get(one)?.sinceMs ?? 0;
    const mayBeUntold = (one: Conversation): boolean =>
      one.owed === '' && performance.now() - sinceMs(one) > LEASE_MS + TAKEOVER_MS;
    const what = (): string => {
      const owed = Array.from(left, ({ id, owed: text }) => `${id} (${text.length})`);
      return `lost streams are finalised: ${owed.join(', ')} (characters that must not be lost)`;
    };
    await waitUntil(what, async () => {
      const beganMs = performance.now();
      // Each look reads all rows.
      await sleep(LOOK_MS);
      const stored = new Set((await this.#bench.rows()).map((row) => row.conversation_id));
      this.#looks += 1;
      this.#lookedMs += performance.now() - beganMs;
      for (const one of left) {
        if (!stored.has(one.id)) continue;
        left.delete(one);
        this.#longestMs = Math.max(this.#longestMs, performance.now() - sinceMs(one));
      }
      return [...left].every(mayBeUntold);
    });
  }

  async #tellLosses(): Promise<void> {
    if (this.#lost.size === 0) return;
    const rows = new Map((await this.#bench.rows()).map((row) => [row.conversation_id, row]));
    let [bytes, ms] = [0, 0];
    for (const [{ id, seen, tape }, { atMs }] of this.#lost) {
      const { content = '' } = rows.get(id) ?? {};
      bytes = Math.max(bytes, Buffer.byteLength(seen.slice(content.length)));
      ms = Math.max(ms, atMs - (tape?.grewBeyond(content.length) ?? atMs));
    }
    const { check, tell } = this.#bench;
    tell(
      `${this.#lost.size} streams lost their instance and its disk; of what a client saw at most ${bytes} bytes, ` +
        `the last ${ms.toFixed(0)} ms, are missing; all were finalised within ${(this.#longestMs / 1_000).toFixed(1)} s ` +
        `(a look took ${this.#slowness.toFixed(1)} times its pause)`,
    );
    const isInTime = this.#longestMs <= LEASE_MS + TAKEOVER_MS * this.#slowness;
    check(isInTime, `a lost stream was finalised after ${this.#longestMs.toFixed(0)} ms`);
  }

  /** How many times as long as its pause a look took: what other work on this machine costs the instances too. */
  get #slowness(): number {
    return this.#looks === 0 ? 1 : Math.max(1, this.#lookedMs / (this.#looks * LOOK_MS));
  }
}

/** `''` for one without a journal. */
function diskOf({ directory }: Bench, index: number): string {
  return index === COUNT - 1 ? '' : join(directory, `disk-${index}`);
}

function withPort(connectionString: string, port: number): string {
  const url = new URL(connectionString);
  url.port = String(port);
  return url.href;
}

function atLeastOne<T>([first, ...others]: readonly T[]): readonly [T, ...T[]] {
  if (first === undefined) throw new Error('a fleet has instances');
  return [first, ...others];
}
