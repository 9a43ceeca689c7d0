/** A database that is away for whole streams, loses its answers, or refuses: what is kept, and what is said of it. */
import type { RequestHandler } from 'express';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createChat, relay } from '../support/chat.ts';
import { chatChunk, readDeltas } from '../support/frames.ts';
import {
  createFullFixture,
  type FullFixture,
  type FullFixtureOptions,
} from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import {
  createControllableUpstream,
  type ControllableUpstream,
} from '../support/controllable-upstream.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
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

const answer: RequestHandler = (req, res) => {
  res.type('text/event-stream').write(chatChunk({ content: `for ${String(req.params['id'])}` }));
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
};

/** Longer than any test waits: what is released before was released by something else. */
const NEVER_MS = 600_000;

describe('PostgreSQL crashes before a stream begins and restarts long after its end', () => {
  it('and each answer is journaled at once, and stored once when the database is back', async () => {
    const fixture = await createFullFixture(database, spans);
    const upstreams = new Map<string, ControllableUpstream>();
    const streaming: RequestHandler = (req, res, next) => {
      const upstream = createControllableUpstream();
      upstreams.set(String(req.params['id']), upstream);
      return relay(upstream)(req, res, next);
    };
    const chat = await createChat(fixture, streaming, { confirmTimeoutMs: NEVER_MS });
    const ask = async (id: string, begin: string) => {
      const httpClient = await chat.ask(id);
      (await until('its handler runs', () => upstreams.get(id))).push(begin);
      await httpClient.sees(begin);
      return httpClient;
    };
    const finish = (id: string, rest: string): void => {
      upstreams.get(id)?.push(rest);
      upstreams.get(id)?.end();
    };

    const early = await ask('early', 'before the crash, ');
    await database.stopImmediate();
    const names = Array.from({ length: 12 }, (_, index) => `down-${index}`);
    const httpClients = await Promise.all(names.map((id) => ask(id, `${id} begins, `)));
    const long = await ask('long', 'all the time, ');
    for (const id of names) finish(id, 'and ends');
    const replies = await Promise.all(httpClients.map((httpClient) => httpClient.over()));
    expect(replies.map((reply) => [reply.whole, readDeltas(reply.body.toString())])).toEqual(
      names.map((id) => [true, `${id} begins, and ends`]),
    );
    await fixture.recorded.ended(12);
    expect(fixture.recorded.holds).toEqual(Array(12).fill('journaled'));
    expect(fixture.keep.health()).toMatchObject({ status: 'degraded', reasons: ['store-away'] });
    // Those that stream meanwhile notice nothing.
    upstreams.get('long')?.push('as if nothing were, ');
    await long.sees('as if nothing were, ');
    const down = await fixture.scrape();
    expect(down.sum('lastchunk_saves_total', { result: 'journaled' })).toBe(12);
    expect(down.sum('lastchunk_saves_pending')).toBe(0);
    expect(down.sum('lastchunk_journal_entries')).toBe(14);

    await database.start();
    await until('they are replayed', async () => (await fixture.rows()).length === 12);
    finish('long', 'to the end');
    finish('early', 'after it');
    expect((await long.over()).whole).toBe(true);
    expect((await early.over()).whole).toBe(true);
    await fixture.recorded.ended(14);
    const rows = await fixture.rows();
    expect(new Map(rows.map((row) => [row.conversation_id, row.content]))).toEqual(
      new Map([
        ['early', 'before the crash, after it'],
        ...names.map((id) => [id, `${id} begins, and ends`] as const),
        ['long', 'all the time, as if nothing were, to the end'],
      ]),
    );
    expect(rows).toHaveLength(14);
    expect(rows.every(({ outcome, complete }) => outcome === 'completed' && complete)).toBe(true);
    await settled(fixture, { journaled: 12, saved: 2 });
    const internal = (await fixture.scrape()).sum('lastchunk_internal_errors_total');
    expect([internal, fixture.recorded.internalErrors]).toEqual([0, []]);
    // One line for each kind of failure, not one for each try.
    const errors = fixture.logbook.errors();
    expect(new Set(errors).size).toBe(errors.length);
    expect(errors.length).toBeGreaterThan(0);
  });
});

describe('the network is cut between a commit and its answer', () => {
  it.each([
    ['the replay', {}, 'journaled'],
    ['the retry', { journal: false }, 'saved'],
  ] as const)('and %s finds the row that exists', async (_, options, save) => {
    const { fixture, proxy } = await behindProxy(options);
    const chat = await createChat(fixture, answer, { confirmTimeoutMs: NEVER_MS });
    await (await chat.ask('first')).over();
    await fixture.recorded.ended(1);
    proxy.loseAnswers();
    const second = await chat.ask('second');
    const written = await until('it is committed', () => versionOf('second'));
    expect(second.text).not.toContain('[DONE]');
    proxy.resume();
    proxy.cut();
    expect((await second.over()).whole).toBe(true);
    expect(await fixture.recorded.ended(2)).toMatchObject({ outcome: 'completed', save });
    await settled(fixture, save === 'saved' ? { saved: 2 } : { saved: 1, journaled: 1 });
    expect(fixture.recorded.attempts.at(-1)).toBeUndefined();
    expect(fixture.recorded.attempts.filter((error) => error !== undefined)).not.toEqual([]);
    const rows = await fixture.rows();
    expect(rows.map(({ content, complete, revision }) => [content, complete, revision])).toEqual([
      ['for first', true, 0],
      ['for second', true, 0],
    ]);
    // The row is the one of the first commit: nobody wrote it again.
    expect(await versionOf('second')).toBe(written);

    async function versionOf(id: string): Promise<string | undefined> {
      const { rows: found } = await fixture.direct.query<{ version: string }>(
        'SELECT xmin::text AS version FROM lastchunk_messages WHERE conversation_id = $1',
        [id],
      );
      return found[0]?.version;
    }
  });
});

