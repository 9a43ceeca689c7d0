/** One service of the live proof: app, database and traffic; left in peace for a while, then broken. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../../../demo/random.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createApp } from './app.ts';
import type { Scenario } from './scenarios.ts';
import { startTraffic } from './traffic.ts';
import type { Course } from './verdict.ts';

/** A service that runs. */
export interface Service {
  readonly scenario: Scenario;
  /** What has happened to it so far. */
  readonly course: Course;
  /** Breaks it once it has been left in peace for long enough; never rejects. */
  breakDown(): Promise<void>;
  stop(): Promise<void>;
}

/** Where it runs, and who wants to know. */
export interface Surroundings {
  /** For its journal and its log. */
  readonly directory: string;
  readonly seed: number;
  /** For all that need none of their own. */
  readonly database: TestPostgres;
  /** Aborts when the proof is over. */
  readonly over: AbortSignal;
  /** Told where it listens, whenever that changes. */
  readonly onAddress: (address: string) => void;
  /** Told when it is about to be broken. */
  readonly onBreak: () => void;
  /** True once everything that has to arrive has. */
  readonly told: () => boolean;
}

/** Healthy for so long first: more than the quarter of an hour that an unusual share is compared over. */
const HEALTHY_MS = 65_000;
/** Of Linux: a file system in memory. */
const MEMORY = '/dev/shm';
const AMPLE_JOURNAL = 256 * 1024 * 1024;

/** Starts it, with traffic. */
export async function startService(scenario: Scenario, around: Surroundings): Promise<Service> {
  const { name, ownDatabase, inMemory = false, fault, healthyMs = HEALTHY_MS } = scenario;
  const { directory, over, told, onAddress, onBreak } = around;
  const random = createRandom(around.seed);
  const database = ownDatabase === true ? await startPostgres() : around.database;
  const journal = inMemory
    ? mkdtempSync(join(MEMORY, 'lastchunk-slo-'))
    : join(directory, `journal-${name}`);
  const app = createApp({
    connectionString: await database.newDatabase(),
    journal,
    relay: inMemory,
    journalBytes: scenario.journalBytes ?? AMPLE_JOURNAL,
    log: join(directory, `${name}.log`),
    onAddress,
  });
  await app.start();
  const traffic = startTraffic(app, random);
  let happened: Omit<Course, 'streams'> = {};
  return {
    scenario,
    get course() {
      return { streams: traffic.streams, ...happened };
    },
    breakDown: async () => {
      if (fault === undefined) return;
      try {
        await sleep(healthyMs, undefined, { signal: over });
        onBreak();
        happened = { brokenAtMs: Date.now() };
        await fault({ app, database, random, traffic, over, told });
      } catch (error) {
        happened = { ...happened, mishap: error instanceof Error ? error.message : String(error) };
      }
    },
    stop: async () => {
      await app.kill();
      await traffic.stop();
      if (inMemory) rmSync(journal, { recursive: true, force: true });
      if (database !== around.database) await database.remove();
    },
  };
}
