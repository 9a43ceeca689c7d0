/** Several instances on one journal directory: who is dead is taken over, who lives is left alone, and no answer is there twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { listen, startApp, type App } from '../support/child-process.ts';
import { createChat, relay } from '../support/chat.ts';
import { readDeltas } from '../support/frames.ts';
import { createFullFixture, type FullFixture } from '../support/full-fixture.ts';
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

describe('two processes on one journal', () => {
  it('of which one is killed: it is taken over, and the other continues unaffected', async () => {
    const shared = await createShared();
    const dying = await startApp(shared.connectionString, shared.journal);
    const living = await shared.fixture();
    const upstream = createControllableUpstream();
    const httpClient = await (await createChat(living, relay(upstream))).ask('living');
    upstream.push('said before, ');
    await httpClient.sees('said before');
    const clients = await listenTo(dying, ['1', '2', '3']);
    await dying.kill();
    await until('all clients are cut off', () => [...clients.values()].every(({ over }) => over));

    const successor = await shared.fixture();
    await until('what it left is recovered', () => recovered(successor, 3));
    upstream.push('and after');
    upstream.end();
    expect((await httpClient.over()).whole).toBe(true);
    expect(await living.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(await recovered(living, 0)).toBe(true);

    const rows = await successor.rows();
    expect(rows.map((row) => String(row.conversation_id)).toSorted()).toEqual([
      '1',
      '2',
      '3',
      'living',
    ]);
    for (const row of rows) {
      const seen = readDeltas(clients.get(String(row.conversation_id))?.text ?? httpClient.text);
      expect(seen.length).toBeGreaterThan(10);
      expect(row.content.startsWith(seen)).toBe(true);
      const { outcome, side, complete } = row;
      expect({ outcome, side, complete }).toEqual(
        row.conversation_id === 'living'
          ? { outcome: 'completed', side: 'server', complete: true }
          : { outcome: 'interrupted', side: 'server', complete: false },
      );
    }
    expect([living, successor].flatMap(({ recorded }) => recorded.internalErrors)).toEqual([]);
    expect([living, successor].flatMap(({ logbook }) => logbook.errors())).toEqual([]);
  });

  it('of which one is stopped by a signal: it is not taken over, and continues', async () => {
    const shared = await createShared();
    const stopped = await startApp(shared.connectionString, shared.journal);
    const clients = await listenTo(stopped, ['1', '2']);
    stopped.freeze();
    onTestFinished(() => stopped.thaw());

    const neighbour = await shared.fixture();
    const upstream = createControllableUpstream();
    const httpClient = await (await createChat(neighbour, relay(upstream))).ask('neighbour');
    upstream.push('hello');
    upstream.end();
    expect((await httpClient.over()).whole).toBe(true);
    await neighbour.recorded.ended();
    // It has looked around by now: what it says about its own stream comes after that.
    expect(await neighbour.keep.replay()).toEqual({ saved: 0, refused: 0, left: 0 });
    expect(await recovered(neighbour, 0)).toBe(true);

    const before = new Map([...clients].map(([id, { text }]) => [id, text.length]));
    stopped.thaw();
    await until('it goes on', () =>
      [...clients].every(([id, { text }]) => text.length > (before.get(id) ?? 0) + 1000),
    );
    await stopped.kill();
    await until('all clients are cut off', () => [...clients.values()].every(({ over }) => over));
    const successor = await shared.fixture();
    await until('what it left is recovered', () => recovered(successor, 2));
    const rows = await successor.rows();
    expect(rows).toHaveLength(3);
    for (const [id, { text }] of clients) {
      const own = rows.filter(({ conversation_id }) => conversation_id === id);
      expect(own).toMatchObject([{ outcome: 'interrupted', complete: false }]);
      expect(own[0]?.content.startsWith(readDeltas(text))).toBe(true);
    }
  });
});

describe('two instances in one process, on one journal', () => {
  it('keep their own messages through an outage, and the next one recovers what one leaves at its end', async () => {
    const shared = await createShared();
    const houses = [await shared.fixture(), await shared.fixture()];
    await database.stopImmediate();
    for (const [index, fixture] of houses.entries()) {
      const upstream = createControllableUpstream();
      const httpClient = await (await createChat(fixture, relay(upstream))).ask(`of-${index}`);
      upstream.push(`words of ${index}`);
      upstream.end();
      expect((await httpClient.over()).whole).toBe(true);
      expect(await fixture.recorded.ended()).toMatchObject({ save: 'journaled' });
    }
    const [first, second] = houses;
    if (first === undefined || second === undefined) throw new Error('there are two');
    // The one goes while the database is away: its directory is nobody's now.
    expect(await first.keep.close({ deadlineMs: 1000 })).toMatchObject({ lost: 0 });
    await database.start();
    await until('the other has replayed its own', async () => {
      const replayed = (await second.scrape()).sum('lastchunk_journal_replayed_total');
      return replayed === 1 && (await second.rows()).length === 1;
    });
    const third = await shared.fixture();
    await until('and a third what was left', async () => (await third.rows()).length === 2);
    const rows = await third.rows();
    expect(new Set(rows.map(({ content }) => content))).toEqual(
      new Set(['words of 0', 'words of 1']),
    );
    expect(rows.every(({ complete, outcome }) => complete && outcome === 'completed')).toBe(true);
    await until('it is counted', () => recovered(third, 1));
    expect(await recovered(second, 0)).toBe(true);
    expect([first, second, third].flatMap(({ recorded }) => recorded.internalErrors)).toEqual([]);
  });
});

/** One database and one journal directory for several instances. */
async function createShared() {
  const connectionString = await database.newDatabase();
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-shared-'));
  onTestFinished(() => rm(journal, { recursive: true, force: true }));
  const same = { ...database, newDatabase: () => Promise.resolve(connectionString) };
  return { connectionString, journal, fixture: () => createFullFixture(same, spans, { journal }) };
}

/** Clients of endless conversations that have all read a good deal. */
async function listenTo(app: App, ids: readonly string[]) {
  const clients = new Map(ids.map((id) => [id, listen(`${app.url}/chat/${id}`)]));
  await until('all of them are under way', () =>
    [...clients.values()].every(({ text }) => text.length > 4000),
  );
  return clients;
}

async function recovered(fixture: FullFixture, count: number): Promise<boolean> {
  const scrape = await fixture.scrape();
  return scrape.sum('lastchunk_journal_recovered_total', { result: 'saved' }) === count;
}
