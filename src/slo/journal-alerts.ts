/** Alerts on the journal: messages wait in it, or it cannot take any. And on the relay, which stands for it elsewhere. */
import { HOUR, MINUTE } from './duration.ts';
import { by, counted } from './promql.ts';
import type { Alert, Severity } from './rule.ts';
import { series } from './selector.ts';
import type { Slo } from './settings.ts';

/** The alerts of the group `lastchunk-journal.alerts`. */
export function journalAlerts(slo: Slo): Alert[] {
  return [
    backlog(slo, 5 * MINUTE, 'warning'),
    backlog(slo, HOUR, 'critical'),
    fillingUp(slo),
    {
      name: 'LastchunkJournalDegraded',
      severity: 'warning',
      // It heals and falls ill again every ten seconds when a disk is slow: what counts is how much of the time.
      expr: `max ${by(slo, 'instance')} (avg_over_time(${series('journalDegraded')}[${slo.span(10 * MINUTE)}])) > 0.25`,
      wait: 2 * MINUTE,
      summary: 'The journal cannot be relied on.',
      description:
        'The journal of instance {{ $labels.instance }} of job {{ $labels.job }} was degraded for {{ $value | humanizePercentage }} of the last 10m: streams are kept in memory only.',
    },
    {
      name: 'LastchunkJournalCorrupt',
      severity: 'warning',
      expr: counted(slo, series('journalCorrupt'), 15 * MINUTE, 'instance'),
      summary: 'The journal has damaged records.',
      description:
        'Instance {{ $labels.instance }} of job {{ $labels.job }} cut {{ $value | printf "%.0f" }} damaged records from a journal in 15m.',
    },
    {
      name: 'LastchunkRelayDown',
      severity: 'warning',
      // A failover takes a minute: what counts is how much of the time.
      expr: `min ${by(slo, 'instance')} (avg_over_time(${series('relayUp')}[${slo.span(10 * MINUTE)}])) < 0.75`,
      wait: 2 * MINUTE,
      summary: 'Other instances are not told of the streams of one.',
      description:
        'The relay of instance {{ $labels.instance }} of job {{ $labels.job }} worked for {{ $value | humanizePercentage }} of the last 10m: streams cannot be resumed or finished elsewhere.',
    },
  ];
}

function backlog(slo: Slo, age: number, severity: Severity): Alert {
  return {
    name: 'LastchunkJournalBacklogOld',
    severity,
    expr: `max ${by(slo, 'instance')} (
  time() - (${series('journalOldestEntry')} > 0)
) > ${slo.seconds(age)}`,
    wait: 5 * MINUTE,
    summary: 'Messages wait in the journal for the database.',
    description:
      'The oldest message in the journal of instance {{ $labels.instance }} of job {{ $labels.job }} is {{ $value | humanizeDuration }} old.',
  };
}

/** Nearly full, or on a straight line to it within four hours; below a fifth a line means nothing yet. */
function fillingUp(slo: Slo): Alert {
  const most = (selected: string): string => `max ${by(slo, 'instance')} (${selected})`;
  const [bytes, capacity] = [series('journalBytes'), series('journalCapacity')];
  const fill = `${most(bytes)} / (${most(capacity)} > 0)`;
  const line = `predict_linear(${bytes}[${slo.span(30 * MINUTE)}], ${slo.seconds(4 * HOUR)})`;
  return {
    name: 'LastchunkJournalFillingUp',
    severity: 'critical',
    expr: `  ${fill} > 0.8
or
  (
      ${fill} > 0.2
    and
      ${most(line)} > ${most(capacity)}
  )`,
    wait: 10 * MINUTE,
    summary: 'The journal is close to full.',
    description:
      'The journal of instance {{ $labels.instance }} of job {{ $labels.job }} is {{ $value | humanizePercentage }} full, or will be full within 4h.',
  };
}
