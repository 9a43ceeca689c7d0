/** The variables at the top of a dashboard. */
import {
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { METRICS } from '../../src/core/names/index.ts';
import type { Slo } from '../../src/slo/settings.ts';

/** The data source that the reader chose. */
export const SOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

/** `datasource`, `job`, the further labels, `instance` and `route`, each narrowed by those before it. */
export function variables({
  by,
  spelling,
}: Slo): (DatasourceVariableBuilder | QueryVariableBuilder)[] {
  const info = METRICS.buildInfo.prometheus;
  const chosen = (labels: readonly string[]): string =>
    labels.length === 0 ? '' : `{${labels.map((label) => `${label}=~"$${label}"`).join(', ')}}`;
  const instances = by.map((label, index) =>
    choice(label, `label_values(${info}${chosen(by.slice(0, index))}, ${label})`),
  );
  return [
    new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'),
    ...instances,
    choice('instance', `label_values(${info}${chosen(by)}, instance)`),
    choice(
      'route',
      spelling.query(
        `label_values(${METRICS.streamsStarted.prometheus}${chosen([...by, 'instance'])}, route)`,
      ),
    ),
  ];
}

function choice(name: string, query: string): QueryVariableBuilder {
  return (
    new QueryVariableBuilder(name)
      .label(name)
      .datasource(SOURCE)
      .query(query)
      .refresh(VariableRefresh.OnTimeRangeChanged)
      .sort(VariableSort.AlphabeticalAsc)
      .multi(true)
      .includeAll(true)
      // Without `allValue`, "All" would be a list of every value; `.*` would match series without the label.
      .allValue('.+')
      .current({ selected: true, text: ['All'], value: ['$__all'] })
  );
}
