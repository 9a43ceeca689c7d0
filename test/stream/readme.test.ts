/** The README of the stream room says what the code and the tests say. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PHASES } from '../../src/stream/lifecycle/phases.ts';
import { ROOT } from '../support/imports.ts';

it('src/stream/README.md names the phases of a stream, each once and in their order', async () => {
  const section = await sectionOf('Phases of a stream');
  const named = [...section.matchAll(/^\| `([\w-]+)`/gm)].map(([, name]) => name);
  expect(named).toEqual(Object.keys(PHASES));
});

it('src/stream/README.md names an existing test for each rule of the write-ahead', async () => {
  const rules = (await sectionOf('Rules of the write-ahead')).split(/^\d\. /m).slice(1);
  expect(rules).toHaveLength(6);
  for (const rule of rules) {
    const [, file = '', title = ''] = /`(test\/\S+)`: "([^"]+)"/.exec(rule) ?? [];
    const text = file === '' ? '' : await readFile(join(ROOT, file), 'utf8');
    expect([rule, text.includes(`'${title}'`)]).toEqual([rule, true]);
  }
});

/** The text of the section whose title begins so, up to the next one. */
async function sectionOf(title: string): Promise<string> {
  const readme = await readFile(join(ROOT, 'src/stream/README.md'), 'utf8');
  const section = readme.split(/^## /m).find((text) => text.startsWith(title));
  return section ?? '';
}
