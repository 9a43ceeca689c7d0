/** Alerts on what the other alerts need: processes that stay up, and metrics that arrive. */
import { HOUR, MINUTE } from './duration.ts';
import { atLeast, by, counted, on } from './promql.ts';
import type { Alert } from './rule.ts';
import { series } from './selector.ts';
import type { Slo } from './settings.ts';

/** How long a job or a target that vanished raises an alert. */
const MEMORY = 6 * HOUR;

/** The alerts of the group `lastchunk-meta.alerts`. */
export function metaAlerts(slo: Slo): Alert[] {
  const info = series('buildInfo');
  const remembered = `last_over_time(${info}[${slo.span(MEMORY)}])`;
  return [
    {
      name: 'LastchunkInternalErrors',
      severity: 'warning',
      shownOn: 'saves',
      expr: counted(slo, series('internalErrors'), 15 * MINUTE, 'where'),
      summary: 'Something inside lastchunk failed.',
      description:
        'Job {{ $labels.job }} counted {{ $value | printf "%.0f" }} internal errors in 15m, where: {{ $labels.where }}.',
    },
    {
      name: 'LastchunkInstanceRestarting',
      severity: 'warning',
      // `last_over_time`, because just after a crash there is nothing to scrape.
      expr: `  changes(process_start_time_seconds[${slo.span(15 * MINUTE)}]) ${atLeast(3)}
and ${on(slo, 'instance')}
  group ${by(slo, 'instance')} (last_over_time(${info}[${slo.span(15 * MINUTE)}]))`,
      summary: 'A process restarts again and again.',
      description:
        'Instance {{ $labels.instance }} of job {{ $labels.job }} restarted {{ $value }} times in 15m.',
    },
    {
      name: 'LastchunkMetricsAbsent',
      // A warning, because it also fires before the first deploy and after the last. A job that vanishes has its own alert.
      severity: 'warning',
      expr: `absent(${info})`,
      wait: 10 * MINUTE,
      summary: 'No metrics of lastchunk arrive.',
      description: `Prometheus has no series ${info}, so no other alert of lastchunk can fire.`,
    },
    ...vanished(slo, remembered, info),
    ...(slo.source === 'otel' ? [] : [targetDown(slo, remembered)]),
  ];
}

/**
 * A job that was scaled to nothing or deleted has no targets any more, a job that broke still has: its targets have the series `up`.
 * Metrics that are pushed have no `up`, so for them the alert is always a warning.
 */
function vanished(slo: Slo, remembered: string, info: string): Alert[] {
  const gone = `  group ${by(slo)} (${remembered})
unless
  group ${by(slo)} (${info})`;
  const targets = `${on(slo)}
  group ${by(slo)} (up)`;
  const shared = { name: 'LastchunkJobMetricsVanished', wait: 10 * MINUTE } as const;
  const showed =
    'Job {{ $labels.job }} showed metrics of lastchunk in the last 6h and shows none now';
  const taken: Alert = {
    ...shared,
    severity: 'warning',
    expr: slo.source === 'otel' ? gone : `${gone}\nunless ${targets}`,
    summary: 'A job that showed metrics of lastchunk is gone.',
    description: `${showed}, and it has no target: it was removed, or discovery does not find it.`,
  };
  if (slo.source === 'otel') return [{ ...taken, description: `${showed}.` }];
  return [
    {
      ...shared,
      severity: 'critical',
      expr: `${gone}\nand ${targets}`,
      summary: 'A job no longer shows metrics of lastchunk.',
      description: `${showed}, though it has targets.`,
    },
    taken,
  ];
}

/** Metrics that are pushed have no `up`: for them, only the loss of the whole job raises an alert. */
function targetDown(slo: Slo, remembered: string): Alert {
  return {
    name: 'LastchunkTargetDown',
    severity: 'warning',
    expr: `  up == 0
and ${on(slo, 'instance')}
  group ${by(slo, 'instance')} (${remembered})`,
    wait: 5 * MINUTE,
    summary: 'A process cannot be scraped.',
    description:
      'Instance {{ $labels.instance }} of job {{ $labels.job }} has not answered a scrape for 5m.',
  };
}
