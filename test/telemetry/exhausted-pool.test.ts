/**
 * Other handlers have taken every connection of the app's own pool: its gauges say so, ours beside them that nobody waits,
 * and a guarded stream is saved as ever. Both go to one database, where only the name of the pool tells them apart.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { createChat, relay } from '../support/chat.ts';
import { createHouse } from '../support/house.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createTap } from '../support/tap.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;
beforeAll(async () => {
  database = await startPostgres();
});
afterAll(() => database.remove());

it('an exhausted pool of the app is seen, and costs no message', async () => {
  const house = await createHouse(database, spans);
  const pool = new pg.Pool({ connectionString: house.connectionString, max: 2 });
  const unwatch = house.keep.watchPool(pool, { name: 'app' });
  const taken = await Promise.all([pool.connect(), pool.connect()]);
  const waiting = pool.query('SELECT 1');
  onTestFinished(async () => {
    for (const client of taken) client.release();
    await waiting;
    unwatch();
    await pool.end();
  });
  const tap = createTap();
  const chat = await createChat(house, relay(tap));
  const visitor = await chat.ask();
  tap.push('The answer');
  tap.end();
  expect((await visitor.over()).whole).toBe(true);
  await house.agree({ outcome: 'completed', side: 'server', text: 'The answer', complete: true });
  await until('our own connections are idle again', async () => {
    const now = await house.scrape();
    return now.sum('lastchunk_pool_clients', { pool: 'lastchunk', state: 'active' }) === 0;
  });
  const scrape = await house.scrape();
  const gauges = (name: string) => ({
    active: scrape.sum('lastchunk_pool_clients', { pool: name, state: 'active' }),
    max: scrape.sum('lastchunk_pool_clients_max', { pool: name }),
    waiting: scrape.sum('lastchunk_pool_waiting', { pool: name }),
  });
  expect(gauges('app')).toEqual({ active: 2, max: 2, waiting: 1 });
  expect(gauges('lastchunk')).toEqual({ active: 0, max: 4, waiting: 0 });
});
