/** The environment of a fault: its own database, apps and streams, and the judgement at the end. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Random } from '../../demo/random.ts';
import { postgres } from '../../src/postgres/index.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { createApp, type App, type AppOptions } from './app.ts';
import { converse, converseHttp2 } from './client.ts';
import { drawConversation, type Conversation, type Drawing } from './conversation.ts';
import { judgeAll, type Row, type StoredId, type Tally } from './judge.ts';
import { waitUntil } from './wait.ts';
import { watch, type Watch } from './watch.ts';

/** Clients at the same time. */
const CLIENTS = 60;

/** The environment of one fault. */
export interface Bench {
  readonly random: Random;
  readonly server: TestPostgres;
  readonly connectionString: string;
  /** The journal directory of the apps, unless their options name another. */
  readonly journal: string;
  /** A directory for this fault alone. */
  readonly directory: string;
  /** Runs a statement in the fault's database; undefined when the database does not answer. */
  query<R extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<R[] | undefined>;
  /** Starts an app and watches it. */
  app(options?: Partial<AppOptions>): Promise<App>;
  /** Draws streams; they are judged at the end. */
  draw(count: number, drawing?: Omit<Drawing, 'prefix'>): Conversation[];
  /** Runs streams; resolves when every client has finished. Default: 60 at a time. */
  run(to: RunsOn, conversations: readonly Conversation[], atOnce?: number): Promise<void>;
  /** Resolves when the clients together have received this many tokens, or all tokens. */
  tokens(conversations: readonly Conversation[], count: number): Promise<void>;
  /** Records the failure `otherwise` unless `holds` is true. */
  check(holds: boolean, otherwise: string): void;
  /** Adds a line below the table. */
  tell(line: string): void;
  /** Waits until every stream has its row, and no app has live streams, pending saves or journal entries. */
  settled(): Promise<void>;
  /** The rows in the table now. */
  rows(): Promise<readonly Row[]>;
  /** The sum of a metric in this app; `undefined` when the app does not answer. */
  metric(app: App, name: string): Promise<number | undefined>;
}

/** The app that gets the requests, or a function that chooses the app for each stream. */
export type RunsOn = App | ((conversation: Conversation) => App);

/** A bench, and the functions that end it. */
export interface ClosableBench extends Bench {
  /** The lines of `tell` so far. */
  readonly notes: readonly string[];
  /** Closes the apps, checks that the journal is empty, and judges every stream. */
  finish(): Promise<Tally>;
  /** Ends all processes, in whatever state they are. */
  tearDown(): Promise<void>;
}

