import { describe, expect, it } from 'vitest';
import { rulesYaml } from '../../src/slo/index.ts';
import { CASES } from './rules/cases.ts';
import { MUTATIONS } from './rules/mutations.ts';
import { failures, findPromtools } from './rules/promtool.ts';

const [promtool] = findPromtools();
const shipped = rulesYaml();

it('there are at least twenty mutations, and no two are the same', () => {
  expect(MUTATIONS.length).toBeGreaterThanOrEqual(20);
  expect(new Set(MUTATIONS.map(({ what }) => what)).size).toBe(MUTATIONS.length);
});

describe.each(promtool === undefined ? [] : [promtool])(
  'promtool $version detects the mutation',
  (tool) => {
    it.each(MUTATIONS)('$what', { timeout: 300_000 }, async ({ what, from, to, group, cases }) => {
      const mutated = shipped.replaceAll(indented(from), () => indented(to));
      expect(mutated).not.toBe(shipped);
      const asked = (CASES[group] ?? []).filter(({ name }) => name.startsWith(cases));
      expect(asked).toHaveLength(1);
      const said = await failures(tool, mutated, asked);
      process.stdout.write(`${said === undefined ? 'NOT NOTICED' : 'noticed'}: ${what}\n`);
      // An edit that does not parse would be noticed by anything.
      expect(said).toMatch(/exp:[\s\S]*got:/);
    });
  },
);

/** As it stands in the file: expressions of several lines are indented there. */
function indented(text: string): string {
  return text.includes('\nunless') ? text.replace('\nunless', '\n          unless') : text;
}
