/** The pages on security name what exists. */
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';

describe('docs/threat-model.md', () => {
  it('names for each threat a test that exists', async () => {
    const page = await readFile(join(ROOT, 'docs/threat-model.md'), 'utf8');
    const rows = [...page.matchAll(/^\| .+ \| .+ \| (.+?) +\|$/gm)].map(([, cell = '']) => cell);
    const held = rows.filter((cell) => !/^(?:tested by|-+)$/.test(cell.trim()));
    expect(held.length).toBeGreaterThan(25);
    const lost: string[] = [];
    for (const cell of held) {
      const [, file = cell] = /^`(test\/[\w./-]+\.ts)`$/.exec(cell.trim()) ?? [];
      await access(join(ROOT, file)).catch(() => lost.push(cell));
    }
    expect(lost).toEqual([]);
  });
});

it.each(['SECURITY.md', 'docs/threat-model.md', 'docs/data-handling.md'])(
  '%s links only to existing files',
  async (name) => {
    const page = await readFile(join(ROOT, name), 'utf8');
    const links = [...page.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = '']) => target);
    const lost: string[] = [];
    for (const target of links) {
      await access(join(ROOT, dirname(name), target)).catch(() => lost.push(target));
    }
    expect(lost).toEqual([]);
  },
);

it('docs/data-handling.md names only existing commands', async () => {
  const page = await readFile(join(ROOT, 'docs/data-handling.md'), 'utf8');
  const help = await readFile(join(ROOT, 'src/cli/journal/journal.ts'), 'utf8');
  const named = [...page.matchAll(/`lastchunk journal (\w+)(?: (--[\w-]+))?/g)];
  expect(named.length).toBeGreaterThan(2);
  for (const [, action = '', option] of named) {
    expect(help).toMatch(new RegExp(`^  ${action}\\b`, 'm'));
    expect(help).toContain(option === undefined ? 'usage: ' : `  ${option} `);
  }
});
