/** docs/compatibility.md says what the tables of the tests say. Whether the matrix says so too, its own run finds out. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { promised } from '../matrix/jobs.ts';
import { compatibilityPage } from '../matrix/page.ts';
import { ROOT } from '../support/imports.ts';

describe('docs/compatibility.md', () => {
  it('is what `npm run generate` writes', async () => {
    const committed = await readFile(join(ROOT, 'docs/compatibility.md'), 'utf8');
    expect(committed).toBe(compatibilityPage(promised()));
  });

  it.each(promised().filter(({ ok }) => ok === true))('changes if $what fails', (one) => {
    const found = promised().map((other) =>
      other.what === one.what ? { ...other, ok: false, note: 'it broke' } : other,
    );
    expect(compatibilityPage(found)).not.toBe(compatibilityPage(promised()));
  });
});
