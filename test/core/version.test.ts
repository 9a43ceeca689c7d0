import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { REPOSITORY, VERSION } from '../../src/core/version.ts';

it('VERSION is the version of package.json', async () => {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  expect(JSON.parse(text)).toMatchObject({
    version: VERSION,
    repository: { url: `git+${REPOSITORY}.git` },
  });
});
