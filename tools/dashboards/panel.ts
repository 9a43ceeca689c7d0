/** Dashboards as data: the queries of each panel, and how to read it. `draw.ts` and `render.ts` decide the appearance. */

/** A unit of Grafana's list (`getValueFormat`), or a custom suffix (`suffix:`), so that the axis names what is counted, unlike `ops/s`. */
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
  /** The series of this query have a second axis, on the right, in this unit. */
  readonly right?: Unit;
  /** Why a healthy service has no data here; without it, an empty result fails a test. */
  readonly emptyBecause?: string;
}

/** From this value on a number has this colour; the first has no `from`. */
export interface Step {
  readonly from?: number;
  readonly colour: Colour;
}

/**
 * How a panel is drawn: one number now (`stat`), lines, stacked bars, a distribution over time (`heatmap`), or rows (`table`).
 */
export type PanelKind = 'stat' | 'lines' | 'stack' | 'heatmap' | 'table';

/** A column of a table. */
export interface Column {
  /** A label, or the field that holds the value of a query: `valueOf()`. */
  readonly field: string;
  readonly title: string;
  /** Default: that of the panel. */
  readonly unit?: Unit;
  readonly decimals?: number;
  /** Colours of its text. */
  readonly steps?: readonly Step[];
  /** Set if its text is the name of an alert, with a link to the runbook. */
  readonly runbook?: true;
}

/** One panel. */
export interface Panel {
  /** Part of links to the panel: unique in its dashboard, and never given to another panel. */
  readonly id: number;
  readonly kind: PanelKind;
  readonly title: string;
  /** What the panel shows, what a good state looks like, and what to do otherwise: one sentence each. */
  readonly shows: string;
  readonly good: string;
  readonly action: string;
  /** Alerts whose runbooks explain what to do next. */
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
  /** Texts that replace these numbers. */
  readonly words?: Readonly<Record<number, string>>;
  /** Set if a `stat` shows the name of its series instead of the number. */
  readonly showsName?: true;
  /** Of a table, from the left. */
  readonly columns?: readonly Column[];
  /** Title of the column by which a table is sorted, the largest first. */
  readonly sortedBy?: string;
  /** The text that is shown if there is no value. */
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

/** The `refId` of a query in its panel: A, B, C. */
export function refIdOf(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

/** The field that has the value of a query, in a table of several queries. */
export function valueOf(index: number): string {
  return `Value #${refIdOf(index)}`;
}
