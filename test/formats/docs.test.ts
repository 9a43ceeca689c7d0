/** docs/formats.md: its tables are those of the code, and its query answers what it says. */
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatsDoc } from '../../scripts/formats-doc.ts';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { openClient } from '../support/http-client.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { serve } from '../support/test-server.ts';

const page = await readFile(new URL('../../docs/formats.md', import.meta.url), 'utf8');

it('docs/formats.md has the tables of the code; `npm run generate` writes them', () => {
  expect(formatsDoc(page)).toBe(page);
});

describe('the query for unknown payloads', () => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await startPostgres();
  });
  afterAll(() => database.remove());

  it('shows the shape of unknown payloads, and no text', async () => {
    const connectionString = await database.newDatabase();
    const keep = lastchunk({
      store: postgres({ connectionString, migrate: true }),
      journal: false,
    });
    const guard = keep.guard({ route: '/' }, (_req, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write('data: {"type":"verse","lines":{"first":"a text that nobody finds"}}\n\n');
      res.end('data: {"type":"verse","lines":{"first":"and another one"}}\n\n');
    });
    const client = await openClient(await serve((req, res) => void guard(req, res)), '/');
    await client.over();
    await keep.close({ deadlineMs: 5_000 });
    const sql = /```sql\n(.*?)```/s.exec(page)?.[1] ?? '';
    const db = new pg.Client({ connectionString });
    await db.connect();
    const { rows } = await db.query(sql);
    await db.end();
    expect(rows).toEqual([
      { type: 'verse', members: 'lines, type', payloads: '2', last: expect.any(Date) as Date },
    ]);
  });
});
