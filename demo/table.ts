/** The one table that the demo ends with. */
import type { Result, Tally } from './results.ts';

/** Renders results as lines of text; the last result stands below a rule. */
export function renderTable(results: readonly Result[]): string {
  const rows = results.map(({ title, streams, routes }) =>
    line([title, String(streams), ...cells(routes.naive), ...cells(routes.guarded)]),
  );
  const rule = '-'.repeat(TITLE + WIDTHS.reduce((sum, width) => sum + width, 0));
  return [
    line(['', '', '', 'naive', '', '', 'guarded', '']).trimEnd(),
    line(['what goes wrong', 'streams', 'seen', 'kept', 'loss', 'seen', 'kept', 'loss']),
    rule,
    ...rows.slice(0, -1),
    rule,
    ...rows.slice(-1),
  ].join('\n');
}

/** A loss of 0 or 100 is written only when it is exactly that. */
export function percent(value: number | null): string {
  if (value === null) return '-';
  if (value === 0 || value === 100) return `${value} %`;
  return `${Math.min(99.9, Math.max(0.1, value)).toFixed(1)} %`;
}

function cells({ seen, kept, lossPercent }: Tally): string[] {
  return [String(seen), String(kept), percent(lossPercent)];
}

function line([title = '', ...numbers]: readonly string[]): string {
  return title.padEnd(TITLE) + numbers.map((cell, at) => cell.padStart(WIDTHS[at] ?? 0)).join('');
}

const TITLE = 48;

/** Streams, and seen, kept, loss for each route. */
const WIDTHS = [7, 9, 7, 8, 10, 7, 8];
