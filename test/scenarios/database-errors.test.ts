/**
 * What PostgreSQL says when it does not take an answer: what will be put right is waited for, what never will be is set
 * aside, and neither costs anybody else a message.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RequestHandler } from 'express';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WriteMessages } from '../../src/postgres/index.ts';
import { createChat } from '../support/chat.ts';
import { chatChunk, readDeltas } from '../support/frames.ts';
import {
  createFullFixture,
  type FullFixture,
  type FullFixtureOptions,
} from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
  await asAdmin(`CREATE ROLE ${ROLE} LOGIN`);
});

afterAll(() => database.remove());

const answer: RequestHandler = (req, res) => {
  res.type('text/event-stream').write(chatChunk({ content: `for ${String(req.params['id'])}` }));
  res.end(chatChunk({}, 'stop'));
};

interface Trouble {
  readonly what: string;
  readonly sqlstate: string;
  readonly begin: (fixture: FullFixture) => Promise<unknown>;
  readonly end: (fixture: FullFixture) => Promise<unknown>;
}

/** A role that is no superuser, as an app's own: limits hold for it. */
const ROLE = 'writer';

const TROUBLES: readonly Trouble[] = [
  {
    what: 'has become a read-only replica',
    sqlstate: '25006',
    begin: async (fixture) => {
      const set = `ALTER DATABASE ${nameOf(fixture)} SET default_transaction_read_only = on`;
      await asAdmin(set);
      await cutOff(fixture);
    },
    end: (fixture) =>
      asAdmin(`ALTER DATABASE ${nameOf(fixture)} RESET default_transaction_read_only`),
  },
  {
    what: 'has no room on its disk',
    sqlstate: '53100',
    begin: ({ connectionString }) =>
      asAdmin(
        `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON lastchunk_messages EXECUTE FUNCTION full_disk()`,
        connectionString,
      ),
    end: ({ connectionString }) =>
      asAdmin('DROP TRIGGER full_disk ON lastchunk_messages', connectionString),
  },
  {
    what: 'has too many clients',
    sqlstate: '53300',
    begin: async (fixture) => {
      await asAdmin(`ALTER ROLE ${ROLE} CONNECTION LIMIT 0`);
      await cutOff(fixture);
    },
    end: () => asAdmin(`ALTER ROLE ${ROLE} CONNECTION LIMIT -1`),
  },
  {
    what: 'has lost its table temporarily',
    sqlstate: '42P01',
    begin: ({ connectionString }) =>
      asAdmin('ALTER TABLE lastchunk_messages RENAME TO elsewhere', connectionString),
    end: ({ connectionString }) =>
      asAdmin('ALTER TABLE elsewhere RENAME TO lastchunk_messages', connectionString),
  },
  {
    what: 'does not permit its role to write any more',
    sqlstate: '42501',
    begin: ({ connectionString }) =>
      asAdmin(`REVOKE INSERT ON lastchunk_messages FROM ${ROLE}`, connectionString),
    end: ({ connectionString }) =>
      asAdmin(`GRANT INSERT ON lastchunk_messages TO ${ROLE}`, connectionString),
  },
];

describe('a database that', () => {
  it.each(TROUBLES)(
    '$what ($sqlstate) is waited for: each answer is journaled at once, and stored once',
    async ({ sqlstate, begin, end }) => {
      const fixture = await createFullFixture(forWriter(), spans);
      const chat = await createChat(fixture, answer);
      expect((await (await chat.ask('before')).over()).whole).toBe(true);
      await begin(fixture);
      for (const id of ['first', 'second']) {
        const reply = await (await chat.ask(id)).over();
        expect([reply.whole, readDeltas(reply.body.toString())]).toEqual([true, `for ${id}`]);
      }
      await fixture.recorded.ended(3);
      expect(fixture.recorded.saves.map(({ result }) => result)).toEqual([
        'saved',
        'journaled',
        'journaled',
      ]);
      const first = fixture.logbook.errors().filter((line) => line.includes('first of this kind'));
      expect(first.filter((line) => line.includes(sqlstate))).toHaveLength(1);
      expect(fixture.keep.health()).toMatchObject({ status: 'degraded', reasons: ['store-away'] });
      await end(fixture);
      await until('they are replayed', async () => (await fixture.rows()).length === 3);
      const rows = await fixture.rows();
      expect(rows.map(({ content, complete }) => [content, complete])).toEqual([
        ['for before', true],
        ['for first', true],
        ['for second', true],
      ]);
      await accountsAddUp(fixture, { saved: 1, journaled: 2, replayed: { saved: 2 } });
    },
  );

  it('has no table at the start gets every message once the table is created', async () => {
    const fixture = await createFullFixture(database, spans, { postgres: { migrate: false } });
    const chat = await createChat(fixture, answer);
    expect((await (await chat.ask('early')).over()).whole).toBe(true);
    expect(await fixture.recorded.ended()).toMatchObject({
      outcome: 'completed',
      save: 'journaled',
    });
    expect(await fixture.rows()).toEqual([]);
    const next = await createFullFixture(sameDatabase(fixture), spans);
    await (await (await createChat(next, answer)).ask('elsewhere')).over();
    await until('it is replayed', async () => (await fixture.rows()).length === 2);
    expect(new Set((await fixture.rows()).map(({ content }) => content))).toEqual(
      new Set(['for early', 'for elsewhere']),
    );
    await accountsAddUp(fixture, { saved: 0, journaled: 1, replayed: { saved: 1 } });
  });
});

