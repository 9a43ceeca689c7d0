/** Selectors of series, typed by the table of metrics: an unknown metric, label or value does not compile. */
import type { LabelSets } from '../core/names/metric.ts';
import { METRICS } from '../core/names/index.ts';

type MetricTable = typeof METRICS;
/** A metric of the table, by its key. */
export type MetricKey = keyof MetricTable;

type ValueOf<V> = V extends readonly (infer Word extends string)[] ? Word : string;
type LabelsOfMetric<K extends MetricKey> = MetricTable[K]['labels'] extends infer L extends
  LabelSets
  ? { readonly [Name in keyof L]?: ValueOf<L[Name]> | readonly ValueOf<L[Name]>[] }
  : never;

/** `lastchunk_saves_total{result=~"lost|missing"}`. */
export function series<K extends MetricKey>(key: K, labels?: LabelsOfMetric<K>): string {
  return METRICS[key].prometheus + matchers(labels);
}

/** The cumulative buckets of a histogram up to one bound, which must be one of its bucket bounds. */
export function bucket(key: MetricKey, le: number): string {
  const metric = METRICS[key];
  // A whole number would be written differently by Prometheus 2 and 3 (`1`, `1.0`).
  if (
    metric.type !== 'histogram' ||
    Number.isInteger(le) ||
    !metric.buckets.some((b) => b === le)
  ) {
    throw new RangeError(
      `${metric.prometheus} has no bucket ${le} that every Prometheus spells alike`,
    );
  }
  return `${metric.prometheus}_bucket{le="${le}"}`;
}

function matchers(
  labels: Readonly<Record<string, string | readonly string[] | undefined>> = {},
): string {
  const all = Object.entries(labels).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return typeof value === 'string' ? `${name}="${value}"` : `${name}=~"${value.join('|')}"`;
  });
  return all.length === 0 ? '' : `{${all.join(', ')}}`;
}
