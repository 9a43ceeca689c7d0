/**
 * Figures as tables in Markdown. The name of a figure says where it stands: `table, column: row`. Names without a colon
 * make a list.
 */
import { short, withUnit, type Figure } from './figures.ts';

/** The figures of one part. */
export function tables(figures: readonly Figure[]): string[] {
  const places = figures.map((figure) => ({ ...placeOf(figure.name), figure }));
  return unique(places.map((place) => place.table)).map((name) => {
    const here = places.filter((place) => place.table === name);
    const columns = unique(here.map(({ column }) => column));
    const rows = unique(here.map(({ row }) => row)).map((row) => [
      row,
      ...columns.map((column) =>
        cell(here.find((one) => one.row === row && one.column === column)?.figure),
      ),
    ]);
    return table([name, ...columns], rows);
  });
}

/** A table. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** The middle half of the rounds; nothing for a single one. */
export function spreadOf({ low, high, rounds }: Figure): string {
  return rounds > 1 ? `${short(low)} to ${short(high)}` : '';
}

function placeOf(name: string): { table: string; column: string; row: string } {
  const [left = '', ...rest] = name.split(': ');
  if (rest.length === 0) return { table: '', column: 'median', row: name };
  const at = left.lastIndexOf(', ');
  const row = rest.join(': ');
  if (at === -1) return { table: '', column: left, row };
  return { table: left.slice(0, at), column: left.slice(at + 2), row };
}

function cell(figure: Figure | undefined): string {
  if (figure === undefined) return '';
  const spread = spreadOf(figure);
  const value = `**${withUnit(figure.median, figure.unit)}**`;
  return spread === '' ? value : `${value} (${spread})`;
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
