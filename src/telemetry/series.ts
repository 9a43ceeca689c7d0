/** Series of several recorders: two instances of lastchunk in one process are one target to Prometheus. */
import type { Gauge, Metric } from '../core/names/metric.ts';
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
  return { ...one, value: MERGE[how](one.value, other.value) };
}

const MERGE: Readonly<Record<'sum' | Gauge['aggregator'], (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  max: (a, b) => Math.max(a, b),
  first: (a) => a,
  // 0 is no time, but none.
  oldest: (a, b) => (a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b)),
};
