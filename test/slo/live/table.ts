/** The one table that the live proof ends with. */
import type { Verdict } from './verdict.ts';

/** Renders verdicts as lines of text; an alert has a line of its own. */
export function renderTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.flatMap(({ title, streams, alerts, wrong }) => {
    const verdict = wrong.length === 0 ? 'ok' : 'FAILED';
    const [first = 'none', ...others] = alerts;
    return [
      line([title, String(streams), verdict, first]),
      ...others.map((alert) => line(['', '', '', alert])),
    ];
  });
  const rule = '-'.repeat(WIDTHS.reduce((total, width) => total + width, 50));
  return [line(['service', 'streams', '', 'alerts']), rule, ...rows].join('\n');
}

function line([title = '', streams = '', verdict = '', alert = '']: readonly string[]): string {
  const [first = 0, second = 0, third = 0] = WIDTHS;
  return `${title.padEnd(first)}${streams.padStart(second)}  ${verdict.padEnd(third)}${alert}`.trimEnd();
}

const WIDTHS = [50, 9, 8];
