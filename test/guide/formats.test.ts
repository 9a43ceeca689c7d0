/** The example of docs/formats.md as it stands there, under a guard; and the page's table against the code. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import express from 'express';
import { expect, it, onTestFinished } from 'vitest';
import type { Format } from '../../src/index.ts';
import { FORMAT_NAMES } from '../../src/formats/index.ts';
import { ROOT } from '../support/imports.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { serve } from '../support/test-server.ts';
import { openClient } from '../support/http-client.ts';

const page = await readFile(join(ROOT, 'docs/formats.md'), 'utf8');

it('docs/formats.md names every format in its table', () => {
  const rows = [...page.matchAll(/^\| `([\w-]+)`/gm)].map(([, name]) => name);
  expect(new Set(['auto', ...rows])).toEqual(new Set(FORMAT_NAMES));
});

it.each([
  [
    'w hello\nping\nw  there\nend\n',
    { outcome: 'completed' },
    { text: 'hello there', complete: true },
  ],
  ['w hello\n', { outcome: 'truncated', side: 'upstream' }, { text: 'hello', complete: false }],
  ['w hello\nfail no quota\n', { outcome: 'failed' }, { text: 'hello', complete: false }],
  ['w hello\nnews\nend\n', { outcome: 'completed' }, { events: ['w hello', 'news', 'end'] }],
])('the example format of docs/formats.md reads %j', async (body, ended, row) => {
  const marketFeed = await loadExample();
  const { keep, store, recorded } = createInMemoryInstance();
  const app = express();
  app.get('/', keep.guard({ format: marketFeed }), (_req, res) => {
    res.type('application/x-ndjson');
    for (const line of body.split(/(?<=\n)/)) res.write(line);
    res.end();
  });
  expect((await (await openClient(await serve(app), '/')).over()).body.toString()).toBe(body);
  expect(await recorded.ended()).toMatchObject({ ...ended, format: 'market-feed' });
  expect(store.row).toMatchObject(row);
  expect(recorded.internalErrors).toEqual([]);
});

async function loadExample(): Promise<Format> {
  const folder = await mkdtemp(join(tmpdir(), 'lastchunk-format-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [, code = ''] = page.split('```js\n// market-feed.mjs\n');
  const file = join(folder, 'market-feed.mjs');
  await writeFile(file, code.slice(0, code.indexOf('\n```')));
  // What the page says it is; the guard checks it when it is made.
  const example = (await import(pathToFileURL(file).href)) as { readonly marketFeed: Format };
  return example.marketFeed;
}
