/** Everything that Prometheus is to compute and to watch, as data and as the file that it reads. */
import { stringify } from 'yaml';
import { burnAlerts } from './burn-alerts.ts';
import { journalAlerts } from './journal-alerts.ts';
import { metaAlerts } from './meta-alerts.ts';
import { recordingGroups } from './recordings.ts';
import type { Alert, AlertingRule, RuleGroup } from './rule.ts';
import { saveAlerts } from './save-alerts.ts';
import { resolveSlo, type Slo, type SloOptions } from './settings.ts';
import { streamAlerts } from './stream-alerts.ts';

/**
 * The rule groups, recorded series before the alerts that read them. Throws `bad-option` for an option outside of its
 * range.
 */
export function ruleGroups(options: SloOptions = {}): RuleGroup[] {
  const slo = resolveSlo(options);
  const recordings = recordingGroups(slo).map((group) => ({
    ...group,
    rules: group.rules.map(({ record, expr }) => ({ record, expr: slo.spelling.query(expr) })),
  }));
  return [...recordings, ...alertGroups(slo)];
}

function alertGroups(slo: Slo): RuleGroup<AlertingRule>[] {
  const group = (name: string, alerts: readonly Alert[]): RuleGroup<AlertingRule> => ({
    name: `lastchunk-${name}.alerts`,
    rules: alerts.map((alert) => ruleOf(slo, alert)),
  });
  return [
    group('saves-slo', burnAlerts(slo)),
    group('saves', saveAlerts(slo)),
    group('journal', journalAlerts(slo)),
    group('stream', streamAlerts(slo)),
    group('meta', metaAlerts(slo)),
  ];
}

/** What every alert has alike: the words of the file, and the way to its runbook. */
function ruleOf(slo: Slo, alert: Alert): AlertingRule {
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
    },
  };
}

/** A rule file for Prometheus 2.42 and later. Throws `bad-option` for an option outside of its range. */
export function rulesYaml(options: SloOptions = {}): string {
  return HEADER + stringify({ groups: ruleGroups(options) }, FORMAT);
}

const HEADER = '# Made by `lastchunk rules`; what is written by hand here is lost the next time.\n';

/** Long lines stay whole: they are easier to search than folded ones. */
const FORMAT = { lineWidth: 0, singleQuote: true, aliasDuplicateObjects: false } as const;
