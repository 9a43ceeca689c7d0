/** The page of the API says what the package exports: a change of a public name or shape is seen in it. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import * as entry from '../../src/index.ts';
import { apiDoc } from '../../scripts/api-doc.ts';

const PAGE = new URL('../../docs/api.md', import.meta.url);

it('docs/api.md is generated from the declarations, by `npm run generate`', async () => {
  const page = await readFile(PAGE, 'utf8');
  expect(page).toBe(await apiDoc());
});

it('docs/api.md has every value of the main entry, and every module of the package', async () => {
  const page = await readFile(PAGE, 'utf8');
  for (const name of Object.keys(entry)) expect(page).toContain(`\n### ${name}\n`);
  const manifest: unknown = JSON.parse(
    await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  const modules = Object.keys((manifest as { exports: object }).exports)
    .filter((path) => path !== './package.json')
    .map((path) => `lastchunk${path.slice(1)}`);
  const sections = [...page.matchAll(/^## `([\w/]+)`$/gm)].map(([, name]) => name);
  expect(sections).toEqual(modules);
});

it('docs/api.md has a comment on every name', async () => {
  const page = await readFile(PAGE, 'utf8');
  expect([...page.matchAll(/\n### (\w+)\n\n```/g)].map(([, name]) => name)).toEqual([]);
});
