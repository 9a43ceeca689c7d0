/** Alerts on the journal: messages wait in it, or it cannot accept any. And on the relay, which keeps streams on other machines. */
import { HOUR, MINUTE } from './duration.ts';
import { atLeast, by, counted, ephemeral, on } from './promql.ts';
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
      // With a slow disk it degrades and recovers every ten seconds, so the share of time is compared.
      expr: `max ${by(slo, 'instance')} (avg_over_time(${series('journalDegraded')}[${slo.span(10 * MINUTE)}])) > 0.25`,
      wait: 2 * MINUTE,
      labels: { cause: 'degraded' },
      summary: 'The journal cannot be relied on.',
      description:
        'The journal of instance {{ $labels.instance }} of job {{ $labels.job }} was degraded for {{ $value | humanizePercentage }} of the last 10m: streams are kept in memory only.',
    },
    {
      name: 'LastchunkJournalDegraded',
      severity: 'warning',
      // A disk that fills, is cleared and fills again works most of the time. Becoming degraded and healing are two changes.
      expr: `max ${by(slo, 'instance')} (changes(${series('journalDegraded')}[${slo.span(30 * MINUTE)}])) ${atLeast(6)}`,
      wait: 2 * MINUTE,
      labels: { cause: 'flapping' },
      summary: 'The journal fails again and again.',
      description:
        'The journal of instance {{ $labels.instance }} of job {{ $labels.job }} became degraded or healed {{ $value }} times in 30m: while it is degraded, streams are kept in memory only.',
    },
    {
      name: 'LastchunkJournalCorrupt',
      severity: 'warning',
      expr: counted(slo, series('journalCorrupt'), 15 * MINUTE, 'instance'),
      summary: 'The journal has damaged records.',
      description:
        'Instance {{ $labels.instance }} of job {{ $labels.job }} cut {{ $value | printf "%.0f" }} damaged records from a journal in 15m.',
    },
    ...relayDown(slo),
    relayLagging(slo),
  ];
}

/** The share of the last ten minutes in which the relay worked. A failover takes a minute, so the share of time is compared. */
function relayWorked(slo: Slo): string {
  return `min ${by(slo, 'instance')} (avg_over_time(${series('relayUp')}[${slo.span(10 * MINUTE)}]))`;
}

/** Critical where only the relay outlives the process, a warning where a disk does too. */
function relayDown(slo: Slo): Alert[] {
  const away = `  (${relayWorked(slo)} < 0.75)`;
  const shared = {
    name: 'LastchunkRelayDown',
    wait: 2 * MINUTE,
    summary: 'The relay does not get the streams of an instance.',
  } as const;
  const worked =
    'The relay of instance {{ $labels.instance }} of job {{ $labels.job }} worked for {{ $value | humanizePercentage }} of the last 10m';
  return [
    {
      ...shared,
      severity: 'critical',
      expr: `${away}\nand ${ephemeral(slo)}`,
      description: `${worked}: its live streams would be lost with the process, because its journal would be lost too.`,
    },
    {
      ...shared,
      severity: 'warning',
      expr: `${away}\nunless ${ephemeral(slo)}`,
      description: `${worked}: other instances cannot resume or finish its streams.`,
    },
  ];
}

/**
 * A flush is due every 250 ms and a lease ends after 15 s. An instance that stays this far behind is too slow for clients
 * that resume its streams on other instances. `speed` does not change it: both are the app's own times.
 */
const LAGGING_SECONDS = 5;

function relayLagging(slo: Slo): Alert {
  return {
    name: 'LastchunkRelayLagging',
    severity: 'warning',
    expr: `  (max ${by(slo, 'instance')} (min_over_time(${series('relayLag')}[${slo.span(5 * MINUTE)}])) > ${LAGGING_SECONDS})
and ${on(slo, 'instance')}
  (${relayWorked(slo)} >= 0.75)`,
    wait: 5 * MINUTE,
    summary: 'The relay is behind the streams of an instance.',
    description:
      'For {{ $value | humanizeDuration }} the relay has not had all bytes of the streams of instance {{ $labels.instance }} of job {{ $labels.job }}; the bytes of that time would be lost with the process and its disk.',
  };
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

/** Nearly full, or full within four hours by linear prediction; below a fifth the prediction is not used. */
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
