import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { tooOld } from '../../src/core/supported-node.ts';

it.each(['18.20.8', '20.0.0', '20.18.3'])(
  'Node %s gets the message that it is too old',
  (version) => {
    expect(tooOld(version)).toBe(
      `lastchunk needs Node 20.19 or later, and this is ${version}: install a newer Node`,
    );
  },
);

it.each(['20.19.0', '22.12.0', '24.0.0', '26.1.0', process.versions.node])(
  'Node %s is new enough',
  (version) => {
    expect(tooOld(version)).toBeUndefined();
  },
);

it('the oldest supported version is that of package.json', async () => {
  const manifest: unknown = JSON.parse(
    await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  expect(manifest).toMatchObject({ engines: { node: expect.stringMatching(/^\^20\.19\.0 /) } });
});
