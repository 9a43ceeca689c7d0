/**
 * The rules of Grafana's dashboard-linter 0.2.0 (github.com/grafana/dashboard-linter, docs/rules) that concern
 * Prometheus, by their names there. The linter itself is a Go program; these say the same without one.
 */
import { units } from './units.ts';
import { panelsOf, type Dashboard, type Panel, type Target, type Variable } from './files.ts';
import { parse, type Selector } from './promql.ts';

/** What a rule found, and where. */
export interface Finding {
  readonly dashboard: string;
  readonly panel?: string;
  readonly targetIdx?: number;
  readonly message: string;
}

/** Of the list, or a suffix of one's own: Grafana takes any text behind `suffix:`. */
function isUnit(unit: string): boolean {
  return units().has(unit) || /^suffix:\S/.test(unit);
}

type Rule = (dashboard: Dashboard) => Finding[];

const SHOWING = ['stat', 'singlestat', 'graph', 'table', 'timeseries', 'gauge'];

/** Every rule by its name. */
export const RULES: Readonly<Record<string, Rule>> = {
  'template-datasource-rule': (dashboard) => {
    const sources = dashboard.templating.list.filter(({ type }) => type === 'datasource');
    const [only] = sources;
    const right =
      sources.length === 1 && only?.name === 'datasource' && only.label === 'Data source';
    return right ? [] : [{ dashboard: dashboard.title, message: 'no data source to choose' }];
  },
  'template-job-rule': (dashboard) => choice(dashboard, 'job'),
  'template-instance-rule': (dashboard) => choice(dashboard, 'instance'),
  'template-label-promql-rule': eachQueryVariable(({ query }) => {
    const inner = /^label_values\((.+), \w+\)$/.exec(query)?.[1];
    return inner === undefined || parse(inner).mistakes.length > 0 ? `not a query: ${query}` : '';
  }),
  'template-on-time-change-reload-rule': eachQueryVariable(({ refresh }) =>
    refresh === 2 ? '' : 'is not asked again when the time range changes',
  ),
  'panel-datasource-rule': eachPanel(({ datasource }) =>
    datasource.uid === '${datasource}' ? '' : `has the data source ${datasource.uid}`,
  ),
  'panel-title-description-rule': eachPanel(({ type, title, description }) =>
    SHOWING.includes(type) && (!title || !description) ? 'has no title or no description' : '',
  ),
  'panel-units-rule': eachPanel(({ type, fieldConfig: { defaults } }) =>
    SHOWING.includes(type) && !isUnit(defaults.unit ?? '') ? 'has no unit of Grafana' : '',
  ),
  'panel-no-targets-rule': eachPanel(({ targets }) => (targets.length === 0 ? 'asks nothing' : '')),
  'target-promql-rule': eachTarget(({ expr }) => parse(expr).mistakes[0] ?? ''),
  'target-rate-interval-rule': eachSelector(({ calledBy = '', range }) =>
    ['rate', 'irate', 'increase'].includes(calledBy) && range !== '$__rate_interval'
      ? `${calledBy}() over ${range}`
      : '',
  ),
  'target-job-rule': eachSelector((selector) => matches(selector, 'job')),
  'target-instance-rule': eachSelector((selector) => matches(selector, 'instance')),
  'target-counter-agg-rule': eachSelector(({ metric, calledBy = '' }) =>
    metric.endsWith('_total') && !['rate', 'irate', 'increase'].includes(calledBy)
      ? `${metric} is a counter and not in rate() or increase()`
      : '',
  ),
  'uneditable-dashboard': ({ title, editable }) =>
    editable ? [{ dashboard: title, message: 'can be edited' }] : [],
};

function choice({ title, templating }: Dashboard, name: string): Finding[] {
  const found = templating.list.find((variable) => variable.name === name);
  const right =
    found?.type === 'query' &&
    found.datasource?.uid === '${datasource}' &&
    found.label === name &&
    found.multi &&
    found.allValue === '.+';
  return right ? [] : [{ dashboard: title, message: `the variable ${name} is not as it must be` }];
}

function eachQueryVariable(check: (variable: Variable) => string): Rule {
  return ({ title, templating }) =>
    templating.list
      .filter(({ type }) => type === 'query')
      .map((variable) => ({ dashboard: title, panel: variable.name, message: check(variable) }))
      .filter(({ message }) => message !== '');
}

function eachPanel(check: (panel: Panel) => string): Rule {
  return (dashboard) =>
    panelsOf(dashboard)
      .map((panel) => ({
        dashboard: dashboard.title,
        panel: panel.title,
        message: check(panel),
      }))
      .filter(({ message }) => message !== '');
}

function eachTarget(check: (target: Target) => string): Rule {
  return (dashboard) =>
    panelsOf(dashboard).flatMap((panel) =>
      panel.targets
        .map((target, targetIdx) => ({
          dashboard: dashboard.title,
          panel: panel.title,
          targetIdx,
          message: check(target),
        }))
        .filter(({ message }) => message !== ''),
    );
}

function eachSelector(check: (selector: Selector) => string): Rule {
  return eachTarget(({ expr }) => parse(expr).selectors.map(check).find(Boolean) ?? '');
}

function matches({ metric, matchers }: Selector, label: string): string {
  const right = matchers.some(
    (one) => one.label === label && one.operator === '=~' && one.value === `$${label}`,
  );
  return right ? '' : `${metric} is not narrowed by ${label}=~"$${label}"`;
}
