/** Alerts on the objectives themselves: how fast the error budget is spent. */
import { HOUR, spell } from './duration.ts';
import { atLeast } from './promql.ts';
import { TIMELINESS_WINDOWS, TIMELY_SECONDS } from './recordings.ts';
import { RECORDS } from './records.ts';
import type { Alert } from './rule.ts';
import type { Slo } from './settings.ts';
import { BURN_WINDOWS, burnFactor, rounded, type BurnWindow } from './windows.ts';

/** The least number of untimely saves in the long window for an alert, so that a few slow saves in a quiet hour do not raise one. */
const MIN_UNTIMELY = 10;
/** The least number of failures for a ticket: lower than for a page, because a ticket is read in working hours. */
const MIN_FAILURES_TICKET = 2;

/** The alerts of the group `lastchunk-saves-slo.alerts`. */
export function burnAlerts(slo: Slo): Alert[] {
  return [
    ...Object.values(BURN_WINDOWS).map((window) => durabilityBurn(slo, window)),
    ...TIMELINESS_WINDOWS.map((window) => timelinessBurn(slo, window)),
    {
      name: 'LastchunkSaveErrorBudgetExhausted',
      severity: 'info',
      expr: `${RECORDS.budgetRemaining} < 0`,
      wait: HOUR,
      labels: { slo: 'message-save' },
      summary: 'The error budget of message saves is spent.',
      description: `Job {{ $labels.job }} has {{ $value | humanizePercentage }} of its ${spell(slo.periodSeconds)} error budget of message saves left.`,
    },
  ];
}

function durabilityBurn(slo: Slo, window: BurnWindow): Alert {
  const least =
    window.severity === 'critical'
      ? slo.minFailures
      : Math.min(slo.minFailures, MIN_FAILURES_TICKET);
  return {
    name: 'LastchunkSaveErrorBudgetBurn',
    expr: burning(slo, window, {
      ratio: RECORDS.errorRatio,
      count: RECORDS.errors,
      least,
      objective: slo.objective,
    }),
    ...common(window, 'message-save'),
    severity: window.severity,
    summary: 'Message saves fail too often for their objective.',
    description: `{{ $value | humanizePercentage }} of the message saves of job {{ $labels.job }} failed over ${spell(window.long)} (objective ${percent(slo.objective)}, burn rate above ${burnFactor(window, slo.periodSeconds)}).`,
  };
}

function timelinessBurn(slo: Slo, window: BurnWindow): Alert {
  return {
    name: 'LastchunkSaveTimelinessBudgetBurn',
    expr: burning(slo, window, {
      ratio: RECORDS.untimelyRatio,
      count: RECORDS.saves,
      least: MIN_UNTIMELY,
      objective: slo.timeliness,
    }),
    ...common(window, 'message-save-timeliness'),
    severity: 'warning',
    summary: 'Message saves are slow, deferred or failing.',
    description: `{{ $value | humanizePercentage }} of the message saves of job {{ $labels.job }} were not in the database within ${TIMELY_SECONDS}s over ${spell(window.long)} (objective ${percent(slo.timeliness)}).`,
  };
}

/** The ratio of both windows is over the bound, with enough events to exclude chance in a quiet hour. */
function burning(
  slo: Slo,
  window: BurnWindow,
  of: {
    readonly ratio: (span: number) => string;
    readonly count: (span: number) => string;
    readonly least: number;
    readonly objective: number;
  },
): string {
  const bound = `(${burnFactor(window, slo.periodSeconds)} * (1 - ${of.objective}))`;
  return `  ${of.ratio(window.long)} > ${bound}
and
  ${of.ratio(window.short)} > ${bound}
and
  ${of.count(window.long)} * ${slo.seconds(window.long)} ${atLeast(of.least)}`;
}

function common(window: BurnWindow, slo: string): Pick<Alert, 'wait' | 'labels'> {
  const labels = { slo, long: spell(window.long), short: spell(window.short) };
  return { wait: window.wait, labels };
}

function percent(ratio: number): string {
  return `${rounded(ratio * 100)}%`;
}
