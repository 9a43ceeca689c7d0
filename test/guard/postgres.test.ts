/** The keeper on a real PostgreSQL, with a real journal on a real disk, under the faults of section 1: nothing lost, nothing twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
import { openJournal, resolveJournalOptions } from '../../src/guard/journal/index.ts';
import { createKeeper } from '../../src/guard/keeper.ts';
import type { Message } from '../../src/message.ts';
import { postgres, type PostgresOptions } from '../../src/postgres/index.ts';
import { createLogbook } from '../support/logbook.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { soon, until } from '../support/until.ts';
import { createAccount, messageOf, openedStream, readText, type Account } from './fakes.ts';

let database: TestPostgres;
let proxy: TcpProxy;
let connectionString: string;
let journalPath: string;

beforeAll(async () => {
  database = await startPostgres();
  proxy = await startTcpProxy(database.port);
}, 60_000);
afterAll(async () => {
  await proxy.close();
  await database.remove();
});
beforeEach(async () => {
  await database.start();
  proxy.resume();
  connectionString = await database.newDatabase();
  journalPath = await mkdtemp(join(tmpdir(), 'lastchunk-keeper-'));
  onTestFinished(() => rm(journalPath, { recursive: true, force: true }));
});

interface Guard {
  readonly keeper: ReturnType<typeof createKeeper>;
  readonly account: Account;
  readonly errors: () => readonly string[];
  /** Streams an answer through the journal and hands it over; resolves when the frame may go. */
  answer(text: string, over?: Partial<Message>): Promise<string>;
  readonly due: readonly Message[];
}

/** A keeper as the composition makes it, over the proxy. */
async function createGuard(
  options: Partial<PostgresOptions> & { readonly journal?: false } = {},
): Promise<Guard> {
  const { journal: wanted, ...storeOptions } = options;
  const url = new URL(connectionString);
  url.port = String(proxy.port);
  const store = postgres({ connectionString: url.href, migrate: true, ...storeOptions });
  const account = createAccount();
  const logbook = createLogbook();
  const settings = resolveJournalOptions(wanted ?? journalPath);
  const journal =
    settings &&
    openJournal({
      settings,
      onError: () => account.observer.onInternalError('journal', undefined),
      onWrite: () => undefined,
      onCorrupt: () => undefined,
      onDegraded: () => undefined,
      log: () => undefined,
    });
  const { observer } = account;
  const keeper = createKeeper({ store, journal, read: readText, observer, logger: logbook.logger });
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
      const log = keeper.open(opened, () => [text]);
      log?.append(text, true);
      const message = messageOf(opened, { text, ...over });
      due.push(message);
      const { confirmed } = keeper.save({
        message,
        stream: { ...opened, method: 'POST', guarded: true, chunks: 1, bytes: text.length },
        log,
        holds: true,
        confirmTimeoutMs: 2_000,
        missingAfterMs: 60_000,
      });
      return soon('the frame', confirmed);
    },
  };
}

async function query<Row>(sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString });
  // A client that is killed says so in its query; here it is only kept from ending the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const rows = (): Promise<{ id: string; content: string }[]> =>
  query('SELECT id, content FROM lastchunk_messages ORDER BY id');

/** Everything that was due is in the table, once, as it was. */
async function expectAllKept(due: readonly Message[]): Promise<void> {
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
  const wanted = due.map(({ id, text }) => ({ id, content: text })).toSorted(byId);
  expect((await rows()).toSorted(byId)).toEqual(wanted);
}

/** Each due message has one first result. */
function expectAccountsAddUp({ account, due }: Guard): void {
  expect([...account.firsts().keys()].toSorted()).toEqual(due.map(({ id }) => id).toSorted());
  expect([...account.firsts().values()].filter((results) => results.length !== 1)).toEqual([]);
}

test('a saved message is in the table when its frame may go', async () => {
  const guard = await createGuard();
  expect(await guard.answer('hello')).toBe('saved');
  await expectAllKept(guard.due);
});

test('a database that is down for the whole life of the streams, then back: 0 lost, 0 twice', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  await database.stop();
  proxy.cut();
  const released = [];
  for (let index = 0; index < 20; index += 1) released.push(await guard.answer(`down ${index}`));
  expect(new Set(released)).toEqual(new Set(['journaled']));
  expect(guard.keeper.state()).toMatchObject({ circuit: 'open', pending: 0 });
  await database.start();
  await until('all are replayed', () => guard.account.replayed.length === 20);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
  expect(await guard.answer('after')).toBe('saved');
  expect(await guard.keeper.replay()).toEqual({ saved: 0, refused: 0, left: 0 });
});

