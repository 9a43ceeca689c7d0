import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { rulesYaml } from '../../src/slo/index.ts';
import { CASES } from './rules/cases.ts';
import { failures, findPromtools } from './rules/promtool.ts';

const promtools = findPromtools();
if (promtools.length === 0) {
  process.stdout.write('skipped: the rules against their cases (there is no program promtool)\n');
}

describe('the committed rule file', () => {
  it('is what the generator writes', async () => {
    expect(await readFile('alerts/lastchunk.rules.yml', 'utf8')).toBe(rulesYaml());
  });
});

describe.each(promtools)('with promtool $version the rules', (promtool) => {
  it.each(Object.keys(CASES))(
    'fire as the cases of %s say',
    { timeout: 600_000 },
    async (group) => {
      expect(await failures(promtool, rulesYaml(), CASES[group] ?? [])).toBeUndefined();
    },
  );
});
