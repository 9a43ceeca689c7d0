/** The page about crashes names for each point a test that exists. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';

/** A row of one of its tables: what dies where, two cells about the disk and the start, and the test. */
const ROW = /^\| (?!it dies|-)(.+?) +\|.*\| `(test\/\S+)`: "(.+)" +\|$/gm;

it('docs/contributing/crashes.md names an existing test for each point at which a process can die', async () => {
  const page = await readFile(join(ROOT, 'docs/contributing/crashes.md'), 'utf8');
  const rows = [...page.matchAll(ROW)];
  expect(rows).toHaveLength(page.match(/^\| (?!it dies|-)/gm)?.length ?? 0);
  expect(rows.length).toBeGreaterThan(20);
  for (const [, point, file = '', title] of rows) {
    const text = await readFile(join(ROOT, file), 'utf8');
    expect([point, text.includes(`'${title}'`)]).toEqual([point, true]);
  }
});
