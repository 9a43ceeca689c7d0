/**
 * Cases in promtool's own words. Cases of one kind share a test, each as a service of its own (`job`): evaluating all
 * rules for fifty services takes hardly longer than for one, and no service may be told what another one does.
 */
import type { Case } from './case.ts';

/** The test files for these cases, as data; `groups` are the rule groups in their order, which promtool does not keep. */
export function testFiles(cases: readonly Case[], groups: readonly string[]): object[] {
  const kinds = new Map<string, Case[]>();
  for (const one of cases) {
    const kind = `${one.every ?? 1} ${one.alone === true ? one.name : ''}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), one]);
  }
  return [...kinds.values()].map((kind) => ({
    rule_files: ['rules.yml'],
    group_eval_order: groups,
    evaluation_interval: `${kind[0]?.every ?? 1}m`,
    tests: [{ interval: '1m', ...merged(kind) }],
  }));
}

function merged(cases: readonly Case[]): object {
  const last = Math.max(...cases.flatMap(({ firing }) => Object.keys(firing).map(minutes)));
  return {
    input_series: cases.flatMap((one) =>
      one.series.map(({ series, values }) => ({
        series: renamed(series, one),
        // No longer than anybody looks.
        values: values.replaceAll(/x(\d+)/g, (_, steps) => `x${Math.min(Number(steps), last)}`),
      })),
    ),
    promql_expr_test: cases.flatMap((one) => [
      ...Object.entries(one.firing).map(([at, alerts]) => ({
        expr: renamed(FIRING, one),
        eval_time: at,
        exp_samples: alerts.map((alert) => ({ labels: labelsOf(alert), value: 1 })),
      })),
      ...(one.values ?? []).map(({ at, query, value }) => ({
        expr: renamed(query, one),
        eval_time: at,
        exp_samples: value === undefined ? [] : [{ labels: '{}', value }],
      })),
    ]),
  };
}

/**
 * Everything that tells two rules of one name apart; two series of one alert are one line. An alert about everything
 * has no job.
 */
const FIRING =
  'group by (alertname, severity, long, cause) (ALERTS{alertstate="firing",job=~"|chat|other"})';

/** `job="chat"` becomes a job of the case's own, and so do jobs in patterns. */
function renamed(text: string, { name }: Case): string {
  const own = name.replaceAll(/[^a-z0-9]+/gi, '-');
  return text
    .replace('job=~"|chat|other"', `job=~"|${own}:.+"`)
    .replaceAll('job="', `job="${own}:`);
}

function labelsOf(alert: string): string {
  const [name = '', severity = '', detail] = alert.split(' ');
  const labels = [`alertname="${name}"`, `severity="${severity}"`];
  if (detail !== undefined) labels.push(`${/^\d/.test(detail) ? 'long' : 'cause'}="${detail}"`);
  return `{${labels.join(', ')}}`;
}

function minutes(time: string): number {
  const { h = '0', m = '0' } = /^(?:(?<h>\d+)h)?(?:(?<m>\d+)m)?$/.exec(time)?.groups ?? {};
  return Number(h) * 60 + Number(m);
}
