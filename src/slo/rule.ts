/** Rules as data, in the words of Prometheus's rule files. */

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
  /** How long it must hold, in PromQL's spelling; without it, once is enough. */
  readonly for?: string;
  /** `severity`, and what routes it. */
  readonly labels: { readonly severity: Severity } & Readonly<Record<string, string>>;
  /** The texts of the notification. */
  readonly annotations: {
    readonly summary: string;
    readonly description: string;
    readonly runbook_url: string;
    /** The dashboard that shows what it is about, where `dashboardUrl` says where that is. */
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

/** What the author of an alert says; the rest follows from it. */
export interface Alert {
  readonly name: string;
  readonly severity: Severity;
  /** Which dashboard shows what it is about. Default: that of its group. */
  readonly shownOn?: BoardName;
  readonly expr: string;
  /** How long it must hold, in seconds before `speed`. Absent: a single one is too many. */
  readonly wait?: number;
  /** More labels, where one name has several rules. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly summary: string;
  /** May hold Prometheus templates. */
  readonly description: string;
}
