import { describe, expect, it } from 'vitest';
import type { Result } from '../../demo/results.ts';
import { percent, renderTable } from '../../demo/table.ts';

describe('a loss in the table', () => {
  it.each([
    [null, '-'],
    [0, '0 %'],
    [100, '100 %'],
    [12.345, '12.3 %'],
    [0.001, '0.1 %'],
    [99.99, '99.9 %'],
  ])('of %s is written %s: 0 % and 100 % only if they are exact', (value, text) => {
    expect(percent(value)).toBe(text);
  });
});

describe('the table', () => {
  const none = { seen: 2, kept: 2, lossPercent: 0 };
  const half = { seen: 2, kept: 1, lossPercent: 50 };
  const results: Result[] = [
    { fault: 'none', title: 'nothing', streams: 2, routes: { naive: none, guarded: none } },
    { fault: 'all', title: 'all', streams: 2, routes: { naive: half, guarded: none } },
  ];

  it('has a row for each result, and a gap before the last row', () => {
    const lines = renderTable(results).split('\n');
    expect(
      lines.map((line) =>
        line
          .replaceAll(/-{2,}/g, '--')
          .trim()
          .split(/\s{2,}/),
      ),
    ).toEqual([
      ['naive', 'guarded'],
      ['what goes wrong', 'streams', 'seen', 'kept', 'loss', 'seen', 'kept', 'loss'],
      ['--'],
      ['nothing', '2', '2', '2', '0 %', '2', '2', '0 %'],
      ['--'],
      ['all', '2', '2', '1', '50.0 %', '2', '2', '0 %'],
    ]);
  });

  it('has columns of equal width', () => {
    const [, ...lines] = renderTable(results).split('\n');
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
  });
});
