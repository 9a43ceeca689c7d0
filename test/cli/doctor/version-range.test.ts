import { expect, it } from 'vitest';
import { isInRange } from '../../../src/cli/doctor/installed.ts';

it.each([
  ['20.19.0', '^20.19.0 || ^22.12.0 || >=24.0.0', true],
  ['20.18.3', '^20.19.0 || ^22.12.0 || >=24.0.0', false],
  ['21.7.3', '^20.19.0 || ^22.12.0 || >=24.0.0', false],
  ['22.11.0', '^20.19.0 || ^22.12.0 || >=24.0.0', false],
  ['26.1.0', '^20.19.0 || ^22.12.0 || >=24.0.0', true],
  ['1.9.1', '>=1.3.0 <1.10.0', true],
  ['1.10.0', '>=1.3.0 <1.10.0', false],
  ['20.20.2', '>= 18', true],
  ['16.0.0', '>= 18', false],
  ['22.4.0', '^22 || ^24 || >=26', true],
  ['23.4.0', '^22 || ^24 || >=26', false],
  ['0.16.1', '>=0.16.0 <1', true],
  ['1.0.0', '>=0.16.0 <1', false],
  ['0.17.0', '^0.16.0', false],
  ['0.0.4', '^0.0.3', false],
  ['1.2.9', '~1.2.3', true],
  ['1.3.0', '~1.2.3', false],
  ['1.2.3', '1.2.3', true],
  ['1.2.4', '=1.2.3', false],
  ['1.3.0', '>1.2.0 <=1.3.0', true],
  ['5.0.0-beta.2', '^5.0.0', true],
  ['1.2.9', '1.2.x', true],
  ['1.3.0', '1.2.x', false],
  ['1.3.0', '1.2.0 - 1.2.9', false],
])('%s is in the range %s: %s', (version, range, expected) => {
  expect(isInRange(version, range)).toBe(expected);
});

it.each(['*', 'latest', 'file:../x', 'npm:other@1', ''])('accepts any version for %j', (range) => {
  expect(isInRange('1.0.0', range)).toBe(true);
});
