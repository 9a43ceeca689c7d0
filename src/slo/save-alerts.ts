/** Alerts on saves that no ratio shows: a single loss, missing results, and counters that do not match. */
import { HOUR, MINUTE } from './duration.ts';
import { atLeast, by, counted, countedAtLeast, ephemeral, on } from './promql.ts';
import type { Alert } from './rule.ts';
import { series } from './selector.ts';
import type { Slo } from './settings.ts';

/**
 * A save that can be journaled has its answer within `confirmTimeoutMs`, two seconds; at `missingAfterMs`, 60 s, it is
 * no longer pending. This is well between the two, and `speed` does not change it.
 */
const STALLED_SECONDS = 20;

/** The alerts of the group `lastchunk-saves.alerts`. */
export function saveAlerts(slo: Slo): Alert[] {
  return [
    allFailing(slo),
    ...lost(slo),
    storeDown(slo),
    {
      name: 'LastchunkHoldsUnconfirmed',
      severity: 'critical',
      expr: counted(slo, series('holds', { released: 'unconfirmed' }), 15 * MINUTE),
      summary: 'Clients received the end of an answer before its message was safe.',
      description:
        'Job {{ $labels.job }} released {{ $value | printf "%.0f" }} last frames in 15m while their message was neither in the database nor in the journal.',
    },
    outcomesMissing(slo),
    mismatch(slo),
    {
      name: 'LastchunkSavesStalled',
      severity: 'critical',
      expr: `max ${by(slo, 'instance')} (
  time() - (${series('saveOldestPending')} > 0)
) > ${STALLED_SECONDS}`,
      wait: 2 * MINUTE,
      summary: 'Message saves get no answer.',
      description:
        'The oldest pending save of instance {{ $labels.instance }} of job {{ $labels.job }} is {{ $value | humanizeDuration }} old.',
    },
    textUnknown(slo),
    unnamed(slo),
    {
      name: 'LastchunkCapturesCut',
      severity: 'info',
      expr: counted(slo, series('capturesCut'), HOUR, 'route'),
      summary: 'Answers were cut, because they are too large to be kept whole.',
      description:
        'Job {{ $labels.job }}, route {{ $labels.route }} cut {{ $value | printf "%.0f" }} answers in 1h, at maxBytes or at maxLiveBytes.',
    },
  ];
}

/** For services too quiet for a burn rate: two failures and no success are enough. */
function allFailing(slo: Slo): Alert {
  const span = slo.span(30 * MINUTE);
  const grown = (selected: string): string => `sum ${by(slo)} (increase(${selected}[${span}]))`;
  return {
    name: 'LastchunkSavesAllFailing',
    severity: 'critical',
    expr: `  (${grown(series('saves', { result: ['lost', 'missing'] }))} ${atLeast(2)})
unless
  (${grown(series('saves', { result: ['saved', 'journaled'] }))} > 0)`,
    wait: 5 * MINUTE,
    summary: 'Every message save fails.',
    description:
      'Job {{ $labels.job }} had {{ $value | printf "%.0f" }} failed message saves in 30m, and not one that succeeded.',
  };
}

/** Definite losses: a message is gone. A refused message can still be saved by a person, so only several of them raise a page. */
function lost(slo: Slo): Alert[] {
  const shared = { name: 'LastchunkMessagesLost', severity: 'critical' } as const;
  const span = 15 * MINUTE;
  return [
    {
      ...shared,
      expr: counted(slo, series('saves', { result: 'lost' }), span, 'route'),
      labels: { cause: 'lost' },
      summary: 'Messages were lost.',
      description:
        'Job {{ $labels.job }}, route {{ $labels.route }} lost {{ $value | printf "%.0f" }} messages in 15m.',
    },
    {
      ...shared,
      expr: counted(slo, series('savesRevised', { result: 'lost' }), span),
      labels: { cause: 'revision-lost' },
      summary: 'The ends of messages were lost.',
      description:
        'Job {{ $labels.job }} lost the ends of {{ $value | printf "%.0f" }} streams in 15m, which came after their messages had been saved.',
    },
    ...refused(slo, {
      expr: (count) =>
        countedAtLeast(count, slo, series('journalReplayed', { result: 'refused' }), span),
      labels: { cause: 'refused' },
      summary: 'The database refused messages.',
      description:
        'The database refused {{ $value | printf "%.0f" }} messages of job {{ $labels.job }} in 15m; they are in refused/ in the journal directory.',
    }),
    ...refused(slo, {
      expr: (count) =>
        countedAtLeast(count, slo, series('journalRecovered', { result: 'refused' }), span),
      labels: { cause: 'recovery-refused' },
      summary: 'The database refused messages of a dead process.',
      description:
        'The database refused {{ $value | printf "%.0f" }} messages that dead processes of job {{ $labels.job }} had left, in 15m; they are in refused/ in the journal directory.',
    }),
  ];
}

