import { expect, it } from 'vitest';
import { readArgs } from './live/args.ts';

const NAMES = ['plain', 'storm'];

it('runs everything with a random seed by default', () => {
  expect(readArgs([], NAMES)).toEqual({ seed: expect.any(Number), only: [] });
  const argv = ['--seed', '7', '--only', 'storm', '--only', 'plain'];
  expect(readArgs(argv, NAMES)).toEqual({ seed: 7, only: ['storm', 'plain'] });
});

it.each([
  [['--only', 'strom'], '--only must be one of plain, storm, not strom'],
  [['--seed', '4294967296'], '--seed must be a whole number below 4294967296, not "4294967296"'],
  [['--seed', 'x'], '--seed must be a whole number below 4294967296, not "x"'],
  [['--onyl', 'storm'], "Unknown option '--onyl'"],
])('refuses %j and names the valid form', (argv, message) => {
  expect(() => readArgs(argv, NAMES)).toThrow(message);
});
