/**
 * Queries with the dashboard's variables in them. A metric is given by its key in the table of metrics, so that a panel about a series that
 * does not exist does not compile.
 */
import { METRICS } from '../../src/core/names/index.ts';
import { series, type MetricKey } from '../../src/slo/selector.ts';
import type { Slo } from '../../src/slo/settings.ts';

/** The window of every rate: Grafana makes it four scrapes or one pixel, whichever is longer. */
export const WINDOW = '[$__rate_interval]';
/** Everything between the two ends of the time picker. */
export const RANGE = '[$__range]';

type Labels<K extends MetricKey> = Parameters<typeof series<K>>[1];

/** What panels build their queries from. */
export type Scope = ReturnType<typeof createScope>;

/** Names that are not in our table, with the library that exports them. */
export const PROCESS_METRICS = [
  // prom-client, collectDefaultMetrics()
  'nodejs_eventloop_lag_p99_seconds',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
] as const;
type ProcessMetric = (typeof PROCESS_METRICS)[number];

/** The queries of one `Slo`. Series are selected by the fixed variables, and by a variable for each further label of `slo`. */
export function createScope(slo: Slo) {
  const jobs = slo.by.map((label) => `${label}=~"$${label}"`);
  const instances = [...jobs, 'instance=~"$instance"'];
  const chosen = (key: MetricKey): readonly string[] =>
    'route' in METRICS[key].labels ? [...instances, 'route=~"$route"'] : instances;
  /** The series of a metric that the variables select. */
  const select = <K extends MetricKey>(key: K, labels?: Labels<K>): string =>
    within(series(key, labels), chosen(key));
  /** The buckets of a histogram that the variables select. */
  const bucketsOf = (key: MetricKey): string =>
    `${METRICS[key].prometheus}_bucket{${chosen(key).join(', ')}}`;
  /** Buckets per second, summed. */
  const buckets = (key: MetricKey): string => `sum by (le) (rate(${bucketsOf(key)}${WINDOW}))`;
  return {
    slo,
    select,
    /** `sum by (…) (rate(…))`; without `by` if it is empty. */
    rate: <K extends MetricKey>(by: string, key: K, labels?: Labels<K>): string =>
      `sum${by === '' ? '' : ` by (${by})`} (rate(${select(key, labels)}${WINDOW}))`,
    bucketsOf,
    buckets,
    quantile: (q: number, key: MetricKey): string => `histogram_quantile(${q}, ${buckets(key)})`,
    /** A recorded series; these have no instance and no route. */
    recorded: (name: string): string => within(name, jobs),
    /** A metric of the process, which the Prometheus client exports. */
    ofProcess: (name: ProcessMetric): string => within(name, instances),
    /** Alerts of lastchunk that fire. An alert about absent metrics has no job; the empty alternative matches it. */
    firing: (matchers: readonly string[] = []): string => {
      const jobsOrNone = slo.by.map((label) => `${label}=~"$${label}|"`);
      const all = ['alertname=~"Lastchunk.+"', 'alertstate="firing"', ...jobsOrNone, ...matchers];
      return `ALERTS{${all.join(', ')}}`;
    },
  };
}

/** Adds matchers before those that a selector has. */
function within(selected: string, matchers: readonly string[]): string {
  const [name = '', own] = selected.split(/[{}]/);
  return `${name}{${[...matchers, ...(own === undefined ? [] : [own])].join(', ')}}`;
}

/** Converts a gauge with a start time to the seconds since then; 0 where the gauge is 0. */
export function age(selected: string): string {
  return `max by (instance) (time() - (${selected} > 0)) or max by (instance) (${selected})`;
}
