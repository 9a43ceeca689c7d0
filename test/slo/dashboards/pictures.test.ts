import { expect, it } from 'vitest';
import { cellsOf } from '../../../scripts/pictures/table.ts';
import { panelsOf, readDashboards } from './files.ts';

const ACTIVE_MS = 1_800_000_000_000;

it('the table of a picture has the columns of the dashboard in its order, with the time in since', () => {
  const [panel, ...more] = readDashboards()
    .flatMap(({ dashboard }) => panelsOf(dashboard))
    .filter(({ type }) => type === 'table');
  expect(more).toEqual([]);
  const metric = { alertname: 'X', job: 'chat', runbook: 'X', severity: 'warning' };
  const quiet = { alertname: 'Y', runbook: 'Y', route: '/chat', severity: 'info' };
  const answer = [metric, quiet].map((one, index) => ({
    metric: one,
    value: [0, String(ACTIVE_MS + index)] as const,
  }));
  // The dashboard is read as JSON; Grafana's schema holds its form.
  const table = panel as unknown as Parameters<typeof cellsOf>[0];
  const { titles, rows } = cellsOf(table, answer, (ms) => new Date(ms).toISOString());
  expect(titles).toEqual(['alert', 'severity', 'since', 'job', 'route', 'runbook']);
  expect(rows).toEqual([
    ['X', 'warning', '2027-01-15T08:00:00.000Z', 'chat', '', 'X'],
    ['Y', 'info', '2027-01-15T08:00:00.001Z', '', '/chat', 'Y'],
  ]);
});
