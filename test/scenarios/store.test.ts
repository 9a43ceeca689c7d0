/** The database on bad days: gone, back, killing its clients, answering into the void; and an app that uses up its own pool. */
import type { RequestHandler } from 'express';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Message, MessageStore } from '../../src/index.ts';
import { createChat, relay } from '../support/chat.ts';
import { coded } from '../support/errors.ts';
import { chatChunk } from '../support/frames.ts';
import { createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createControllableUpstream } from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

// A test that failed may have left it stopped.
afterEach(() => database.start());

afterAll(() => database.remove());

const answer: RequestHandler = (_, res) => {
  res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
};

describe('PostgreSQL is down for a whole stream', () => {
  it('and the answer is journaled, sent to the client, and replayed when the database is back', async () => {
    const fixture = await createFullFixture(database, spans);
    const chat = await createChat(fixture, answer);
    await (await chat.ask('before')).over();
    await fixture.recorded.ended(1);
    await database.stop();
    const httpClients = await Promise.all(['a', 'b', 'c'].map((id) => chat.ask(id)));
    for (const httpClient of httpClients) expect((await httpClient.over()).whole).toBe(true);
    await fixture.recorded.ended(4);
    expect(fixture.recorded.saves.map(({ result }) => result)).toEqual([
      'saved',
      'journaled',
      'journaled',
      'journaled',
    ]);
    await database.start();
    await until('they are replayed', async () => (await fixture.rows()).length === 4);
    const rows = await fixture.rows();
    expect(new Set(rows.map(({ conversation_id }) => conversation_id))).toEqual(
      new Set(['a', 'b', 'before', 'c']),
    );
    expect(rows.every(({ content, complete }) => content === 'hello' && complete)).toBe(true);
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_saves_expected_total')).toBe(4);
    expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(1);
    expect(scrape.sum('lastchunk_saves_total', { result: 'journaled' })).toBe(3);
    await until('the replay is counted', async () => {
      const now = await fixture.scrape();
      return now.sum('lastchunk_journal_replayed_total', { result: 'saved' }) === 3;
    });
    expect((await fixture.scrape()).sum('lastchunk_journal_entries')).toBe(0);
    expect(fixture.recorded.holds.slice(1)).toEqual(['journaled', 'journaled', 'journaled']);
    expect(fixture.recorded.internalErrors).toEqual([]);
  });
});

describe('a failover kills idle and checked-out clients', () => {
  it('and the process survives, and the next save succeeds', async () => {
    const fixture = await createFullFixture(database, spans);
    const upstream = createControllableUpstream();
    const chat = await createChat(fixture, relay(upstream));
    const httpClient = await chat.ask();
    upstream.push('The ');
    await httpClient.sees('The ');
    await fixture.keep.flush();
    await database.stop();
    await database.start();
    upstream.push('answer');
    upstream.end();
    expect((await httpClient.over()).whole).toBe(true);
    await fixture.agree({
      outcome: 'completed',
      side: 'server',
      text: 'The answer',
      complete: true,
    });
  });

  it('and backends that are killed while they work lose nothing either', async () => {
    const fixture = await createFullFixture(database, spans);
    const chat = await createChat(fixture, answer);
    await (await chat.ask('warm')).over();
    await fixture.recorded.ended();
    const killer = new pg.Client({ connectionString: database.connectionString });
    await killer.connect();
    onTestFinished(() => killer.end());
    const asked = Array.from({ length: 40 }, async (_, index) => {
      const httpClient = await chat.ask(`k${index}`);
      await killer.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lastchunk'",
      );
      return httpClient.over();
    });
    for (const reply of await Promise.all(asked)) expect(reply.whole).toBe(true);
    await fixture.recorded.ended(41);
    await until('all are saved', async () => (await fixture.rows()).length === 41);
    expect(fixture.recorded.saves.filter(({ result }) => result === 'lost')).toEqual([]);
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_saves_expected_total')).toBe(41);
    expect(scrape.sum('lastchunk_saves_total')).toBe(41);
    expect(scrape.sum('lastchunk_saves_pending')).toBe(0);
  });
});

describe("the app's own pool is exhausted", () => {
  it('and guarded streams are still saved, and hold no connection while they stream', async () => {
    const fixture = await createFullFixture(database, spans);
    const pool = new pg.Pool({ connectionString: fixture.connectionString, max: 2 });
    const taken = await Promise.all([pool.connect(), pool.connect()]);
    onTestFinished(async () => {
      for (const client of taken) client.release();
      await pool.end();
    });
    const upstream = createControllableUpstream();
    const chat = await createChat(fixture, relay(upstream));
    const httpClient = await chat.ask();
    upstream.push('The ');
    await httpClient.sees('The ');
    // The table is made while the first stream runs; then nothing of ours is busy.
    await until('no connection works for the stream', async () => {
      const { rows } = await fixture.reader.query<{ busy: number }>(
        `SELECT count(*)::int AS busy FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'lastchunk' AND state <> 'idle'`,
      );
      return rows[0]?.busy === 0;
    });
    expect(pool.idleCount).toBe(0);
    upstream.push('answer');
    upstream.end();
    expect((await httpClient.over()).whole).toBe(true);
    await fixture.agree({
      outcome: 'completed',
      side: 'server',
      text: 'The answer',
      complete: true,
    });
  });
});

describe('a commit whose answer is lost', () => {
  it.each([
    ['the retry', { journal: false }, 'saved'],
    ['the replay', {}, 'journaled'],
  ] as const)('is found by %s: there is one row', async (_, options, save) => {
    let calls = 0;
    const around = (store: MessageStore): MessageStore => ({
      ...store,
      save: async (messages) => {
        await store.save(messages);
        calls += 1;
        if (calls === 1) throw coded('Connection terminated unexpectedly', 'ECONNRESET');
      },
    });
    const fixture = await createFullFixture(database, spans, { around, ...options });
    const chat = await createChat(fixture, answer);
    expect((await (await chat.ask()).over()).whole).toBe(true);
    const verdict = { outcome: 'completed', side: 'server', save } as const;
    await fixture.agree({ ...verdict, text: 'hello', complete: true, revision: 0 });
    await until('it was sent again', () => calls === 2);
    expect(await fixture.rows()).toHaveLength(1);
  });

  it('and a complete answer is never replaced by a partial one', async () => {
    let inner: MessageStore | undefined;
    let kept: Message | undefined;
    const around = (store: MessageStore): MessageStore => {
      inner = store;
      return {
        ...store,
        save: async (messages) => {
          kept = messages[0];
          await store.save(messages);
        },
      };
    };
    const fixture = await createFullFixture(database, spans, { around });
    const chat = await createChat(fixture, answer);
    await (await chat.ask()).over();
    await fixture.recorded.ended();
    if (inner === undefined || kept === undefined) throw new Error('nothing was saved');
    await inner.save([{ ...kept, text: 'hel', complete: false, outcome: 'interrupted' }]);
    await inner.save([{ ...kept, text: 'somebody else', streamId: 'another', revision: 9 }]);
    const rows = await fixture.rows();
    expect(rows.find(({ id }) => id === kept?.id)).toMatchObject({
      content: 'hello',
      complete: true,
      outcome: 'completed',
      revision: 0,
    });
  });
});
