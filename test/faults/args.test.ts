import { expect, test } from 'vitest';
import { readArgs } from './args.ts';

const FAULTS = ['sigkill', 'disk-full'];

test('without flags, all faults run, with a random seed', () => {
  const args = readArgs([], FAULTS);
  expect(args).toEqual({ streams: 2_000, seed: expect.any(Number), only: [], soakMs: undefined });
});

test('flags are parsed', () => {
  const argv = ['--streams', '100', '--seed', '7', '--only', 'sigkill', '--only', 'disk-full'];
  expect(readArgs(argv, FAULTS)).toEqual({
    streams: 100,
    seed: 7,
    only: FAULTS,
    soakMs: undefined,
  });
  expect(readArgs(['--soak', '10m'], FAULTS).soakMs).toBe(600_000);
});

test.each([
  [['--only', 'sigkil'], '--only must be one of sigkill, disk-full, not "sigkil"'],
  [['--streams', '99'], '--streams must be a whole number from 100 to 200000, not "99"'],
  [['--seed', '-1'], "Option '--seed' argument is ambiguous"],
  [['--soak', '10'], '--soak must be a time such as 90s, 10m or 1h, not "10"'],
  [['--onyl', 'sigkill'], "Unknown option '--onyl'"],
])('%j is refused, and the error names what is accepted', (argv, message) => {
  expect(() => readArgs(argv, FAULTS)).toThrow(message);
});
