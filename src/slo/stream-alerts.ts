/** Alerts on streams and on the connections that they use: warnings and notes, none of which raises a page. */
import { HOUR, MINUTE } from './duration.ts';
import { atLeast, by, counted } from './promql.ts';
import { RECENT, USUAL } from './recordings.ts';
import { RECORDS } from './records.ts';
import type { Alert } from './rule.ts';
import { series } from './selector.ts';
import type { Slo } from './settings.ts';

/** The alerts of the group `lastchunk-stream.alerts`. */
export function streamAlerts(slo: Slo): Alert[] {
  return [
    {
      name: 'LastchunkDisconnectRateHigh',
      severity: 'warning',
      expr: unusual(slo, RECORDS.disconnectRatio, RECORDS.disconnects),
      wait: 10 * MINUTE,
      summary: 'Clients leave streams more often than usual.',
      description:
        'The clients of {{ $value | humanizePercentage }} of the streams of job {{ $labels.job }} left over 15m, more than twice the share of the day before.',
    },
    {
      name: 'LastchunkNoiseRateJump',
      severity: 'warning',
      expr: unusual(slo, RECORDS.noiseRatio, RECORDS.noise),
      wait: 10 * MINUTE,
      summary: 'Many more errors than usual are classified as noise.',
      description:
        'Job {{ $labels.job }} had {{ $value | printf "%.2f" }} errors for each stream over 15m that were classified as noise, more than twice as many as the day before.',
    },
    stuck(slo),
    {
      name: 'LastchunkFinishRefused',
      severity: 'info',
      expr: counted(slo, series('finishRefused'), HOUR, 'reason'),
      summary: 'Answers were not read to their end after their client had left.',
      description:
        'In 1h, job {{ $labels.job }} ended {{ $value | printf "%.0f" }} streams before their answer was complete, after their client had left: the budget {{ $labels.reason }} was spent.',
    },
    ...poolAlerts(slo),
  ];
}

/** Over a tenth of all streams, more than twice the usual share, and at least ten: all three, to exclude chance. */
function unusual(
  slo: Slo,
  ratio: (span: number) => string,
  rate: (span: number) => string,
): string {
  return `  ${ratio(RECENT)} > 0.1
and
  ${ratio(RECENT)} > 2 * ${ratio(USUAL)}
and
  ${rate(RECENT)} * ${slo.seconds(RECENT)} ${atLeast(10)}`;
}

function stuck(slo: Slo): Alert {
  const span = slo.span(10 * MINUTE);
  return {
    name: 'LastchunkStreamsStuck',
    severity: 'warning',
    expr: `  (sum ${by(slo, 'route')} (min_over_time(${series('streamsActive')}[${span}])) > 0)
unless
  (sum ${by(slo, 'route')} (increase(${series('chunks')}[${span}])) > 0)`,
    wait: 5 * MINUTE,
    summary: 'Open streams send nothing.',
    description:
      'Job {{ $labels.job }}, route {{ $labels.route }} has {{ $value }} open streams and sent no chunk in 10m.',
  };
}

/** For each pool: in a sum over all pools, an idle pool would hide a full one. */
function poolAlerts(slo: Slo): Alert[] {
  const each = by(slo, 'instance', 'pool');
  const most = (selected: string): string => `max ${each} (${selected})`;
  const waiting = `min_over_time((${most(series('poolWaiting'))})[${slo.span(5 * MINUTE)}:${slo.span(30)}])`;
  return [
    {
      name: 'LastchunkPoolSaturated',
      shownOn: 'saves',
      severity: 'warning',
      expr: `  ${most(series('poolClients', { state: 'active' }))}
/
  (${most(series('poolMax'))} > 0)
> 0.9
and
  ${waiting} > 0`,
      wait: 10 * MINUTE,
      summary: 'A database pool is used up, and callers wait.',
      description:
        '{{ $value | humanizePercentage }} of the pool {{ $labels.pool }} of instance {{ $labels.instance }} of job {{ $labels.job }} is in use, and callers wait without interruption.',
    },
    {
      name: 'LastchunkPoolHeldAcrossStreams',
      shownOn: 'saves',
      severity: 'warning',
      expr: counted(slo, series('poolHeldAcrossStreams'), 30 * MINUTE, 'pool'),
      summary: 'Handlers hold a database connection while they stream.',
      description:
        'Handlers of job {{ $labels.job }} held {{ $value | printf "%.0f" }} connections of the pool {{ $labels.pool }} across a stream in 30m.',
    },
    {
      name: 'LastchunkPoolLeaked',
      shownOn: 'saves',
      severity: 'warning',
      expr: counted(slo, series('poolLeaked'), 30 * MINUTE, 'pool'),
      summary: 'Database connections are taken and never given back.',
      description:
        'Job {{ $labels.job }} leaked {{ $value | printf "%.0f" }} connections of the pool {{ $labels.pool }} in 30m.',
    },
  ];
}
