/** PgBouncer in transaction mode between the guard and its database: no two saves need have the same session. */
import type { RequestHandler } from 'express';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hasPgBouncer, startPgBouncer, type PgBouncer } from '../faults/pgbouncer.ts';
import { createChat } from '../support/chat.ts';
import { chatChunk, readDeltas } from '../support/frames.ts';
import { createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { installTracing } from '../support/tracing.ts';

const spans = installTracing();
let database: TestPostgres;
let pooler: PgBouncer;

// No package brings it.
const present = hasPgBouncer();
if (!present) console.warn('skipped: PgBouncer between guard and database (there is no program)');

beforeAll(async () => {
  database = await startPostgres();
  if (present) pooler = await startPgBouncer(database.port);
});

afterAll(async () => {
  if (present) await pooler.stop();
  await database.remove();
});

const answer: RequestHandler = (req, res) => {
  res.type('text/event-stream').write(chatChunk({ content: `for ${String(req.params['id'])}` }));
  res.end(chatChunk({}, 'stop'));
};

it.runIf(present)(
  'forty concurrent streams are saved through two connections of the pooler',
  async () => {
    const fixture = await createFullFixture(pooled(), spans);
    const chat = await createChat(fixture, answer);
    const names = Array.from({ length: 40 }, (_, index) => `c${index}`);
    const replies = await Promise.all(names.map(async (id) => (await chat.ask(id)).over()));
    expect(replies.map(({ whole, body }) => [whole, readDeltas(body.toString())])).toEqual(
      names.map((id) => [true, `for ${id}`]),
    );
    await fixture.recorded.ended(40);
    const rows = await fixture.rows();
    expect(new Set(rows.map(({ content }) => content))).toEqual(
      new Set(names.map((id) => `for ${id}`)),
    );
    expect(rows).toHaveLength(40);
    expect(fixture.recorded.attempts.filter((errorType) => errorType !== undefined)).toEqual([]);
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(40);
    expect(scrape.sum('lastchunk_saves_expected_total')).toBe(40);
    expect(fixture.logbook.errors()).toEqual([]);
  },
);

it.runIf(present)('row, span, metrics and log of one stream agree', async () => {
  const fixture = await createFullFixture(pooled(), spans);
  const chat = await createChat(fixture, answer);
  expect((await (await chat.ask('c')).over()).whole).toBe(true);
  await fixture.agree({ outcome: 'completed', side: 'server', text: 'for c', complete: true });
});

/** The same databases, through the pooler. */
function pooled(): TestPostgres {
  return {
    ...database,
    newDatabase: async () => {
      const url = new URL(await database.newDatabase());
      url.port = String(pooler.port);
      return url.href;
    },
  };
}
