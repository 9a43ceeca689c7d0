/** Series of several recorders: two instances of lastchunk in one process are one target to Prometheus. */
import type { Metric } from './names/metric.ts';
import type { Read, Reading } from './sink.ts';

/** What tells one series from another, in a map. */
export function seriesKey(metric: Metric, labels: Readonly<Record<string, string>>): string {
  let key = metric.name;
  for (const label of Object.keys(metric.labels)) key += `\n${labels[label]}`;
  return key;
}

/** What all recorders say now, one value a series. */
export function readTogether(reads: readonly Read[]): Iterable<Reading> {
  const [only] = reads;
  if (reads.length === 1 && only !== undefined) return only();
  const merged = new Map<string, Reading>();
  for (const read of reads) {
    for (const reading of read()) {
      const other = merged.get(reading.key);
      merged.set(reading.key, other === undefined ? reading : merge(other, reading));
    }
  }
  return merged.values();
}

function merge(one: Reading, other: Reading): Reading {
  const how = one.metric.type === 'counter' ? 'sum' : one.metric.aggregator;
  if (how === 'first') return one;
  const value = how === 'sum' ? one.value + other.value : Math.max(one.value, other.value);
  return { ...one, value };
}
