/** All recording rules and alerts, as data. */
import { bad, show } from '../core/options.ts';
import { burnAlerts } from './burn-alerts.ts';
import { journalAlerts } from './journal-alerts.ts';
import { metaAlerts } from './meta-alerts.ts';
import { recordingGroups } from './recordings.ts';
import type { Alert, AlertingRule, BoardName, RuleGroup } from './rule.ts';
import { saveAlerts } from './save-alerts.ts';
import { resolveSlo, type Slo, type SloOptions } from './settings.ts';
import { streamAlerts } from './stream-alerts.ts';

/**
 * The rule groups, recorded series before the alerts that read them. Throws `bad-option` for an option outside of its
 * range.
 */
export function ruleGroups(options: SloOptions = {}): RuleGroup[] {
  const slo = resolveSlo(options);
  // The link is opened from a mail or on a phone, where a path without a host does not work.
  if (slo.runbookUrl.startsWith('/')) {
    throw bad(
      `\`runbookUrl\` must be an address, such as https://…, not the path ${show(slo.runbookUrl)}, which only dashboards take`,
    );
  }
  const recordings = recordingGroups(slo).map((group) => ({
    ...group,
    rules: group.rules.map(({ record, expr }) => ({ record, expr: slo.spelling.query(expr) })),
  }));
  return [...recordings, ...alertGroups(slo)];
}

function alertGroups(slo: Slo): RuleGroup<AlertingRule>[] {
  const group = (
    name: string,
    board: BoardName,
    alerts: readonly Alert[],
  ): RuleGroup<AlertingRule> => ({
    name: `lastchunk-${name}.alerts`,
    rules: alerts.map((alert) => ruleOf(slo, board, alert)),
  });
  return [
    group('saves-slo', 'saves', burnAlerts(slo)),
    group('saves', 'saves', saveAlerts(slo)),
    group('journal', 'saves', journalAlerts(slo)),
    group('stream', 'streams', streamAlerts(slo)),
    group('meta', 'streams', metaAlerts(slo)),
  ];
}

/** An alert as a rule of Prometheus, with the links to its runbook and its dashboard. */
function ruleOf(slo: Slo, board: BoardName, alert: Alert): AlertingRule {
  const { name, severity, expr, wait, labels, summary, description } = alert;
  return {
    alert: name,
    expr: slo.spelling.query(expr),
    ...(wait !== undefined && { for: slo.span(wait) }),
    labels: { severity, ...labels },
    annotations: {
      summary,
      description: slo.spelling.template(description),
      runbook_url: `${slo.runbookUrl}/${name}.md`,
      ...(slo.dashboardUrl !== undefined && {
        dashboard_url: `${slo.dashboardUrl}/d/lastchunk-${alert.shownOn ?? board}?${slo.by.map(chosen).join('&')}`,
      }),
    },
  };
}

/** The dashboard's variable for a label, set to the value of the alert; to all values for an alert without the label. */
function chosen(label: string): string {
  return `var-${label}={{ with $labels.${label} }}{{ . | urlquery }}{{ else }}$__all{{ end }}`;
}
