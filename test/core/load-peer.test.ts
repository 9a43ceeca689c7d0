/** Where packages of the app are looked for. */
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { appPlaces, loadPeer } from '../../src/core/load-peer.ts';
import { ROOT } from '../support/imports.ts';

const HERE = join(process.cwd(), 'app.js');
const NOWHERE = '/nowhere/app.js';

it('searches the working directory last', () => {
  expect(appPlaces('/nowhere/program.js').slice(-2)).toEqual(['/nowhere/app.js', HERE]);
});

it('warns about a package that was found only in the working directory', async () => {
  const warned = once(process, 'warning');
  expect(loadPeer('pg', [NOWHERE, HERE])).toBeDefined();
  expect(await warned).toEqual([
    expect.objectContaining({
      code: 'LASTCHUNK_WORKING_DIRECTORY',
      message: expect.stringContaining(join(ROOT, 'node_modules/pg')),
    }),
  ]);
});

it.each([
  ['is the folder of the program', [HERE, HERE]],
  ['is the only place', [HERE]],
])('does not warn if the working directory %s', async (_, places) => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  loadPeer('pg', places);
  // Warnings are told in the next tick.
  await new Promise(setImmediate);
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