/** Creates a bench. `onDone` is called for every stream whose client has finished. */
export async function createBench(options: {
  readonly name: string;
  readonly random: Random;
  readonly server: TestPostgres;
  readonly directory: string;
  readonly leavesFiles: boolean;
  readonly mayBeUnconfirmed: boolean;
  readonly onDone: () => void;
}): Promise<ClosableBench> {
  const { name, random, server, directory, onDone } = options;
  mkdirSync(directory, { recursive: true });
  const connectionString = await server.newDatabase();
  const store = postgres({ connectionString });
  await store.migrate();
  await store.close();
  const pool = new pg.Pool({ connectionString, max: 3, application_name: 'faults' });
  // Faults stop the server; the next query opens a new connection.
  pool.on('error', () => {});

  const journal = join(directory, 'journal');
  const wrong: string[] = [];
  const notes: string[] = [];
  const all: Conversation[] = [];
  const watches = new Map<App, Watch>();
  let lastGiven: Partial<AppOptions> = {};

  const query: Bench['query'] = async (sql, values) => {
    try {
      return (await pool.query(sql, values)).rows;
    } catch {
      // The fault stopped the server or cut the connection: the caller tries again.
      return undefined;
    }
  };
  const rows = (): Promise<readonly Row[]> => waitUntil('rows can be read', () => query<Row>(ROWS));
  const metric: Bench['metric'] = async (app, metricName) =>
    (await watches.get(app)?.scrape())?.sum(metricName);
  const busyGauges = async ([app, { scrape }]: [App, Watch]): Promise<readonly string[]> => {
    if (app.address === undefined) return [];
    const found = await scrape();
    if (found === undefined) return ['no scrape'];
    const gauges = BUSY.map((gauge) => ({ gauge, value: found.sum(gauge) }));
    return gauges.filter(({ value }) => value !== 0).map(({ gauge, value }) => `${gauge} ${value}`);
  };
  /** What has not finished yet, in words; empty when everything has. */
  const onTheWay = async (): Promise<string> => {
    const busy = await Promise.all(Array.from(watches, busyGauges));
    if (busy.some((gauges) => gauges.length > 0)) return busy.flat().join(', ');
    const ids = await waitUntil('rows can be read', () => query<StoredId>(STORED_IDS));
    const stored = new Set(ids.map((row) => row.conversation_id));
    const missing = all.filter(({ id, owed }) => owed !== '' && !stored.has(id));
    return missing.length === 0 ? '' : `${missing.length} without a row`;
  };
  const settled = async (): Promise<void> => {
    let last = '';
    await waitUntil('nothing is on its way any more', async () => {
      last = await onTheWay();
      return last === '';
    }).catch((error: unknown) => wrong.push(`${String(error)}: ${last}`));
  };

  const closeAll = async (): Promise<void> => {
    for (const [app, { stop }] of watches) {
      await stop();
      if (app.address === undefined) {
        await app.abandon();
        continue;
      }
      const { code, closed } = await app.close();
      if (code !== 0 || closed?.lost !== 0) wrong.push(`close(): ${JSON.stringify(closed)}`);
    }
  };

  const bench: ClosableBench = {
    random,
    server,
    connectionString,
    journal,
    directory,
    notes,
    query,
    rows,
    metric,
    settled,
    app: async (given) => {
      const app = createApp({
        connectionString,
        journal,
        log: join(directory, 'app.log'),
        closeMs: 10_000,
        ownPids: false,
        onCrash: (what) => wrong.push(what),
        ...given,
      });
      watches.set(
        app,
        watch(app, random, {
          mayBeUnconfirmed: options.mayBeUnconfirmed,
          onWrong: (what) => wrong.push(what),
        }),
      );
      lastGiven = { ...lastGiven, ...given };
      await app.start();
      return app;
    },
    draw: (count, drawing) => {
      const drawn = Array.from({ length: count }, (_, index) =>
        drawConversation(drawing?.random ?? random, all.length + index, {
          ...drawing,
          prefix: name,
        }),
      );
      all.push(...drawn);
      return drawn;
    },
    tell: (line) => void notes.push(line),
    run: async (to, conversations, atOnce = CLIENTS) => {
      const queue = conversations.values();
      const client = async (): Promise<void> => {
        for (const conversation of queue) {
          const app = typeof to === 'function' ? to(conversation) : to;
          await (conversation.isHttp2
            ? converseHttp2(conversation, await app.http2Url())
            : converse(conversation, await app.url()));
          onDone();
        }
      };
      await Promise.all(Array.from({ length: atOnce }, client));
    },
    tokens: async (conversations, count) => {
      const most = conversations.reduce((sum, { ask }) => sum + ask.tokens.length, 0);
      await waitUntil(
        `${count} tokens have arrived`,
        () => conversations.reduce((sum, one) => sum + one.tokens, 0) >= Math.min(count, most),
      );
    },
    check: (holds, otherwise) => void (holds || wrong.push(otherwise)),
    finish: async () => {
      await settled();
      await closeAll();
      const grown = leftIn(journal);
      if (options.leavesFiles && grown.length > 0) {
        // Started like the others, but with a direct connection to the database, because a proxy may be closed by now.
        await bench.app({ ...lastGiven, connectionString });
        // A successor renames a directory, then reads it, and deletes it when every message is saved.
        await waitUntil('what was left is taken over and done with', () =>
          pathsIn(journal).every((path) => !grown.includes(path) && !path.includes('taken-')),
        );
        await settled();
        await closeAll();
      }
      const scrapes = Array.from(watches.values()).reduce((sum, { count }) => sum + count, 0);
      if (scrapes === 0) wrong.push('no scrape was answered');
      const left = leftIn(journal);
      if (left.length > 0) wrong.push(`left in the journal: ${left.join(', ')}`);
      const tally = await judgeAll(all, {
        ids: () => waitUntil('rows can be read', () => query<StoredId>(STORED_IDS)),
        rowsOf: (few) => waitUntil('rows can be read', () => query<Row>(ROWS_OF, [few])),
      });
      return { ...tally, wrong: [...new Set([...wrong, ...tally.wrong])] };
    },
    tearDown: async () => {
      for (const [app, { stop }] of watches) {
        await stop();
        if (app.address !== undefined) await app.kill();
      }
      await pool.end();
    },
  };
  return bench;
}

/** The entries of a journal directory except `.gitignore`. */
function leftIn(journal: string): readonly string[] {
  return readdirSync(journal).filter((name) => name !== '.gitignore');
}

function pathsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' });
  } catch {
    // An entry was deleted while the directory was read: the caller tries again.
    return ['taken-'];
  }
}

const ROWS =
  'SELECT id, stream_id, conversation_id, content, complete, outcome FROM lastchunk_messages';

const ROWS_OF = `${ROWS} WHERE conversation_id = ANY ($1)`;

const STORED_IDS = 'SELECT id, conversation_id FROM lastchunk_messages';

/** An app is idle when all of these are 0. */
const BUSY = [
  'lastchunk_streams_active',
  'lastchunk_saves_pending',
  'lastchunk_journal_entries',
] as const;
