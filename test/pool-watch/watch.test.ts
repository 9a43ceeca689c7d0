/** The watcher of pools, with a real pool, a real PostgreSQL, and handlers that do what handlers do. */
import { execFile } from 'node:child_process';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import express, { type RequestHandler } from 'express';
import pg from 'pg';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk, type PoolFinding, type Status } from '../../src/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createLogbook } from '../support/logbook.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { parseScrape } from '../support/scrape.ts';
import { serve } from '../support/test-server.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

let database: TestPostgres;
beforeAll(async () => {
  database = await startPostgres();
}, 60_000);
afterAll(() => database.remove());

/** An instance that watches a pool of its own, and what it found. */
function createLookout({ heldMs = 60_000, max = 3 } = {}) {
  const metrics = prometheus({ registry: new Registry() });
  const logbook = createLogbook();
  const findings: PoolFinding[] = [];
  const observer = { onPoolFinding: (finding: PoolFinding) => void findings.push(finding) };
  const keep = lastchunk({ metrics, observer, logger: logbook.logger });
  const pool = new pg.Pool({ connectionString: database.connectionString, max });
  const unwatch = keep.watchPool(pool, { name: 'app', heldMs });
  onTestFinished(async () => {
    await keep.close({ deadlineMs: 100 });
    await pool.end();
  });
  const scrape = async () => parseScrape(await metrics.registry.metrics());
  return { keep, pool, unwatch, findings, scrape, logbook };
}

type Lookout = ReturnType<typeof createLookout>;

/** Asks for an answer of `handler` and waits for its end. */
async function ask({ keep }: Lookout, handler: RequestHandler): Promise<void> {
  const app = express().use(keep.observe());
  let ended = false;
  app.get('/chat/:id', (req, res, next) => {
    res.once('close', () => (ended = true));
    return handler(req, res, next);
  });
  await (await openClient(await serve(app), '/chat/1')).over();
  await until('the response is closed', () => ended);
  await turns();
}

