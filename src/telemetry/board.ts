/**
 * The numbers of one recorder: plain additions in a map. A labelled series that first appears with its first
 * event hides that event from `rate()`, so series can be made to exist at 0.
 */
import type { Counter, Gauge, LabelSets, LabelsOf } from '../core/names/metric.ts';
import { seriesKey } from './series.ts';
import type { Reading } from './sink.ts';

/** One series. */
export interface Cell {
  value: number;
}

export interface Board {
  /** Moves a series by `amount` (1 unless given). */
  add<L extends LabelSets>(
    metric: Counter<L> | Gauge<L>,
    labels: LabelsOf<L>,
    amount?: number,
  ): void;
  /** Sets a series, for what is counted elsewhere. */
  set<L extends LabelSets>(metric: Counter<L> | Gauge<L>, labels: LabelsOf<L>, value: number): void;
  /** The series itself, for what moves often: adding to its value is all that `add` does. */
  cell<L extends LabelSets>(metric: Counter<L> | Gauge<L>, labels: LabelsOf<L>): Cell;
  /** Makes every series of `metric` exist that has these labels, for each value of the other labels. */
  zero(metric: Counter | Gauge, fixed: Readonly<Record<string, string>>): void;
  readings(): Iterable<Reading>;
}

export function createBoard(): Board {
  const cells = new Map<string, Reading & { value: number }>();
  const cellOf = (metric: Counter | Gauge, labels: Readonly<Record<string, string>>): Cell => {
    const key = seriesKey(metric, labels);
    let cell = cells.get(key);
    if (cell === undefined) {
      cell = { key, metric, labels, value: 0 };
      cells.set(key, cell);
    }
    return cell;
  };
  return {
    add(metric, labels, amount = 1) {
      cellOf(metric, labels).value += amount;
    },
    set(metric, labels, value) {
      cellOf(metric, labels).value = value;
    },
    cell: (metric, labels) => cellOf(metric, labels),
    zero(metric, fixed) {
      for (const labels of combinations(metric, fixed)) cellOf(metric, labels);
    },
    readings: () => cells.values(),
  };
}

/** Every set of labels that agrees with `fixed`; a bounded label that is not fixed has none to offer. */
function combinations(
  metric: Counter | Gauge,
  fixed: Readonly<Record<string, string>>,
): Record<string, string>[] {
  let found: Record<string, string>[] = [{}];
  for (const [label, values] of Object.entries(metric.labels)) {
    const given = fixed[label];
    const choices = given !== undefined ? [given] : 'atMost' in values ? [] : values;
    found = found.flatMap((labels) => choices.map((value) => ({ ...labels, [label]: value })));
  }
  return found;
}
