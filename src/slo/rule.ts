/** Rules as data, with the names of Prometheus's rule files. */

/** A series that Prometheus computes and keeps. */
export interface RecordingRule {
  /** Name of the series. */
  readonly record: string;
  /** In PromQL. */
  readonly expr: string;
}

/** How urgent an alert is: `critical` pages a person at once, `warning` is for working hours, `info` is only displayed. */
export type Severity = 'critical' | 'warning' | 'info';

/** A condition that needs the attention of an operator. */
export interface AlertingRule {
  /** Name of the alert. */
  readonly alert: string;
  /** In PromQL. */
  readonly expr: string;
  /** How long the condition must hold, in PromQL's spelling; absent: the alert fires at once. */
  readonly for?: string;
  /** `severity`, and further labels for routing. */
  readonly labels: { readonly severity: Severity } & Readonly<Record<string, string>>;
  /** The texts of the notification. */
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
    /** The dashboard for this alert; absent without the option `dashboardUrl`. */
    readonly dashboard_url?: string;
  };
}

/** Rules that are evaluated one after the other. */
export interface RuleGroup<R extends RecordingRule | AlertingRule = RecordingRule | AlertingRule> {
  /** As Prometheus shows it. */
  readonly name: string;
  /** In PromQL's spelling; without it, the server's own. */
  readonly interval?: string;
  /** Evaluated in this order. */
  readonly rules: readonly R[];
}

/** A dashboard: `lastchunk-saves` or `lastchunk-streams`. */
export type BoardName = 'saves' | 'streams';

/** The definition of an alert; the rest of its rule is derived from it. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  /** The dashboard for this alert. Default: that of its group. */
  readonly shownOn?: BoardName;
  readonly expr: string;
  /** How long the condition must hold, in seconds before `speed`. Absent: it fires at once. */
  readonly wait?: number;
  /** Further labels, if one name has several rules. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary: string;
  /** May contain Prometheus templates. */
  readonly description: string;
}
