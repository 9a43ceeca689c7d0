/** How the bench sums up, judges and shows what it has measured. */
import { describe, expect, it } from 'vitest';
import { readArgs } from '../../bench/args.ts';
import { figure, quantile } from '../../bench/figures.ts';
import { GOALS, isMet } from '../../bench/goals.ts';
import type { Machine } from '../../bench/machine.ts';
import { PARTS } from '../../bench/parts/index.ts';
import { markdown } from '../../bench/report.ts';
import { anyMissed, merge, type PartResult } from '../../bench/results.ts';
import { inTurn, ratios } from '../../bench/rounds.ts';
import { tables } from '../../bench/tables.ts';

const MACHINE: Machine = {
  cores: 2,
  cpu: 'a processor',
  memoryGiB: 8,
  system: 'linux x64',
  node: 'v20',
  embeddedPostgres: '18',
};

function resultOf(part: string, figures: PartResult['figures'] = []): PartResult {
  const load = { before: 0, after: 0 };
  const started = '2026-01-01T00:00:00.000Z';
  return { part, started, seconds: 1, load, machine: MACHINE, figures, notes: [] };
}

describe('figures', () => {
  it('are medians with the interquartile range of the rounds', () => {
    expect(figure('name', 'ms', [5, 1, 3, 2, 4])).toEqual({
      name: 'name',
      unit: 'ms',
      median: 3,
      low: 2,
      high: 4,
      rounds: 5,
    });
  });

  it('are interpolated between values', () => {
    expect(quantile([1, 2], 0.5)).toBe(1.5);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe('rounds', () => {
  it('alternate the order of their subjects, and warm-up rounds are not counted', async () => {
    const order: string[] = [];
    const results = await inTurn(['a', 'b'], { rounds: 2, warmUp: 1 }, (name) => {
      order.push(name);
      return Promise.resolve(order.length);
    });
    expect(order.join('')).toBe('baabba');
    expect(results).toEqual({ a: [3, 6], b: [4, 5] });
  });

  it('give one ratio each', () => {
    expect(ratios([2, 9], [1, 3])).toEqual([2, 3]);
  });
});

describe('goals', () => {
  it('name existing parts, each with a figure of its own', () => {
    const parts = new Set(PARTS.map(({ name }) => name));
    expect(GOALS.filter(({ part }) => !parts.has(part))).toEqual([]);
    expect(new Set(GOALS.map((goal) => `${goal.part} ${goal.figure}`)).size).toBe(GOALS.length);
  });

  it('are met at their bound, and never by NaN', () => {
    expect(isMet(figure('', '', [1]), { atMost: 1 })).toBe(true);
    expect(isMet(figure('', '', [1.1]), { atMost: 1 })).toBe(false);
    expect(isMet(figure('', '', [0.9]), { atLeast: 1 })).toBe(false);
    expect(isMet(figure('', '', []), { atLeast: 0 })).toBe(false);
  });

  it('count as missed when their part ran and their figure is missing', () => {
    const goals = GOALS.filter(({ part }) => part === 'scrape');
    const [one, ...others] = goals.map((goal) => figure(goal.figure, 'ms', [1]));
    const all = [one, ...others].flatMap((found) => found ?? []);
    expect(anyMissed([resultOf('scrape', all)])).toBe(false);
    expect(anyMissed([resultOf('scrape', others)])).toBe(true);
    expect(anyMissed([resultOf('scrape')])).toBe(true);
    expect(anyMissed([])).toBe(false);
  });
});

describe('tables', () => {
  it('place each figure in the row and column of its name', () => {
    const figures = [
      figure('8 a tick, CPU: bare', 'µs', [1, 1]),
      figure('8 a tick, to bare: guard(), no journal', 'x', [2]),
      figure('100 routes, p50', 'ms', [3]),
    ];
    expect(tables(figures)).toEqual([
      [
        '| 8 a tick | CPU | to bare |',
        '| --- | --- | --- |',
        '| bare | **1 µs** (1 to 1) |  |',
        '| guard(), no journal |  | **2 x** |',
      ].join('\n'),
      ['|  | median |', '| --- | --- |', '| 100 routes, p50 | **3 ms** |'].join('\n'),
    ]);
  });

  it('state which goals were missed and which were not measured', () => {
    const [first] = GOALS;
    const slow = [figure(first?.figure ?? '', 'x', [9])];
    const text = markdown([resultOf(first?.part ?? '', slow)]);
    expect(text).toContain(`### Goals: 0 of ${GOALS.length} met`);
    expect(text).toContain('**missed**');
    expect(text).toContain('not measured');
  });
});

describe('results', () => {
  it('replace older results of the same part, in the order of the parts', () => {
    const older = [resultOf('b'), resultOf('c')];
    const newer = [{ ...resultOf('c'), seconds: 2 }, resultOf('a')];
    const merged = merge(older, newer, ['a', 'b', 'c']);
    expect(merged.map(({ part, seconds }) => `${part}${seconds}`)).toEqual(['a1', 'b1', 'c2']);
  });
});

describe('arguments', () => {
  const known = [
    { name: 'one', about: '' },
    { name: 'long', about: '', onRequest: true },
  ] as const;

  it('run every part except those that run only on request', () => {
    expect(readArgs([], known).parts).toEqual(['one']);
    expect(readArgs(['--quick'], known).parts).toEqual(['one', 'long']);
    expect(readArgs(['long'], known).parts).toEqual(['long']);
  });

  it('are rejected with a message that names the mistake', () => {
    expect(() => readArgs(['two'], known)).toThrow('known are one, long');
    expect(() => readArgs(['--minutes', 'many'], known)).toThrow('`--minutes`');
    expect(() => readArgs(['--quick', '--write'], known)).toThrow('`--write`');
  });
});
