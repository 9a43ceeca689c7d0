import { describe, expect, it } from 'vitest';
import { readArgs } from '../../demo/args.ts';

describe('the arguments of the demo', () => {
  it('have defaults, and a random seed', () => {
    const args = readArgs([]);
    expect(args).toMatchObject({ streams: 275, json: undefined, log: undefined, serve: false });
    expect(args.seed).toBeGreaterThanOrEqual(0);
    expect(args.seed).toBeLessThan(2 ** 32);
  });

  it('are read', () => {
    const argv = ['--streams', '40', '--seed=7', '--serve', '--json', '/figures.json'];
    expect(readArgs(argv)).toEqual({
      streams: 40,
      seed: 7,
      json: '/figures.json',
      log: undefined,
      serve: true,
      help: false,
    });
  });

  it.each([
    [['--streams', 'many'], '--streams must be a whole number from 11 to 20000, not "many"'],
    [['--streams', '10'], '--streams must be'],
    [['--streams', '20001'], '--streams must be'],
    [['--streams', '1e3'], '--streams must be'],
    [['--seed', '-1'], '--seed'],
    [['--seed', '4294967296'], '--seed must be a whole number from 0 to 4294967295'],
    [['--json', ''], '--json needs a file'],
    [['--json', '/no/such/directory/f.json'], '--json needs a file in a directory that exists'],
    [['--log', '/no/such/directory/f.log'], '--log needs a file'],
    [['--stream', '10'], "Unknown option '--stream'"],
    [['--streams'], '--streams'],
    [['10'], 'Unexpected argument'],
  ])('%j are refused with the name of the option', (argv, message) => {
    expect(() => readArgs(argv)).toThrow(message);
  });
});
