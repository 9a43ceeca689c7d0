/** The services of the live proof: what is done to each, and which alerts have to come of it. No other may. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../../demo/random.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import type { App } from './app.ts';
import type { Traffic } from './traffic.ts';

/** What a fault can touch. */
export interface World {
  readonly app: App;
  readonly traffic: Traffic;
  /** The service's own server where it has one, else that of all. */
  readonly database: TestPostgres;
  readonly random: Random;
  /** Aborts when the proof is over. */
  readonly over: AbortSignal;
  /** True once everything that has to arrive has. */
  readonly told: () => boolean;
}

export interface Scenario {
  /** The label `job`. */
  readonly name: string;
  readonly title: string;
  /** `LastchunkX severity`, all that must arrive. */
  readonly expected: readonly string[];
  /** What comes too where the others take long: the same trouble has gone on. */
  readonly later?: readonly string[];
  /** Done once the service has been healthy for a while; may go on until `over`. */
  readonly fault?: (world: World) => Promise<void>;
  /** How long it is left in peace first; the default is enough for every alert. */
  readonly healthyMs?: number;
  /** Of the journal at most. Default: more than it ever needs. */
  readonly journalBytes?: number;
  /** Set where the journal lies in memory, and a relay in the database. */
  readonly inMemory?: true;
  /** Set where the database itself is broken. */
  readonly ownDatabase?: true;
}

/** The smallest that a journal can be. */
const SMALL_JOURNAL = 16 * 1024 * 1024;

export const SCENARIOS: readonly Scenario[] = [
  { name: 'plain', title: 'plain traffic', expected: [] },
  {
    name: 'database-down',
    title: 'the database is down',
    // Its journal is lost with it and its relay is in the same database, so both are worth waking somebody.
    expected: [
      'LastchunkStoreDown critical',
      'LastchunkRelayDown critical',
      'LastchunkJournalBacklogOld warning',
      'LastchunkSaveTimelinessBudgetBurn warning',
    ],
    later: ['LastchunkJournalBacklogOld critical'],
    ownDatabase: true,
    inMemory: true,
    fault: ({ database }) => database.stopImmediate(),
  },
  {
    name: 'journal-full',
    title: 'the journal is full',
    expected: ['LastchunkJournalFillingUp critical', 'LastchunkJournalDegraded warning'],
    journalBytes: SMALL_JOURNAL,
    fault: async ({ traffic, over }) => {
      // Twelve answers of 2 MB, none of which ends.
      const hogs = { tokens: 40, size: 10_000, gapMs: 50, lingerMs: 600_000 };
      for (let hog = 0; hog < 12 && !over.aborted; hog += 1) void traffic.ask(hogs);
    },
  },
  {
    name: 'killed',
    title: 'the process is killed again and again',
    expected: ['LastchunkInstanceRestarting warning'],
    fault: async ({ app, random, over, told }) => {
      while (!over.aborted && !told()) {
        await app.replace();
        await sleep(random.int(3_000, 5_000));
      }
    },
  },
  {
    name: 'silent',
    title: 'no save reports its result',
    expected: ['LastchunkSaveOutcomesMissing critical'],
    // Its alert takes 45 minutes of its own time, longer than any other, and asks for nothing that was before.
    healthyMs: 20_000,
    fault: async ({ app }) => app.silence(),
  },
  {
    name: 'relay-slow',
    title: 'the relay answers late',
    expected: ['LastchunkRelayLagging warning'],
    healthyMs: 20_000,
    inMemory: true,
    // More than the alert allows, and less than a lease.
    fault: async ({ app }) => app.slowRelay(8_000),
  },
  {
    name: 'storm',
    title: 'most clients leave early',
    expected: ['LastchunkDisconnectRateHigh warning'],
    fault: async ({ traffic }) => {
      traffic.leaving = 80;
    },
  },
];