describe("an app's own SQL that is not idempotent, for an id that is already stored,", () => {
  const write: WriteMessages = async (client, messages) => {
    for (const { conversationId, text } of messages) {
      await client.query('INSERT INTO answers (conversation, content) VALUES ($1, $2)', [
        conversationId,
        text,
      ]);
    }
  };

  it.each([
    ['has the message set aside for an operator', {}, 'journaled'],
    ['loses the message without a journal, and logs that', { journal: false }, 'lost'],
  ] as const)(
    '%s, and every other message is saved',
    async (_, options: FullFixtureOptions, result) => {
      const fixture = await createFullFixture(database, spans, { ...options, postgres: { write } });
      await fixture.reader.query(
        'CREATE TABLE answers (conversation text PRIMARY KEY, content text)',
      );
      const chat = await createChat(fixture, answer);
      for (const id of ['one', 'one', 'two']) {
        expect((await (await chat.ask(id)).over()).whole).toBe(true);
      }
      await fixture.recorded.ended(3);
      expect(fixture.recorded.saves.map((save) => save.result)).toEqual(['saved', result, 'saved']);
      const { rows } = await fixture.reader.query('SELECT * FROM answers ORDER BY conversation');
      expect(rows).toEqual([
        { conversation: 'one', content: 'for one' },
        { conversation: 'two', content: 'for two' },
      ]);
      const refused = fixture.logbook.errors().filter((line) => line.includes('refuses a message'));
      expect(refused).toHaveLength(1);
      expect(refused[0]).toContain('23505');
      expect(fixture.logbook.lines.filter(({ text }) => text.includes('for one'))).toEqual([]);
      expect(fixture.keep.health().store).toMatchObject({ circuit: 'closed' });
      if (result === 'lost') return accountsAddUp(fixture, { saved: 2, lost: 1 });
      await accountsAddUp(fixture, { saved: 2, journaled: 1, replayed: { refused: 1 } });
      const directory = join(fixture.journal, 'refused');
      const [file = ''] = await readdir(directory);
      expect(JSON.parse(await readFile(join(directory, file), 'utf8'))).toMatchObject({
        sqlstate: '23505',
        message: { text: 'for one' },
      });
    },
  );
});

interface Accounts {
  readonly saved: number;
  readonly journaled?: number;
  readonly lost?: number;
  readonly replayed?: { readonly saved?: number; readonly refused?: number };
}

/** Waits until the journal has nothing left, then looks at every number that a save moves. */
async function accountsAddUp(
  fixture: FullFixture,
  { saved, journaled = 0, lost = 0, replayed = {} }: Accounts,
): Promise<void> {
  const counts = async () => {
    const now = await fixture.scrape();
    const saves = (result: string): number => now.sum('lastchunk_saves_total', { result });
    const replays = (result: string): number =>
      now.sum('lastchunk_journal_replayed_total', { result });
    return {
      expected: now.sum('lastchunk_saves_expected_total'),
      saves: [saves('saved'), saves('journaled'), saves('lost'), saves('missing')],
      replays: [replays('saved'), replays('refused')],
      waiting: now.sum('lastchunk_journal_entries') + now.sum('lastchunk_saves_pending'),
      unconfirmed: now.sum('lastchunk_holds_total', { released: 'unconfirmed' }),
    };
  };
  await until('nothing waits any more', async () => (await counts()).waiting === 0);
  expect(await counts()).toEqual({
    expected: saved + journaled + lost,
    saves: [saved, journaled, lost, 0],
    replays: [replayed.saved ?? 0, replayed.refused ?? 0],
    waiting: 0,
    unconfirmed: lost,
  });
  expect(fixture.recorded.internalErrors).toEqual([]);
}

function nameOf({ connectionString }: FullFixture): string {
  return new URL(connectionString).pathname.slice(1);
}

/** Runs SQL as the superuser, in this database or in none of the houses'. */
async function asAdmin(sql: string, url = database.connectionString): Promise<void> {
  const address = new URL(url);
  address.username = 'postgres';
  const client = new pg.Client({ connectionString: address.href });
  await client.connect();
  await client.query(sql);
  await client.end();
}

/** Ends the store's connections, so that the next ones meet what was changed. */
function cutOff(fixture: FullFixture): Promise<void> {
  return asAdmin(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = '${nameOf(fixture)}' AND application_name = 'lastchunk'`,
  );
}

/** Databases that belong to the role. */
function forWriter(): TestPostgres {
  return {
    ...database,
    newDatabase: async () => {
      const url = new URL(await database.newDatabase());
      await asAdmin(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO ${ROLE}`);
      url.username = ROLE;
      return url.href;
    },
  };
}

function sameDatabase({ connectionString }: FullFixture): TestPostgres {
  return { ...database, newDatabase: () => Promise.resolve(connectionString) };
}
