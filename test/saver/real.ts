/**
 * A keeper as an app has it: a real PostgreSQL behind a proxy that can do to it what networks do, and a real journal on
 * a real disk.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';
import type { Files } from '../../src/journal/fs.ts';
import { openJournal, resolveJournalOptions } from '../../src/journal/index.ts';
import { MessageKeeper } from '../../src/saver/index.ts';
import type { Message } from '../../src/core/message.ts';
import { postgres, type PostgresOptions } from '../../src/postgres/index.ts';
import { createLogbook } from '../support/logbook.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { soon } from '../support/until.ts';
import { createAccount, messageOf, openedStream, readText, type Account } from './fakes.ts';

/** What the tests of a file share; the database and the journal's directory are new for each test. */
// Filled by the hooks before any test runs.
export const world = {} as {
  database: TestPostgres;
  proxy: TcpProxy;
  connectionString: string;
  journalPath: string;
};

/** Registers the hooks that fill `world`. */
export function useRealWorld(): void {
  beforeAll(async () => {
    world.database = await startPostgres();
    world.proxy = await startTcpProxy(world.database.port);
  }, 60_000);
  afterAll(async () => {
    await world.proxy.close();
    await world.database.remove();
  });
  beforeEach(async () => {
    await world.database.start();
    world.proxy.resume();
    world.connectionString = await world.database.newDatabase();
    const journalPath = await mkdtemp(join(tmpdir(), 'lastchunk-keeper-'));
    world.journalPath = journalPath;
    onTestFinished(() => rm(journalPath, { recursive: true, force: true }));
  });
}

export interface Guard {
  readonly keeper: MessageKeeper;
  readonly account: Account;
  readonly errors: () => readonly string[];
  /** Streams an answer through the journal and hands it over; resolves when the frame may go. */
  answer(text: string, over?: Partial<Message>): Promise<string>;
  readonly due: readonly Message[];
}

/** A keeper as the composition makes it, over the proxy. */
export async function createGuard(
  options: Partial<PostgresOptions> & {
    readonly journal?: false;
    /** A disk that fails when it is told to. */
    readonly files?: Partial<Files>;
  } = {},
): Promise<Guard> {
  const { journal: wanted, files, ...storeOptions } = options;
  const url = new URL(world.connectionString);
  url.port = String(world.proxy.port);
  const store = postgres({ connectionString: url.href, migrate: true, ...storeOptions });
  const account = createAccount();
  const logbook = createLogbook();
  const settings = resolveJournalOptions(wanted ?? world.journalPath);
  const journal =
    settings &&
    openJournal({
      settings,
      onError: () => account.observer.onInternalError('journal', undefined),
      onWrite: () => undefined,
      onCorrupt: () => undefined,
      onDegraded: () => undefined,
      log: () => undefined,
      ...(files && { seams: { files } }),
    });
  const { observer } = account;
  const keeper = new MessageKeeper({
    store,
    journal,
    read: readText,
    observer,
    logger: logbook.logger,
  });
  keeper.start();
  onTestFinished(async () => void (await keeper.close(2_000)));
  const due: Message[] = [];
  return {
    keeper,
    account,
    due,
    errors: logbook.errors,
    async answer(text, over) {
      const opened = openedStream();
      const log = keeper.open(opened, { pieces: [text] });
      log?.append(text, 'tick');
      log?.flush();
      const message = messageOf(opened, { text, ...over });
      due.push(message);
      const { confirmed } = keeper.save({
        message,
        stream: { ...opened, method: 'POST', guarded: true, chunks: 1, bytes: text.length },
        log,
        holds: () => true,
        confirmTimeoutMs: 2_000,
        missingAfterMs: 60_000,
      });
      return soon('the frame', confirmed);
    },
  };
}

export async function query<Row>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: world.connectionString });
  // A client that is killed says so in its query; here it is only kept from ending the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

export const rows = (): Promise<{ id: string; content: string }[]> =>
  query('SELECT id, content FROM lastchunk_messages ORDER BY id');

/** Everything that was due is in the table, once, as it was. */
export async function expectAllKept(due: readonly Message[]): Promise<void> {
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
  const wanted = due.map(({ id, text }) => ({ id, content: text })).toSorted(byId);
  expect((await rows()).toSorted(byId)).toEqual(wanted);
}

/** Each due message has one first result. */
export function expectAccountsAddUp({ account, due }: Guard): void {
  expect([...account.firsts().keys()].toSorted()).toEqual(due.map(({ id }) => id).toSorted());
  expect([...account.firsts().values()].filter((results) => results.length !== 1)).toEqual([]);
}
