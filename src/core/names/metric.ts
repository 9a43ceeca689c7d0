/**
 * The shape of a row of the metrics table, and the functions that make one. The Prometheus name is derived from the OpenTelemetry name, so
 * that it cannot differ from the name into which a Prometheus server translates it.
 */

/** A label whose values come from the app (route patterns), limited in number: further values become `other`. */
export interface Bounded {
  /** How many values the app may add. */
  readonly atMost: number;
  /** Values that exist from the start and do not count toward `atMost`. */
  readonly always: readonly string[];
}

/** Label names and the values each may take. */
export type LabelSets = Readonly<Record<string, readonly string[] | Bounded>>;

/** The labels of one series: for a closed set one of its words. */
export type LabelsOf<L extends LabelSets> = {
  readonly [K in keyof L]: L[K] extends readonly (infer V extends string)[] ? V : string;
};

interface Named<L extends LabelSets> {
  /** The OpenTelemetry name. */
  readonly name: string;
  /** The Prometheus name: the same with underscores, unit and `_total`. */
  readonly prometheus: string;
  /** UCUM: `s`, `By`, or `{thing}`. */
  readonly unit: string;
  /** One sentence. */
  readonly help: string;
  readonly labels: L;
}

/** A number that only increases. */
export interface Counter<L extends LabelSets = LabelSets> extends Named<L> {
  readonly type: 'counter';
}

/** A number read at the scrape. */
export interface Gauge<L extends LabelSets = LabelSets> extends Named<L> {
  readonly type: 'gauge';
  /**
   * How the values of several instances in one process, or of the workers of a cluster, become one. `oldest` is for times
   * with 0 for none: the smallest that is not 0.
   */
  readonly aggregator: 'sum' | 'min' | 'max' | 'first' | 'oldest';
}

/** A distribution. */
export interface Histogram<L extends LabelSets = LabelSets> extends Named<L> {
  readonly type: 'histogram';
  readonly buckets: readonly number[];
}

/** A row of the table. */
export type Metric = Counter | Gauge | Histogram;

/** The Prometheus name of an instrument, as the OTLP receiver of Prometheus translates it. */
export function prometheusName(name: string, unit: string, counter: boolean): string {
  const suffix = unit === 's' ? '_seconds' : unit === 'By' ? '_bytes' : '';
  const base = name.replaceAll('.', '_');
  return (base.endsWith(suffix) ? base : base + suffix) + (counter ? '_total' : '');
}

export function counter<const L extends LabelSets>(
  name: string,
  unit: string,
  labels: L,
  help: string,
): Counter<L> {
  return {
    type: 'counter',
    name,
    prometheus: prometheusName(name, unit, true),
    unit,
    labels,
    help,
  };
}

export function gauge<const L extends LabelSets>(
  name: string,
  unit: string,
  labels: L,
  help: string,
): Gauge<L> {
  const prometheus = prometheusName(name, unit, false);
  return { type: 'gauge', name, prometheus, unit, labels, help, aggregator: 'sum' };
}

export function seconds<const L extends LabelSets>(
  name: string,
  labels: L,
  buckets: readonly number[],
  help: string,
): Histogram<L> {
  const prometheus = prometheusName(name, 's', false);
  return { type: 'histogram', name, prometheus, unit: 's', labels, help, buckets };
}