test('without a journal messages wait in memory for a database that comes back', async () => {
  const guard = await createGuard({ journal: false });
  await guard.answer('before');
  await database.stop();
  const frames = Array.from({ length: 5 }, (_, index) => guard.answer(`down ${index}`));
  await until('the store is known to be away', () => guard.keeper.state().circuit === 'open');
  await database.start();
  await Promise.all(frames);
  await soon('the results', guard.keeper.flush());
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('a commit whose answer is lost makes one row', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  proxy.loseAnswers();
  const frame = guard.answer('committed, but nobody knows');
  await until('the row is there', async () => (await rows()).length === 2);
  proxy.resume();
  proxy.cut();
  expect(['saved', 'journaled']).toContain(await frame);
  await until('replay has met its own row', () => guard.account.replayed.length === 1);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('a retry of a partial never replaces the whole that came meanwhile', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  proxy.loseAnswers();
  const frame = guard.answer('half', { complete: false, outcome: 'disconnected' });
  await until('the row is there', async () => (await rows()).length === 2);
  const id = guard.due[1]?.id;
  await query(
    `UPDATE lastchunk_messages SET content = 'half and whole', complete = true WHERE id = '${id}'`,
  );
  proxy.resume();
  proxy.cut();
  await frame;
  await until('replay has met its own row', () => guard.account.replayed.length === 1);
  expect(await rows()).toContainEqual({ id, content: 'half and whole' });
});

test('a connection that dies without a word costs a frame no more than its deadline', async () => {
  const guard = await createGuard({ connectTimeoutMs: 500, statementTimeoutMs: 500 });
  await guard.answer('before');
  proxy.pause();
  expect(await guard.answer('into the void')).toBe('journaled');
  proxy.resume();
  proxy.cut();
  await until('it is replayed', () => guard.account.replayed.length === 1);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('connections that are killed all the time lose nothing and save nothing twice', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  let isKilling = true;
  const killing = (async () => {
    while (isKilling) {
      await query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lastchunk' AND datname = current_database()`,
      );
    }
  })();
  const failures = (): number => guard.account.attempts.filter(Boolean).length;
  for (let round = 0; round < 40 || failures() < 5; round += 1) {
    await Promise.all(Array.from({ length: 5 }, (_, index) => guard.answer(`${round} ${index}`)));
  }
  isKilling = false;
  await killing;
  await soon('the results', guard.keeper.flush());
  await until('nothing waits on disk', async () => (await guard.keeper.replay()).left === 0);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
  expect(guard.account.internalErrors.filter((where) => where === 'journal')).toEqual([]);
});

test('a table that is missing is put right while messages wait', async () => {
  const guard = await createGuard({ migrate: false });
  expect(await guard.answer('too early')).toBe('journaled');
  expect(guard.errors().join('\n')).toContain('42P01');
  const migrating = postgres({ connectionString, migrate: true });
  await migrating.migrate();
  await migrating.close();
  await until('it is replayed', () => guard.account.replayed.length === 1);
  await expectAllKept(guard.due);
});

test('a message that the table refuses is set aside and holds back nobody', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  await query(`ALTER TABLE lastchunk_messages ADD CHECK (content NOT LIKE '%forbidden%')`);
  const frames = Array.from({ length: 12 }, (_, index) =>
    guard.answer(index === 5 ? 'forbidden' : `fine ${index}`),
  );
  await Promise.all(frames);
  await soon('the results', guard.keeper.flush());
  const [refused, fine] = [6, 11];
  expect(guard.account.replayed).toEqual([`refused ${guard.due[refused]?.id}`]);
  expect(await rows()).toHaveLength(1 + fine);
  const log = guard.errors().join('\n');
  expect(log).toContain('23514');
  expect(log).not.toContain('forbidden');
});

test('another process saves what a closed one left in its journal', async () => {
  const first = await createGuard();
  await first.answer('before');
  await database.stop();
  proxy.cut();
  for (let index = 0; index < 5; index += 1) await first.answer(`left ${index}`);
  expect(await first.keeper.close(1_000)).toEqual({ saved: 0, journaled: 0, lost: 0 });
  await database.start();
  const second = await createGuard();
  await until('all are recovered', () => second.account.recovered.length === 5);
  expect(second.account.saves).toEqual([]);
  await expectAllKept(first.due);
});
