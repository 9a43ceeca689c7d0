/** The table that the suite prints at its end. */
import type { Tally } from './judge.ts';

/** The result of one fault. */
export interface Result extends Tally {
  readonly title: string;
  readonly seconds: number;
  /** Further figures of this fault. */
  readonly notes: readonly string[];
}

/** Renders results as lines of text, with the sums at the end. */
export function renderTable(results: readonly Result[]): string {
  const sum = (of: (result: Result) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  const rule = '-'.repeat(WIDTHS.reduce((total, width) => total + width, TITLE));
  const all: Result = {
    title: 'all',
    streams: sum(({ streams }) => streams),
    seen: sum(({ seen }) => seen),
    kept: sum(({ kept }) => kept),
    twice: sum(({ twice }) => twice),
    seconds: sum(({ seconds }) => seconds),
    wrong: results.flatMap(({ wrong }) => wrong),
    notes: [],
  };
  const header = line(['fault', 'streams', 'seen', 'kept', 'lost', 'twice', 'seconds', '']);
  return [header, rule, ...results.map(lineOf), rule, lineOf(all)].join('\n');
}

function lineOf({ title, streams, seen, kept, twice, seconds, wrong }: Result): string {
  const figures = [streams, seen, kept, seen - kept, twice].map(String);
  return line([title, ...figures, seconds.toFixed(1), wrong.length === 0 ? 'ok' : 'FAILED']);
}

function line([title = '', ...cells]: readonly string[]): string {
  return title.padEnd(TITLE) + cells.map((cell, at) => cell.padStart(WIDTHS[at] ?? 0)).join('');
}

const TITLE = 48;
const WIDTHS = [9, 7, 7, 7, 7, 9, 8];