describe('the save fails after a stop', () => {
  it.each([
    ['refuses the message', refuseContent],
    ['is unavailable', () => database.stopImmediate()],
  ])(
    'a store that %s, without a journal: the caller gets 503, the operator an error in the log',
    async (_, spoil) => {
      const { fixture, chat } = await openStoppable({ journal: false });
      await spoil(fixture);
      const httpClient = await chat.ask();
      await httpClient.sees('The ');
      const reply = await chat.stop(httpClient);
      const headers = httpClient.reply?.headers;
      expect(reply.status).toBe(503);
      expect(await reply.json()).toEqual({
        streamId: headers?.['x-stream-id'],
        messageId: headers?.['x-message-id'],
        outcome: 'stopped',
        save: 'lost',
      });
      expect(await fixture.recorded.ended()).toMatchObject({ outcome: 'stopped', save: 'lost' });
      await database.start();
      await fixture.agree({ outcome: 'stopped', side: 'client', save: 'lost' });
      const errors = fixture.logbook.errors();
      expect(errors.filter((line) => line.includes('lastchunk: message lost'))).toHaveLength(1);
      expect(errors.some((line) => line.includes(headers?.['x-message-id'] ?? '?'))).toBe(true);
      expect(fixture.keep.health()).toMatchObject({ status: 'failing' });
      expect(fixture.keep.health().reasons).toContain('message-lost');
    },
  );

  it('a store that is unavailable, with a journal: the caller gets the result journaled', async () => {
    const { fixture, chat } = await openStoppable({});
    await database.stopImmediate();
    const httpClient = await chat.ask();
    await httpClient.sees('The ');
    const reply = await chat.stop(httpClient);
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ outcome: 'stopped', save: 'journaled' });
    await database.start();
    await fixture.agree({
      outcome: 'stopped',
      side: 'client',
      save: 'journaled',
      text: 'The ',
      complete: false,
    });
  });

  /** A table that does not take what the handler says. */
  async function refuseContent(fixture: FullFixture): Promise<void> {
    await fixture.reader.query('ALTER TABLE lastchunk_messages ADD CHECK (role <> $$assistant$$)');
  }

  async function openStoppable(options: FullFixtureOptions) {
    let ready: Promise<unknown> = Promise.resolve();
    const fixture = await createFullFixture(database, spans, {
      ...options,
      around: (store) => {
        ready = store.save([]);
        return store;
      },
    });
    await ready;
    const handler: RequestHandler = (_, res) => {
      res.on('close', () => res.end());
      res.type('text/event-stream').write(chatChunk({ content: 'The ' }));
    };
    return { fixture, chat: await createChat(fixture, handler, { missingAfterMs: 800 }) };
  }
});

/** Waits until nothing is owed any more, then looks at the whole family of numbers. */
async function settled(
  fixture: FullFixture,
  { saved, journaled = 0 }: { readonly saved: number; readonly journaled?: number },
): Promise<void> {
  const counts = async () => {
    const now = await fixture.scrape();
    const saves = (result: string): number => now.sum('lastchunk_saves_total', { result });
    return {
      expected: now.sum('lastchunk_saves_expected_total'),
      saved: saves('saved'),
      journaled: saves('journaled'),
      lost: saves('lost') + saves('missing'),
      pending: now.sum('lastchunk_saves_pending'),
      replayed: now.sum('lastchunk_journal_replayed_total', { result: 'saved' }),
      waiting: now.sum('lastchunk_journal_entries'),
      unconfirmed: now.sum('lastchunk_holds_total', { released: 'unconfirmed' }),
    };
  };
  await until('the journal is empty', async () => {
    const { replayed, waiting } = await counts();
    return replayed === journaled && waiting === 0;
  });
  expect(await counts()).toEqual({
    expected: saved + journaled,
    saved,
    journaled,
    lost: 0,
    pending: 0,
    replayed: journaled,
    waiting: 0,
    unconfirmed: 0,
  });
}

/** A fixture whose way to the database a test can cut; `direct` goes past it. */
async function behindProxy(options: FullFixtureOptions) {
  const proxy: TcpProxy = await startTcpProxy(database.port);
  onTestFinished(() => proxy.close());
  let direct = '';
  const proxied: TestPostgres = {
    ...database,
    newDatabase: async () => {
      direct = await database.newDatabase();
      const url = new URL(direct);
      url.port = String(proxy.port);
      return url.href;
    },
  };
  const fixture = await createFullFixture(proxied, spans, options);
  const pool = new pg.Pool({ connectionString: direct, max: 1 });
  onTestFinished(() => pool.end());
  return { fixture: { ...fixture, direct: pool }, proxy };
}
