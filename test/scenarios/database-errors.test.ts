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
import { createHouse, type House, type HouseOptions } from '../support/house.ts';
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
  readonly begin: (house: House) => Promise<unknown>;
  readonly end: (house: House) => Promise<unknown>;
}

/** A role that is no superuser, as an app's own: limits hold for it. */
const ROLE = 'writer';

const TROUBLES: readonly Trouble[] = [
  {
    what: 'has become a read-only replica',
    sqlstate: '25006',
    begin: async (house) => {
      const set = `ALTER DATABASE ${nameOf(house)} SET default_transaction_read_only = on`;
      await asAdmin(set);
      await cutOff(house);
    },
    end: (house) => asAdmin(`ALTER DATABASE ${nameOf(house)} RESET default_transaction_read_only`),
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
    begin: async (house) => {
      await asAdmin(`ALTER ROLE ${ROLE} CONNECTION LIMIT 0`);
      await cutOff(house);
    },
    end: () => asAdmin(`ALTER ROLE ${ROLE} CONNECTION LIMIT -1`),
  },
  {
    what: 'has lost its table for a moment',
    sqlstate: '42P01',
    begin: ({ connectionString }) =>
      asAdmin('ALTER TABLE lastchunk_messages RENAME TO elsewhere', connectionString),
    end: ({ connectionString }) =>
      asAdmin('ALTER TABLE elsewhere RENAME TO lastchunk_messages', connectionString),
  },
  {
    what: 'does not let its role write any more',
    sqlstate: '42501',
    begin: ({ connectionString }) =>
      asAdmin(`REVOKE INSERT ON lastchunk_messages FROM ${ROLE}`, connectionString),
    end: ({ connectionString }) =>
      asAdmin(`GRANT INSERT ON lastchunk_messages TO ${ROLE}`, connectionString),
  },
];

describe('a database that', () => {
  it.each(TROUBLES)(
    '$what ($sqlstate) is waited for: each answer is on disk at once, and in the table once',
    async ({ sqlstate, begin, end }) => {
      const house = await createHouse(forWriter(), spans);
      const chat = await createChat(house, answer);
      expect((await (await chat.ask('before')).over()).whole).toBe(true);
      await begin(house);
      for (const id of ['first', 'second']) {
        const reply = await (await chat.ask(id)).over();
        expect([reply.whole, readDeltas(reply.body.toString())]).toEqual([true, `for ${id}`]);
      }
      await house.witness.ended(3);
      expect(house.witness.saves.map(({ result }) => result)).toEqual([
        'saved',
        'journaled',
        'journaled',
      ]);
      const first = house.logbook.errors().filter((line) => line.includes('first of this kind'));
      expect(first.filter((line) => line.includes(sqlstate))).toHaveLength(1);
      expect(house.keep.health()).toMatchObject({ status: 'degraded', reasons: ['store-away'] });
      await end(house);
      await until('they are replayed', async () => (await house.rows()).length === 3);
      const rows = await house.rows();
      expect(rows.map(({ content, complete }) => [content, complete])).toEqual([
        ['for before', true],
        ['for first', true],
        ['for second', true],
      ]);
      await accountsAddUp(house, { saved: 1, journaled: 2, replayed: { saved: 2 } });
    },
  );

  it('has no table at the start gets one later, and what was said until then', async () => {
    const house = await createHouse(database, spans, { postgres: { migrate: false } });
    const chat = await createChat(house, answer);
    expect((await (await chat.ask('early')).over()).whole).toBe(true);
    expect(await house.witness.ended()).toMatchObject({ outcome: 'completed', save: 'journaled' });
    expect(await house.rows()).toEqual([]);
    const next = await createHouse(sameDatabase(house), spans);
    await (await (await createChat(next, answer)).ask('elsewhere')).over();
    await until('it is replayed', async () => (await house.rows()).length === 2);
    expect(new Set((await house.rows()).map(({ content }) => content))).toEqual(
      new Set(['for early', 'for elsewhere']),
    );
    await accountsAddUp(house, { saved: 0, journaled: 1, replayed: { saved: 1 } });
  });
});

describe("an app's own SQL that is not idempotent, and meets an id that is there,", () => {
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
    ['loses the message, loudly, without a journal', { journal: false }, 'lost'],
  ] as const)('%s, and no other one', async (_, options: HouseOptions, result) => {
    const house = await createHouse(database, spans, { ...options, postgres: { write } });
    await house.reader.query('CREATE TABLE answers (conversation text PRIMARY KEY, content text)');
    const chat = await createChat(house, answer);
    for (const id of ['one', 'one', 'two']) {
      expect((await (await chat.ask(id)).over()).whole).toBe(true);
    }
    await house.witness.ended(3);
    expect(house.witness.saves.map((save) => save.result)).toEqual(['saved', result, 'saved']);
    const { rows } = await house.reader.query('SELECT * FROM answers ORDER BY conversation');
    expect(rows).toEqual([
      { conversation: 'one', content: 'for one' },
      { conversation: 'two', content: 'for two' },
    ]);
    const refused = house.logbook.errors().filter((line) => line.includes('refuses a message'));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toContain('23505');
    expect(house.logbook.lines.filter(({ text }) => text.includes('for one'))).toEqual([]);
    expect(house.keep.health().store).toMatchObject({ circuit: 'closed' });
    if (result === 'lost') return accountsAddUp(house, { saved: 2, lost: 1 });
    await accountsAddUp(house, { saved: 2, journaled: 1, replayed: { refused: 1 } });
    const directory = join(house.journal, 'refused');
    const [file = ''] = await readdir(directory);
    expect(JSON.parse(await readFile(join(directory, file), 'utf8'))).toMatchObject({
      sqlstate: '23505',
      message: { text: 'for one' },
    });
  });
});

interface Accounts {
  readonly saved: number;
  readonly journaled?: number;
  readonly lost?: number;
  readonly replayed?: { readonly saved?: number; readonly refused?: number };
}

/** Waits until the journal has nothing left, then looks at every number that a save moves. */
async function accountsAddUp(
  house: House,
  { saved, journaled = 0, lost = 0, replayed = {} }: Accounts,
): Promise<void> {
  const counts = async () => {
    const now = await house.scrape();
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
  expect(house.witness.internalErrors).toEqual([]);
}

function nameOf({ connectionString }: House): string {
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
function cutOff(house: House): Promise<void> {
  return asAdmin(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = '${nameOf(house)}' AND application_name = 'lastchunk'`,
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

function sameDatabase({ connectionString }: House): TestPostgres {
  return { ...database, newDatabase: () => Promise.resolve(connectionString) };
}
