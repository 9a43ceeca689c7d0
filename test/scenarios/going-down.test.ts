/** A process that goes down with streams alive, by `close()` or by SIGKILL: what clients have seen is in the database. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestHandler } from 'express';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { listen, startApp, startScript } from '../support/child-process.ts';
import { createChat } from '../support/chat.ts';
import { chatChunk, readDeltas } from '../support/frames.ts';
import { createFullFixture, type FullFixture, type Row } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing('hangs');
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

// A test that failed may have left it stopped.
afterEach(() => database.start());

afterAll(() => database.remove());

const LIVE = 200;

describe('close() with 200 live streams, while the collector of spans hangs,', () => {
  it('resolves when all partial messages are in the database and all clients are cut off', async () => {
    const { fixture, chat, httpClients } = await openLive();
    const report = await fixture.keep.close({ deadlineMs: 4000 });
    expect(await contents(fixture)).toEqual(seenBy(httpClients));
    expect(report).toEqual({ saved: LIVE, journaled: 0, lost: 0, refused: 0 });
    expect(chat.testServer.sockets.filter(({ destroyed }) => !destroyed)).toEqual([]);
    await expectInterrupted(fixture, 'saved');
    expect(fixture.logbook.errors()).toEqual([]);
    for (const httpClient of httpClients.values())
      expect((await httpClient.over()).whole).toBe(false);
  });

  it('journals all of them if the database is down, and the next instance saves them', async () => {
    const { fixture, chat, httpClients } = await openLive();
    await database.stopImmediate();
    const report = await fixture.keep.close({ deadlineMs: 4000 });
    expect(report).toEqual({ saved: 0, journaled: LIVE, lost: 0, refused: 0 });
    expect(chat.testServer.sockets.filter(({ destroyed }) => !destroyed)).toEqual([]);
    await expectInterrupted(fixture, 'journaled');
    await database.start();
    const next = await nextHouse(fixture.connectionString, fixture.journal);
    await recovered(next, LIVE);
    expect(await contents(next)).toEqual(seenBy(httpClients));
    const scrape = await next.scrape();
    // They were due in the process that is gone.
    expect(scrape.sum('lastchunk_saves_expected_total')).toBe(0);
    expect(scrape.sum('lastchunk_saves_total')).toBe(0);
    expect(next.keep.health()).toMatchObject({ status: 'healthy', journal: { entries: 0 } });
  });

  async function openLive() {
    const fixture = await createFullFixture(database, spans);
    const handler: RequestHandler = (req, res) => {
      const id = String(req.params['id']);
      res.type('text/event-stream').write(chatChunk({ content: `The answer to ${id} ` }));
      res.write(chatChunk({ content: `is ${'so '.repeat(Number(id) % 50)}` }));
    };
    const chat = await createChat(fixture, handler);
    const asked = Array.from({ length: LIVE }, async (_, index) => {
      const httpClient = await chat.ask(String(index));
      await httpClient.sees('is ');
      return [String(index), httpClient] as const;
    });
    return { fixture, chat, httpClients: new Map(await Promise.all(asked)) };
  }

  function seenBy(
    httpClients: Awaited<ReturnType<typeof openLive>>['httpClients'],
  ): ReadonlyMap<string | null, string> {
    return new Map([...httpClients].map(([id, { text }]) => [id, readDeltas(text)]));
  }

  async function contents(fixture: FullFixture): Promise<ReadonlyMap<string | null, string>> {
    const rows = await fixture.rows();
    expect(rows).toHaveLength(LIVE);
    expect(rows.map(factsOf)).toEqual(Array(LIVE).fill(INTERRUPTED));
    return new Map(rows.map((row) => [row.conversation_id, row.content]));
  }

  async function expectInterrupted(
    fixture: FullFixture,
    save: 'saved' | 'journaled',
  ): Promise<void> {
    await fixture.recorded.ended(LIVE);
    const told = fixture.recorded.ends.map((end) => [end.outcome, end.side, end.save]);
    expect(told).toEqual(Array(LIVE).fill(['interrupted', 'server', save]));
    const scrape = await fixture.scrape();
    expect({
      ended: scrape.sum('lastchunk_streams_ended_total', { outcome: 'interrupted' }),
      active: scrape.sum('lastchunk_streams_active'),
      expected: scrape.sum('lastchunk_saves_expected_total'),
      results: scrape.sum('lastchunk_saves_total', { result: save }),
      all: scrape.sum('lastchunk_saves_total'),
      pending: scrape.sum('lastchunk_saves_pending'),
    }).toEqual({
      ended: LIVE,
      active: 0,
      expected: LIVE,
      results: LIVE,
      all: LIVE,
      pending: 0,
    });
    expect(fixture.keep.health().status).toBe('failing');
    expect(fixture.keep.health().reasons).toContain('closing');
  }
});

describe('SIGKILL mid-stream', () => {
  it('and the next instance saves what every client had seen, once, as interrupted', async () => {
    const connectionString = await database.newDatabase();
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-killed-'));
    onTestFinished(() => rm(journal, { recursive: true, force: true }));
    const child = await startApp(connectionString, journal);
    const ids = Array.from({ length: 24 }, (_, index) => String(index));
    const clients = new Map(ids.map((id) => [id, listen(`${child.url}/chat/${id}`)]));
    const ending = ids.filter((id) => Number(id) % 4 === 0);
    await until('some answers are whole and the others are under way', () =>
      ids.every((id) => {
        const seen = clients.get(id);
        return ending.includes(id) ? seen?.whole : (seen?.text.length ?? 0) > 4000;
      }),
    );
    await child.kill();
    await until('all clients are cut off', () => [...clients.values()].every(({ over }) => over));

    const fixture = await nextHouse(connectionString, journal);
    await recovered(fixture, ids.length - ending.length);
    const rows = await fixture.rows();
    expect(rows).toHaveLength(ids.length);
    expect(new Set(rows.map(({ conversation_id }) => conversation_id))).toEqual(new Set(ids));
    for (const row of rows) {
      const seen = readDeltas(clients.get(String(row.conversation_id))?.text ?? '');
      expect(seen.length).toBeGreaterThan(0);
      expect(row.content.startsWith(seen)).toBe(true);
      const whole = ending.includes(String(row.conversation_id));
      expect(factsOf(row)).toEqual(whole ? COMPLETED : INTERRUPTED);
    }
    expect(fixture.recorded.saves).toEqual([]);
    expect(fixture.recorded.internalErrors).toEqual([]);
    // Message text is in no log.
    expect(fixture.logbook.lines.filter(({ text }) => text.includes('token'))).toEqual([]);
    const again = await fixture.keep.replay();
    expect(again).toEqual({ saved: 0, refused: 0, left: 0 });
    expect(await fixture.rows()).toEqual(rows);
  });
});

describe('SIGKILL of a stream whose body had left memory, and which went on after it was saved,', () => {
  it('and the next instance saves all that its client had seen', async () => {
    const connectionString = await database.newDatabase();
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-reopened-'));
    onTestFinished(() => rm(journal, { recursive: true, force: true }));
    const script = fileURLToPath(new URL('reopened-child.ts', import.meta.url));
    const child = await startScript(script, [connectionString, journal]);
    const client = listen(`${child.url}/chat/7`);
    // The finish marker is there when the message is saved.
    await until('the answer has ended', () => client.text.includes('"stop"'));
    await fetch(`${child.url}/go`, { method: 'POST' });
    await until('it has gone on', () => client.text.includes('and more'));
    await child.kill();
    await until('the client is cut off', () => client.over);

    const fixture = await nextHouse(connectionString, journal);
    await recovered(fixture, 1);
    const [row, ...others] = await fixture.rows();
    expect(others).toEqual([]);
    expect(row?.content === readDeltas(client.text)).toBe(true);
    expect(row).toMatchObject({ outcome: 'interrupted', complete: false, revision: 1 });
    expect(fixture.recorded.internalErrors).toEqual([]);
  });
});

const INTERRUPTED = { outcome: 'interrupted', side: 'server', complete: false, revision: 0 };
const COMPLETED = { outcome: 'completed', side: 'server', complete: true, revision: 0 };

function factsOf({ outcome, side, complete, revision }: Row): object {
  return { outcome, side, complete, revision };
}

/** An instance on a database that another one has used, and on its journal. */
function nextHouse(connectionString: string, journal: string): Promise<FullFixture> {
  const same = { ...database, newDatabase: () => Promise.resolve(connectionString) };
  return createFullFixture(same, spans, { journal });
}

async function recovered(fixture: FullFixture, count: number): Promise<void> {
  await until(`${count} messages are recovered`, async () => {
    const scrape = await fixture.scrape();
    return scrape.sum('lastchunk_journal_recovered_total', { result: 'saved' }) === count;
  });
}
