/**
 * Adapts the shipped dashboards to other objectives, labels and places. It changes their JSON where it contains a value of these options,
 * so that the program that made them is not needed.
 */
import { isRecord } from '../core/values.ts';
import { spell } from './duration.ts';
import { resolveSlo, type Slo, type SloOptions } from './settings.ts';
import { BURN_WINDOWS, burnBounds, burnFactor, percentage } from './windows.ts';

/** Where docker-compose.yml puts docs/runbooks into Grafana: a path on the same server, as a browser must find it. */
export const RUNBOOKS_IN_GRAFANA = '/public/runbooks';

/** Options of a dashboard. */
export interface DashboardOptions extends SloOptions {
  /** `uid` of the Prometheus data source that is chosen at first. Default: Grafana's own default. */
  readonly datasource?: string;
  /** Replaces `Lastchunk` in the titles. */
  readonly title?: string;
}

/**
 * A shipped dashboard, changed by the options; without options it is not changed. The objectives must be those of the rules,
 * whose recorded series the queries read; `timeliness`, `minFailures` and `speed` are in no query. Throws `bad-option`.
 */
export function retarget(json: string, options: DashboardOptions = {}): unknown {
  const { datasource, title, ...objectives } = options;
  const from = resolveSlo({ runbookUrl: RUNBOOKS_IN_GRAFANA });
  const to = resolveSlo({ runbookUrl: RUNBOOKS_IN_GRAFANA, ...objectives });
  const text = textChange(from, to, title);
  return JSON.parse(json, (key, value: unknown) => {
    if (typeof value === 'string') return text(key, value);
    if (!isRecord(value)) return value;
    if (key === 'templating') return { list: variables(value['list'], to, datasource) };
    return 'targets' in value ? withBounds(value, from, to) : value;
  });
}

/** Changes a text of the shipped files. Longer values are replaced first: a bound is a part of the list of bounds. */
function textChange(from: Slo, to: Slo, title = 'Lastchunk'): (key: string, is: string) => string {
  const matchers = (suffix: string): string =>
    to.by.map((label) => `${label}=~"$${label}${suffix}"`).join(', ');
  const pairs: readonly (readonly [was: string, is: string])[] = [
    [burnBounds(from.periodSeconds), burnBounds(to.periodSeconds)],
    [percentage(from.objective), percentage(to.objective)],
    [allowed(from), allowed(to)],
    [spell(from.periodSeconds), spell(to.periodSeconds)],
    [`${from.runbookUrl}/`, `${to.runbookUrl}/`],
    ['job=~"$job"', matchers('')],
    ['job=~"$job|"', matchers('|')],
  ];
  const legend = to.by.map((label) => `{{${label}}}`).join(' ');
  return (key, is) => {
    const changed = pairs.reduce((before, [was, now]) => before.replaceAll(was, () => now), is);
    if (key === 'expr' || key === 'query') return to.spelling.query(changed);
    if (key === 'textFormat') return to.spelling.template(changed);
    if (key === 'legendFormat') {
      return to.spelling.template(changed.replaceAll('{{job}}', () => legend));
    }
    return key === 'title' ? changed.replace(/^Lastchunk(?= \/ )/, () => title) : changed;
  };
}

/** The share of failures that the objective allows, as queries divide by it. */
const allowed = ({ objective }: Slo): string => `/ (1 - ${objective})`;

/** A panel with other thresholds, if they are the bounds of the alerts or the objective. */
function withBounds(panel: Record<string, unknown>, from: Slo, to: Slo): unknown {
  const bounds = new Map<unknown, number>([[from.objective, to.objective]]);
  const showsBurn = JSON.stringify(panel['targets']).includes(allowed(to));
  for (const window of showsBurn ? Object.values(BURN_WINDOWS) : []) {
    bounds.set(burnFactor(window, from.periodSeconds), burnFactor(window, to.periodSeconds));
  }
  const fieldConfig: unknown = JSON.parse(
    JSON.stringify(panel['fieldConfig']),
    (key, value: unknown) => (key === 'value' ? (bounds.get(value) ?? value) : value),
  );
  return { ...panel, fieldConfig };
}

/** The further labels as variables like `job`, each narrowed by those before it, and the data source. */
function variables(list: unknown, { by }: Slo, datasource: string | undefined): unknown[] {
  return (Array.isArray(list) ? list : []).flatMap((variable: unknown) => {
    if (!isRecord(variable)) return [variable];
    if (variable['name'] === 'datasource' && datasource !== undefined) {
      const current = { selected: true, text: datasource, value: datasource };
      return [{ ...variable, current }];
    }
    if (variable['name'] !== 'job') return [variable];
    const further = by.slice(1).map((label, index) => {
      const before = by.slice(0, index + 1).map((one) => `${one}=~"$${one}"`);
      const query = String(variable['query']).replace(
        /, job\)$/,
        () => `{${before.join(', ')}}, ${label})`,
      );
      return { ...variable, name: label, label, query };
    });
    return [variable, ...further];
  });
}
