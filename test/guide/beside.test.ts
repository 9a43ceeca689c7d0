/** docs/opentelemetry.md says of each tool what its run in the matrix does. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { TOOLS, toolsTable } from '../matrix/beside/tools.ts';
import { ROOT } from '../support/imports.ts';

it('docs/opentelemetry.md has the table of the tools that run beside lastchunk', async () => {
  expect(await readFile(join(ROOT, 'docs/opentelemetry.md'), 'utf8')).toContain(toolsTable());
});

/** What the page tells people to set or to call; the app that runs does so. */
const TOLD = /`[^`]*?(?<call>[A-Za-z]+)\(|`(?<name>[A-Za-z]+): true`|`(?<variable>[A-Z_]+)=/g;

it.each(TOOLS)(
  'the app of the matrix does what the page says of $name',
  async ({ says, env = {} }) => {
    const folder = join(ROOT, 'test/matrix/program/beside');
    const files = await Promise.all(
      ['tools.cjs', 'app.cjs'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    const program = files.join('') + Object.keys(env).join(' ');
    const told = [...says.matchAll(TOLD)].map(
      ({ groups }) => groups?.['call'] ?? groups?.['name'] ?? groups?.['variable'] ?? '',
    );
    expect(told.filter((word) => !program.includes(word))).toEqual([]);
  },
);
