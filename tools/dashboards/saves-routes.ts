/** The table of routes: the endings of the streams of each in the time range, and the results of their messages. */
import { valueOf, type Column, type Panel } from './panel.ts';
import { RANGE, type Scope } from './scope.ts';

/** Outcomes that are a failure of the model, of the handler or of the process. */
const FAILED = ['failed', 'timed-out', 'truncated', 'interrupted'] as const;

type RouteNumber = Omit<Column, 'field'> & { readonly expr: string };

export function routes(scope: Scope): Panel {
  const columns = numbers(scope);
  return {
    id: 27,
    kind: 'table',
    title: 'Routes',
    shows:
      'Each route with streams in the time range: how they ended, how many messages were due and kept, and the times that 99 of 100 were within.',
    good: 'Nothing is red.',
    action:
      'One route alone is its handler, its model or its messages; all of them are the store. Choose the route above to see it alone.',
    alerts: [
      'LastchunkSaveErrorBudgetBurn',
      'LastchunkSavesAllFailing',
      'LastchunkSaveOutcomesMissing',
    ],
    unit: 'short',
    width: 24,
    height: 6,
    queries: columns.map(({ title, expr }) => ({ expr, legend: title })),
    columns: [
      { field: 'route', title: 'route' },
      ...columns.map((column, index) => ({ field: valueOf(index), ...column })),
    ],
    sortedBy: 'not kept',
    noValue: 'no streams',
  };
}

/** The columns of numbers, each with its query. */
function numbers({ slo, select, bucketsOf }: Scope): readonly RouteNumber[] {
  const many = (selected: string): string => `sum by (route) (increase(${selected}${RANGE}))`;
  const share = (part: string, whole: string): string => `${part} / (${whole} > 0)`;
  const quantile = (key: Parameters<typeof bucketsOf>[0]): string =>
    `histogram_quantile(0.99, sum by (le, route) (rate(${bucketsOf(key)}${RANGE})))`;
  const ended = many(select('streamsEnded'));
  const results = many(select('saves'));
  const bad = many(select('saves', { result: ['lost', 'missing'] }));
  return [
    { title: 'streams', expr: `round(${many(select('streamsStarted'))}) > 0`, decimals: 0 },
    {
      title: 'failed',
      expr: share(many(select('streamsEnded', { outcome: FAILED })), ended),
      unit: 'percentunit',
      decimals: 1,
      steps: [{ colour: 'green' }, { from: 0.01, colour: 'orange' }, { from: 0.1, colour: 'red' }],
    },
    {
      title: 'client left',
      expr: share(many(select('streamsEnded', { outcome: 'disconnected' })), ended),
      unit: 'percentunit',
      decimals: 1,
    },
    { title: 'messages due', expr: `round(${many(select('savesExpected'))}) > 0`, decimals: 0 },
    {
      title: 'kept',
      expr: `1 - ${share(bad, results)}`,
      unit: 'percentunit',
      decimals: 3,
      steps: [{ colour: 'red' }, { from: slo.objective, colour: 'green' }],
    },
    {
      title: 'not kept',
      expr: `round(${bad}) and on (route) (${results} > 0)`,
      decimals: 0,
      steps: [{ colour: 'green' }, { from: 1, colour: 'red' }],
    },
    {
      title: 'time until saved, p99',
      expr: `${quantile('saveDuration')} >= 0`,
      unit: 's',
      steps: [{ colour: 'green' }, { from: 2.5, colour: 'red' }],
    },
    {
      title: 'time to the first chunk, p99',
      expr: `${quantile('timeToFirstChunk')} >= 0`,
      unit: 's',
    },
  ];
}
