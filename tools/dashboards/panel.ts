/** Dashboards as data: what a panel asks and what a reader should make of it. How it is drawn is decided elsewhere. */

/**
 * A unit of Grafana's list (`getValueFormat`), or one of a suffix of its own (`suffix:`): what is counted stands at the axis,
 * because `ops/s` says nothing about what.
 */
export type Unit =
  | 'percentunit'
  | 'short'
  | 's'
  | 'bytes'
  | 'Bps'
  | 'dateTimeFromNow'
  | `suffix:${'saves' | 'streams' | 'frames' | 'writes' | 'messages' | 'records' | 'errors' | 'connections'}/s`;

/** A colour of Grafana's palette. */
export type Colour =
  'green' | 'yellow' | 'orange' | 'red' | 'dark-red' | 'blue' | 'purple' | 'light-blue' | 'gray';

/** One query of a panel. */
export interface Query {
  readonly expr: string;
  /** Grafana's template for the name of a series. */
  readonly legend: string;
  /** Set where observations carry the id of a trace. */
  readonly exemplars?: boolean;
  /** The series of this query are read on an axis of their own, in this unit. */
  readonly right?: Unit;
  /** Why a service in good health has no data here; without it, an empty answer fails a test. */
  readonly emptyBecause?: string;
}

/** From this value on a number has this colour; the first has no `from`. */
export interface Step {
  readonly from?: number;
  readonly colour: Colour;
}

/**
 * How it is drawn: one number now (`stat`), lines, stacked bars, a distribution over time (`heatmap`), or rows (`table`).
 */
export type PanelKind = 'stat' | 'lines' | 'stack' | 'heatmap' | 'table';

/** A column of a table. */
export interface Column {
  /** A label, or where Grafana puts the value of a query: `valueOf()`. */
  readonly field: string;
  readonly title: string;
  /** Default: that of the panel. */
  readonly unit?: Unit;
  readonly decimals?: number;
  /** Colours of its text. */
  readonly steps?: readonly Step[];
  /** Set where its text is the name of an alert and leads to the runbook. */
  readonly runbook?: true;
}

/** One panel. */
export interface Panel {
  /** Part of links to the panel: unique in its dashboard, and never given to another panel. */
  readonly id: number;
  readonly kind: PanelKind;
  readonly title: string;
  /** What it shows, what good looks like, what to do otherwise: one sentence each. */
  readonly shows: string;
  readonly good: string;
  readonly action: string;
  /** Alerts whose runbooks go on from here. */
  readonly alerts?: readonly string[];
  readonly unit: Unit;
  readonly decimals?: number;
  readonly min?: number;
  readonly max?: number;
  /** Of 24 columns. */
  readonly width: number;
  /** In rows of Grafana's grid, 30 pixels each. */
  readonly height: number;
  readonly queries: readonly Query[];
  /** Colours of a number, lines across a plot. */
  readonly steps?: readonly Step[];
  /** Fixed colours of series by their name. */
  readonly colours?: Readonly<Record<string, Colour>>;
  /** The series without a fixed colour have this one. */
  readonly othersIn?: Colour;
  /** What stands in the place of these numbers. */
  readonly words?: Readonly<Record<number, string>>;
  /** Set where one number shows the name of its series instead. */
  readonly showsName?: true;
  /** Of a table, from the left. */
  readonly columns?: readonly Column[];
  /** Title of the column by which a table is sorted, the largest first. */
  readonly sortedBy?: string;
  /** What stands there instead of a number when there is none. */
  readonly noValue: string;
}

/** Panels under one heading. */
export interface PanelRow {
  /** Unique in the dashboard, like a panel's. */
  readonly id: number;
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** One dashboard. */
export interface Board {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly PanelRow[];
}

/** The name of a query in its panel: A, B, C. */
export function refIdOf(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

/** The field that has the value of a query, in a table of several queries. */
export function valueOf(index: number): string {
  return `Value #${refIdOf(index)}`;
}
