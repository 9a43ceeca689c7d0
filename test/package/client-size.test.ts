/** What `lastchunk/client` adds to a page. */
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';

const BYTES_AT_MOST = 1_500;

it(`adds at most ${BYTES_AT_MOST} bytes to a page, minified and gzipped`, async () => {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, 'src/client.ts')],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
  });
  const [{ contents } = { contents: Buffer.alloc(0) }] = outputFiles;
  const bytes = gzipSync(contents).length;
  expect(bytes).toBeGreaterThan(0);
  expect(bytes).toBeLessThanOrEqual(BYTES_AT_MOST);
});