/** A few refused messages, each because of its content, are a warning; several at once mean that the database refuses: critical. */
function refused(
  { minFailures }: Slo,
  {
    expr,
    ...rest
  }: Pick<Alert, 'labels' | 'summary' | 'description'> & {
    readonly expr: (count: number) => string;
  },
): Alert[] {
  const name = 'LastchunkMessagesLost';
  return [
    { ...rest, name, severity: 'critical', expr: expr(minFailures) },
    { ...rest, name, severity: 'warning', expr: expr(1) },
  ];
}

/**
 * Messages that wait for the store are on a disk that is lost with the process, so the alert cannot wait for an hour as with a
 * lasting journal. A relay that answers has the messages too.
 */
function storeDown(slo: Slo): Alert {
  const mean = (key: 'storeUp' | 'relayUp'): string =>
    `min ${by(slo, 'instance')} (avg_over_time(${series(key)}[${slo.span(5 * MINUTE)}]))`;
  return {
    name: 'LastchunkStoreDown',
    severity: 'critical',
    expr: `  (${mean('storeUp')} < 0.5)
and ${ephemeral(slo)}
unless ${on(slo, 'instance')}
  (${mean('relayUp')} > 0.5)`,
    wait: 2 * MINUTE,
    summary:
      'The database is unavailable, and the messages that wait for it would be lost with the process.',
    description:
      'The store of instance {{ $labels.instance }} of job {{ $labels.job }} answered for {{ $value | humanizePercentage }} of the last 5m, and its journal is lost with the process.',
  };
}

/** Streams complete and no save is counted: no other alert shows this failure. A stream without a message counts as skipped. */
function outcomesMissing(slo: Slo): Alert {
  const span = slo.span(30 * MINUTE);
  const grown = (selected: string): string =>
    `sum ${by(slo, 'route')} (increase(${selected}[${span}]))`;
  return {
    name: 'LastchunkSaveOutcomesMissing',
    severity: 'critical',
    expr: `  (${grown(series('streamsEnded', { outcome: 'completed', guarded: 'true' }))} ${atLeast(3)})
unless
  (${grown(series('saves'))} > 0)
unless
  (${grown(series('savesSkipped'))} > 0)`,
    wait: 15 * MINUTE,
    summary: 'Streams end and no save is counted.',
    description:
      'Job {{ $labels.job }}, route {{ $labels.route }} completed {{ $value | printf "%.0f" }} guarded streams in 30m and counted no result of a save.',
  };
}

/** Counters of one process start together at 0, so they may be subtracted; a restart resets all of them at once. */
function mismatch(slo: Slo): Alert {
  const total = (selected: string): string => `sum ${by(slo, 'instance')} (${selected})`;
  const span = `${slo.span(10 * MINUTE)}:${slo.span(MINUTE)}`;
  const over = (fold: string): string => `${fold}_over_time(
  (
      ${total(series('savesExpected'))}
    - ${total(series('saves'))}
    - ${total(series('savesPending'))}
  )[${span}]
)`;
  return {
    name: 'LastchunkSaveAccountingMismatch',
    severity: 'warning',
    expr: `${over('min')} > 0\nor\n${over('max')} < 0`,
    wait: 5 * MINUTE,
    summary: 'Expected message saves and their results do not add up.',
    description:
      'Instance {{ $labels.instance }} of job {{ $labels.job }} has {{ $value }} more expected saves than results and pending saves.',
  };
}

function textUnknown(slo: Slo): Alert {
  return {
    name: 'LastchunkTextUnknown',
    severity: 'warning',
    expr: mostHave(slo, 'textUnknown'),
    wait: 10 * MINUTE,
    summary: 'Most answers of a route have parts that are not understood.',
    description:
      '{{ $value | humanizePercentage }} of the messages of job {{ $labels.job }}, route {{ $labels.route }} had payloads in 1h that their format does not know: they are kept, but their text may be empty.',
  };
}

/** A client can leave out its conversation as often as it likes; if most messages have none, the fault is in the app. */
function unnamed(slo: Slo): Alert {
  return {
    name: 'LastchunkMessagesUnnamed',
    severity: 'warning',
    expr: mostHave(slo, 'messagesUnnamed'),
    wait: 10 * MINUTE,
    summary: 'Most messages of a route are kept without a conversation.',
    description:
      '{{ $value | humanizePercentage }} of the messages of job {{ $labels.job }}, route {{ $labels.route }} had no conversation in 1h: message() threw or named none.',
  };
}

/** More than half of the messages of a route, and at least three. */
function mostHave(slo: Slo, metric: 'textUnknown' | 'messagesUnnamed'): string {
  const span = slo.span(HOUR);
  const grown = (selected: string): string =>
    `sum ${by(slo, 'route')} (increase(${selected}[${span}]))`;
  return `  ${grown(series(metric))}
/
  (${grown(series('savesExpected'))} > 0)
> 0.5
and
  ${grown(series(metric))} ${atLeast(3)}`;
}