/** The line that calls this. */
function here(): string {
  const line = new Error().stack?.split('\n')[2] ?? '';
  return /\(?(?:file:\/\/)?([^ (]+?):(\d+):\d+\)?$/.exec(line)?.slice(1).join(':') ?? 'nowhere';
}

/** The same file and the next line. */
function below(place: string): string {
  return place.replace(/\d+$/, (line) => String(Number(line) + 1));
}

it('lists which lines hold clients now, the longest first', async () => {
  const { keep, pool } = createLookout();
  const app = express();
  app.get('/status', keep.statusHandler({ authorize: () => true }));
  const { url } = await serve(app);
  const read = async () => {
    const response = await fetch(`${url}/status`, { headers: { accept: 'application/json' } });
    return ((await response.json()) as Status).pools;
  };
  expect(await read()).toMatchObject([{ name: 'app', max: 3, holders: [] }]);
  const place = below(here());
  const clients = [await pool.connect()];
  // Both of this line.
  for (let n = 0; n < 2; n += 1) clients.push(await pool.connect());
  const [use] = await read();
  expect(use?.holders.map(({ place, clients: many }) => [place, many])).toEqual([
    [relative(process.cwd(), place), 1],
    [expect.stringContaining('watch.test.ts:'), 2],
  ]);
  expect(use?.holders[0]?.heldSeconds).toBeGreaterThanOrEqual(use?.holders[1]?.heldSeconds ?? 0);
  for (const client of clients) client.release();
  expect(await read()).toMatchObject([{ idle: 3, holders: [] }]);
});

describe('a client held across a stream', () => {
  it('is found, counted and reported with the line that took it', async () => {
    const lookout = createLookout();
    const { pool, findings, scrape, logbook } = lookout;
    let place = '';
    for (let round = 0; round < 2; round += 1) {
      await ask(lookout, async (_, res) => {
        place = below(here());
        const client = await pool.connect();
        res.type('text/plain').write('one ');
        await client.query('SELECT 1');
        res.write('two ');
        res.end();
        client.release();
      });
    }
    expect(findings.map(({ pool, kind, place, route }) => ({ pool, kind, place, route }))).toEqual(
      Array(2).fill({ pool: 'app', kind: 'across-stream', place, route: '/chat/:id' }),
    );
    expect((await scrape()).sum('lastchunk_pool_held_across_streams_total', { pool: 'app' })).toBe(
      2,
    );
    const told = logbook.lines.filter(({ level }) => level === 'warn');
    expect(told).toHaveLength(1);
    expect(told[0]?.text).toContain(place);
  });

  it('is found if it is not released at the end of the stream', async () => {
    const lookout = createLookout();
    const taken = createGate<pg.PoolClient>();
    await ask(lookout, async (_, res) => {
      taken.open(await lookout.pool.connect());
      res.type('text/plain').write('one ');
      res.end('two');
    });
    await until('it is found', () => lookout.findings.length === 1);
    (await taken.promise).release();
    await turns();
    expect(lookout.findings).toMatchObject([{ kind: 'across-stream' }]);
  });

  it('is found while the stream goes on, if that takes longer than heldMs', async () => {
    const lookout = createLookout({ heldMs: 30 });
    await ask(lookout, async (_, res) => {
      res.type('text/plain').write('one ');
      const client = await lookout.pool.connect();
      res.write('two ');
      await until('it is found', () => lookout.findings.length === 1);
      client.release();
      res.end();
    });
    expect(lookout.findings).toMatchObject([{ kind: 'across-stream', route: '/chat/:id' }]);
  });

  it.each<[string, (lookout: Lookout) => RequestHandler]>([
    [
      'released before the first chunk',
      ({ pool }) =>
        async (_, res) => {
          const client = await pool.connect();
          await client.query('SELECT 1');
          client.release();
          res.type('text/plain').write('one ');
          res.end('two');
        },
    ],
    [
      'released in the middle of the stream',
      ({ pool }) =>
        async (_, res) => {
          const client = await pool.connect();
          res.type('text/plain').write('one ');
          client.release();
          res.write('two ');
          res.end();
        },
    ],
    [
      'taken to save the answer at its end',
      ({ pool }) =>
        async (_, res) => {
          res.type('text/plain').write('one ');
          res.write('two ');
          const client = await pool.connect();
          res.end();
          await client.query('SELECT 1');
          client.release();
        },
    ],
    [
      'held for an answer in one piece',
      ({ pool }) =>
        async (_, res) => {
          const client = await pool.connect();
          res.type('text/event-stream').send('data: one\n\n');
          client.release();
        },
    ],
    [
      'held for a response that is not a stream',
      ({ pool }) =>
        async (_, res) => {
          const client = await pool.connect();
          res.json({ ok: true });
          client.release();
        },
    ],
    [
      'used by pool.query()',
      ({ pool }) =>
        async (_, res) => {
          await pool.query('SELECT 1');
          res.type('text/plain').write('one ');
          await pool.query('SELECT 1');
          res.end('two');
        },
    ],
  ])('is not reported if it is %s', async (_, handlerOf) => {
    const lookout = createLookout();
    await ask(lookout, handlerOf(lookout));
    expect(lookout.findings).toEqual([]);
    expect((await lookout.scrape()).sum('lastchunk_pool_held_across_streams_total')).toBe(0);
  });
});

describe('a client held for longer than heldMs', () => {
  it('is reported once, without a stream', async () => {
    const { pool, findings, scrape } = createLookout({ heldMs: 20 });
    const place = below(here());
    const client = await pool.connect();
    await until('it is found', () => findings.length > 0);
    await client.query('SELECT pg_sleep(0.1)');
    client.release();
    expect(findings).toMatchObject([{ kind: 'long', place, route: undefined }]);
    expect((await scrape()).sum('lastchunk_pool_held_long_total', { pool: 'app' })).toBe(1);
  });
});

it('a client that the app never releases is found when it is garbage collected', async () => {
  const script = fileURLToPath(new URL('watch-child.ts', import.meta.url));
  const args = ['--expose-gc', '--import', 'tsx', script, database.connectionString];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  expect(JSON.parse(stdout)).toEqual({
    lost: 1,
    findings: [{ pool: 'app', kind: 'leaked', line: 'const lost = async () => pool.connect();' }],
  });
});

describe('a watched pool', () => {
  it('has gauges of its clients, and counters at 0 from the start', async () => {
    const { pool, scrape } = createLookout({ max: 2 });
    const clients = await Promise.all([pool.connect(), pool.connect()]);
    const waiting = pool.connect();
    const seen = await scrape();
    const of = (name: string, labels = {}) => seen.sum(name, { pool: 'app', ...labels });
    expect(of('lastchunk_pool_clients', { state: 'active' })).toBe(2);
    expect(of('lastchunk_pool_clients_max')).toBe(2);
    expect(of('lastchunk_pool_waiting')).toBe(1);
    for (const what of ['held_across_streams', 'held_long', 'leaked']) {
      expect(seen.has(`lastchunk_pool_${what}_total`, { pool: 'app' })).toBe(true);
    }
    for (const client of clients) client.release();
    (await waiting).release();
    expect((await scrape()).sum('lastchunk_pool_clients', { state: 'idle' })).toBe(2);
  });

  it('returns clients that work in every way in which apps use them', async () => {
    const { pool } = createLookout({ max: 1 });
    const client = await pool.connect();
    expect(client).toBeInstanceOf(pg.Client);
    expect(client.on('notice', () => undefined)).toBe(client);
    // As the documentation of pg does it, to find slow queries.
    const { query } = client;
    client.query = ((...args: Parameters<typeof query>) =>
      query.apply(client, args)) as typeof query;
    expect((await client.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    client.query = query;
    const { release } = client;
    release();
    const again = await pool.connect();
    expect(again).toBe(client);
    expect((await again.query('SELECT 1')).rowCount).toBe(1);
    again.release();
  });

  it('supports callbacks, with a working release', async () => {
    const { pool, findings } = createLookout();
    const done = createGate<number | null>();
    pool.connect((error, client, release) => {
      void client?.query('SELECT 1').then(({ rowCount }) => {
        release(error);
        done.open(rowCount);
      });
    });
    expect(await done.promise).toBe(1);
    expect(pool.idleCount).toBe(1);
    expect(findings).toEqual([]);
  });

  it('passes on an error of connecting', async () => {
    const keep = lastchunk();
    const pool = new pg.Pool({ host: '127.0.0.1', port: 1 });
    keep.watchPool(pool, { name: 'nowhere' });
    await expect(pool.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await keep.close();
    await pool.end();
  });

  it('still works after a client is released twice, or destroyed', async () => {
    const { pool, scrape } = createLookout({ max: 1 });
    const client = await pool.connect();
    client.release();
    expect(() => client.release()).toThrow(/already been released/);
    (await pool.connect()).release(true);
    (await pool.connect()).release();
    const seen = await scrape();
    expect(seen.sum('lastchunk_pool_clients', { pool: 'app', state: 'active' })).toBe(0);
    expect(seen.sum('lastchunk_pool_leaked_total')).toBe(0);
  });

  it('is as before when it is unwatched', async () => {
    const { pool, unwatch, scrape } = createLookout({ max: 1 });
    expect(Object.hasOwn(pool, 'connect')).toBe(true);
    const client = await pool.connect();
    unwatch();
    client.release();
    expect(Object.hasOwn(pool, 'connect')).toBe(false);
    expect(pool.listenerCount('release')).toBe(0);
    expect((await scrape()).sum('lastchunk_pool_clients_max', { pool: 'app' })).toBe(0);
    (await pool.connect()).release();
  });
});

const BAD_OPTION = expect.objectContaining({ code: 'bad-option' });

describe('watchPool()', () => {
  it.each([
    [{ name: '' }],
    [{ name: 'a b' }],
    [{ name: 'x'.repeat(41) }],
    [{ name: 'lastchunk' }],
    [{ name: 'other' }],
    [{}],
    [{ name: 'fine', heldMs: 1 }],
    [{ name: 'fine', limit: 5 }],
    // Watched already.
    [{ name: 'app' }],
  ])('refuses %j', (options) => {
    const { keep } = createLookout();
    const other = new pg.Pool();
    // What a caller without types may give.
    const wrong = options as { name: string };
    expect(() => keep.watchPool(other, wrong)).toThrow(BAD_OPTION);
  });

  it('refuses the same pool twice, a value that is not a pool, and the eleventh pool', () => {
    const { keep, pool } = createLookout();
    expect(() => keep.watchPool(pool, { name: 'again' })).toThrow(BAD_OPTION);
    const nothing = {} as unknown as pg.Pool;
    expect(() => keep.watchPool(nothing, { name: 'nothing' })).toThrow(BAD_OPTION);
    for (let n = 1; n < 10; n += 1) keep.watchPool(new pg.Pool(), { name: `pool-${n}` });
    expect(() => keep.watchPool(new pg.Pool(), { name: 'eleventh' })).toThrow(BAD_OPTION);
  });
});
