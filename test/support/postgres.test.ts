import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres } from './postgres.ts';
import type { TestPostgres } from './postgres.ts';

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ work_mem: '5MB' });
}, 60_000);
afterAll(() => server.remove());

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

it('runs PostgreSQL 18 with the given settings', async () => {
  const rows = await ask(server.connectionString, 'SHOW server_version_num');
  expect(rows).toEqual([{ server_version_num: expect.stringMatching(/^18/) }]);
  expect(await ask(server.connectionString, 'SHOW work_mem')).toEqual([{ work_mem: '5MB' }]);
});

it('keeps committed rows after a crash, on the same port', async () => {
  await ask(server.connectionString, 'CREATE TABLE kept AS SELECT 1 AS one');
  await server.stopImmediate();
  await expect(ask(server.connectionString, 'SELECT 1')).rejects.toMatchObject({
    code: 'ECONNREFUSED',
  });
  await server.start();
  expect(await ask(server.connectionString, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
});

it('keeps committed rows after a fast shutdown, and can be stopped twice', async () => {
  await server.stop();
  await server.stop();
  await server.start();
  await server.start();
  expect(await ask(server.connectionString, 'SELECT one FROM kept')).toEqual([{ one: 1 }]);
});

it('creates separate databases', async () => {
  const [first, second] = [await server.newDatabase(), await server.newDatabase()];
  await ask(first, 'CREATE TABLE only_here (id int)');
  await expect(ask(second, 'SELECT * FROM only_here')).rejects.toMatchObject({ code: '42P01' });
});
