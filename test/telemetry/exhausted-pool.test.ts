/**
 * Other handlers have taken every connection of the app's own pool: its gauges say so, ours beside them that nobody waits,
 * and a guarded stream is saved as ever. Both go to one database, where only the name of the pool tells them apart.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createChat, relay } from '../support/chat.ts';
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
afterAll(() => database.remove());

it('an exhausted pool of the app is reported, and no message is lost', async () => {
  const fixture = await createFullFixture(database, spans);
  const pool = new pg.Pool({ connectionString: fixture.connectionString, max: 2 });
  const unwatch = fixture.keep.watchPool(pool, { name: 'app' });
  const taken = await Promise.all([pool.connect(), pool.connect()]);
  const waiting = pool.query('SELECT 1');
  onTestFinished(async () => {
    for (const client of taken) client.release();
    await waiting;
    unwatch();
    await pool.end();
  });
  const upstream = createControllableUpstream();
  const chat = await createChat(fixture, relay(upstream));
  const httpClient = await chat.ask();
  upstream.push('The answer');
  upstream.end();
  expect((await httpClient.over()).whole).toBe(true);
  await fixture.agree({ outcome: 'completed', side: 'server', text: 'The answer', complete: true });
  await until('our own connections are idle again', async () => {
    const now = await fixture.scrape();
    return now.sum('lastchunk_pool_clients', { pool: 'lastchunk', state: 'active' }) === 0;
  });
  const scrape = await fixture.scrape();
  const gauges = (name: string) => ({
    active: scrape.sum('lastchunk_pool_clients', { pool: name, state: 'active' }),
    max: scrape.sum('lastchunk_pool_clients_max', { pool: name }),
    waiting: scrape.sum('lastchunk_pool_waiting', { pool: name }),
  });
  expect(gauges('app')).toEqual({ active: 2, max: 2, waiting: 1 });
  expect(gauges('lastchunk')).toEqual({ active: 0, max: 4, waiting: 0 });
});
