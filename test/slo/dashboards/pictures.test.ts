import { expect, it } from 'vitest';
import { cellsOf } from '../../../scripts/pictures/table.ts';
import { panelsOf, readDashboards } from './files.ts';

type Table = Parameters<typeof cellsOf>[0];
type Answer = Parameters<typeof cellsOf>[1][number];

/** A table of the dashboards. They are read as JSON; Grafana's schema holds their form. */
function tableOf(title: string): Table {
  const panels = readDashboards().flatMap(({ dashboard }) => panelsOf(dashboard));
  return panels.find(
    (panel) => panel.type === 'table' && panel.title === title,
  ) as unknown as Table;
}

it('the table of alerts in a picture has the columns of the dashboard in the same order', () => {
  const metric = { alertname: 'X', job: 'chat', runbook: 'X', severity: 'warning' };
  const quiet = { alertname: 'Y', runbook: 'Y', route: '/chat', severity: 'info' };
  const result = [metric, quiet].map((one, index) => ({
    metric: one,
    value: [0, String(7 + index)] as const,
  }));
  const { titles, rows } = cellsOf(tableOf('Alerts that fire, with their runbooks'), [
    { refId: 'A', result },
  ]);
  expect(titles).toEqual(['alert', 'severity', 'since', 'job', 'route', 'runbook']);
  expect(rows).toEqual([
    ['X', 'warning', 7, 'chat', undefined, 'X'],
    ['Y', 'info', 8, undefined, '/chat', 'Y'],
  ]);
});

it('the table of routes has a row for each route, every number in its own column, and the worst route first', () => {
  const answer = (refId: string, values: Readonly<Record<string, number>>): Answer => ({
    refId,
    result: Object.entries(values).map(([route, value]) => ({
      metric: { route },
      value: [0, String(value)] as const,
    })),
  });
  const { titles, rows } = cellsOf(tableOf('Routes'), [
    answer('A', { '/plain': 5, '/broken': 4 }),
    answer('B', { '/plain': 0, '/broken': 0.25 }),
    answer('C', { '/plain': 0.2 }),
    answer('D', { '/plain': 5, '/broken': 3 }),
    answer('E', { '/plain': 1, '/broken': 0.5 }),
    answer('F', { '/plain': 0, '/broken': 2 }),
    answer('G', { '/plain': 0.01 }),
    answer('H', { '/plain': 0.1, '/broken': 0.3 }),
  ]);
  expect(titles).toEqual([
    'route',
    'streams',
    'failed',
    'client left',
    'messages due',
    'kept',
    'not kept',
    'time until saved, p99',
    'time to the first chunk, p99',
  ]);
  expect(rows).toEqual([
    ['/broken', 4, 0.25, undefined, 3, 0.5, 2, undefined, 0.3],
    ['/plain', 5, 0, 0.2, 5, 1, 0, 0.01, 0.1],
  ]);
});
