/**
 * Queries with the dashboard's variables in them. A metric is named by its key in the one table, so that a panel about
 * a series that does not exist does not compile.
 */
import { METRICS } from '../../core/names/index.ts';
import { series, type MetricKey } from '../selector.ts';
import type { Slo } from '../settings.ts';

/** The window of every rate: Grafana makes it four scrapes or one pixel, whichever is longer. */
export const WINDOW = '[$__rate_interval]';
/** Everything between the two ends of the time picker. */
export const RANGE = '[$__range]';

type Labels<K extends MetricKey> = Parameters<typeof series<K>>[1];

/** What panels build their queries from. */
export interface Scope {
  readonly slo: Slo;
  /** The series of a metric that the variables select. */
  readonly select: <K extends MetricKey>(key: K, labels?: Labels<K>) => string;
  /** `sum by (…) (rate(…))`; of everything when `by` is empty. */
  readonly rate: <K extends MetricKey>(by: string, key: K, labels?: Labels<K>) => string;
  /** Buckets per second, summed. */
  readonly buckets: (key: MetricKey) => string;
  readonly quantile: (q: number, key: MetricKey) => string;
  /** A recorded series; these have no instance and no route. */
  readonly recorded: (name: string) => string;
  /** A metric of the process, which the Prometheus client brings. */
  readonly ofProcess: (name: ProcessMetric) => string;
  /** Alerts of lastchunk that fire. */
  readonly firing: (matchers?: readonly string[]) => string;
}

/** Names that are not in our table, with who makes them. */
export const PROCESS_METRICS = [
  // prom-client, collectDefaultMetrics()
  'nodejs_eventloop_lag_p99_seconds',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
] as const;
type ProcessMetric = (typeof PROCESS_METRICS)[number];

/** The variables that are always there; the further labels of `slo` are variables of the same name. */
export function createScope(slo: Slo): Scope {
  const jobs = slo.by.map((label) => `${label}=~"$${label}"`);
  const instances = [...jobs, 'instance=~"$instance"'];
  const chosen = (key: MetricKey): readonly string[] =>
    'route' in METRICS[key].labels ? [...instances, 'route=~"$route"'] : instances;
  const select: Scope['select'] = (key, labels) => within(series(key, labels), chosen(key));
  const buckets = (key: MetricKey): string =>
    `sum by (le) (rate(${METRICS[key].prometheus}_bucket{${chosen(key).join(', ')}}${WINDOW}))`;
  return {
    slo,
    select,
    rate: (by, key, labels) =>
      `sum${by === '' ? '' : ` by (${by})`} (rate(${select(key, labels)}${WINDOW}))`,
    buckets,
    quantile: (q, key) => `histogram_quantile(${q}, ${buckets(key)})`,
    recorded: (name) => within(name, jobs),
    ofProcess: (name) => within(name, instances),
    // An alert on absent metrics has no job; an empty alternative matches it.
    firing: (matchers = []) => {
      const jobsOrNone = slo.by.map((label) => `${label}=~"$${label}|"`);
      const all = ['alertname=~"Lastchunk.+"', 'alertstate="firing"', ...jobsOrNone, ...matchers];
      return `ALERTS{${all.join(', ')}}`;
    },
  };
}

/** Puts matchers in front of those that a selector has. */
function within(selected: string, matchers: readonly string[]): string {
  const [name = '', own] = selected.split(/[{}]/);
  return `${name}{${[...matchers, ...(own === undefined ? [] : [own])].join(', ')}}`;
}

/** A gauge that holds when something began as the seconds since then, and 0 where it holds 0. */
export function age(selected: string): string {
  return `max by (instance) (time() - (${selected} > 0)) or max by (instance) (${selected})`;
}
