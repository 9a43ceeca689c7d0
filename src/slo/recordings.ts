/**
 * The recorded series. Every denominator is restricted by `> 0`: an hour without traffic records nothing. 0 / 0 would
 * record NaN, and with one NaN every sum over the month would be NaN.
 */
import { DAY, MINUTE } from './duration.ts';
import { by } from './promql.ts';
import { RECORDS } from './records.ts';
import type { RecordingRule, RuleGroup } from './rule.ts';
import { bucket, series } from './selector.ts';
import type { Slo } from './settings.ts';
import { BURN_WINDOWS } from './windows.ts';

/** A save is timely when its message was committed within this many seconds. A bucket of the histogram. */
export const TIMELY_SECONDS = 2.5;

/** The span of the usual rate, and the recent span that is compared with it. */
export const USUAL = DAY;
export const RECENT = 15 * MINUTE;

/** The groups of recorded series. */
export function recordingGroups(slo: Slo): RuleGroup<RecordingRule>[] {
  const interval = slo.span(30);
  const saves = [
    ...spansOf(Object.values(BURN_WINDOWS)).flatMap((span) => durability(slo, span)),
    ...spansOf(TIMELINESS_WINDOWS).map((span) => timeliness(slo, span)),
  ];
  return [
    { name: 'lastchunk-saves-sli.rules', interval, rules: saves },
    { name: 'lastchunk-saves-budget.rules', interval: slo.span(5 * MINUTE), rules: budget(slo) },
    { name: 'lastchunk-stream.rules', interval, rules: [...disconnects(slo), ...noise(slo)] },
  ];
}

/** The windows of the pages, used for tickets: slow saves can wait for working hours. */
export const TIMELINESS_WINDOWS = [BURN_WINDOWS.pageQuick, BURN_WINDOWS.pageSlow] as const;

function spansOf(windows: readonly { readonly long: number; readonly short: number }[]): number[] {
  const all = windows.flatMap(({ long, short }) => [long, short]);
  return [...new Set(all)].toSorted((a, b) => a - b);
}

/**
 * The errors of the objective: each means that a message is lost, or may be. Messages that the store refuses in a replay,
 * and revisions that are lost, count too, although their message was counted as journaled or saved before.
 */
function durability(slo: Slo, span: number): RecordingRule[] {
  const total = RECORDS.saves(span);
  const rate = (selected: string): string =>
    `sum ${by(slo)} (rate(${selected}[${slo.span(span)}]))`;
  const [first, ...others] = ERRORS.map((selected) => `(${rate(selected)} or 0 * ${total})`);
  return [
    { record: total, expr: rate(series('saves')) },
    { record: RECORDS.errors(span), expr: [first, ...others.map((one) => `+ ${one}`)].join('\n') },
    {
      record: RECORDS.errorRatio(span),
      expr: `  ${RECORDS.errors(span)}\n/\n  (${total} > 0)`,
    },
  ];
}

const ERRORS = [
  series('saves', { result: ['lost', 'missing'] }),
  series('journalReplayed', { result: 'refused' }),
  series('journalRecovered', { result: 'refused' }),
  series('savesRevised', { result: 'lost' }),
];

/** Slow, journaled and lost saves are all not timely: only a commit is observed in the histogram. */
function timeliness(slo: Slo, span: number): RecordingRule {
  const total = RECORDS.saves(span);
  const timely = `rate(${bucket('saveDuration', TIMELY_SECONDS)}[${slo.span(span)}])`;
  return {
    record: RECORDS.untimelyRatio(span),
    expr: `1 - (
    (sum ${by(slo)} (${timely}) or 0 * ${total})
  /
    (${total} > 0)
)`,
  };
}

/** The budget of the whole period, in events, not in time: an idle night neither spends nor earns any. */
function budget(slo: Slo): RecordingRule[] {
  const period = slo.periodSeconds;
  const short = BURN_WINDOWS.pageQuick.short;
  const summed = (record: string): string => `sum_over_time(${record}[${slo.span(period)}])`;
  return [
    {
      record: RECORDS.errorRatio(period),
      expr: `  ${summed(RECORDS.errors(short))}\n/\n  (${summed(RECORDS.saves(short))} > 0)`,
    },
    {
      record: RECORDS.budgetRemaining,
      expr: `1 - ${RECORDS.errorRatio(period)} / (1 - ${slo.objective})`,
    },
  ];
}

function disconnects(slo: Slo): RecordingRule[] {
  const left = series('streamsEnded', { outcome: 'disconnected' });
  const names = { rate: RECORDS.disconnects, ratio: RECORDS.disconnectRatio };
  return perStream(slo, left, names);
}

function noise(slo: Slo): RecordingRule[] {
  return perStream(slo, series('noise'), { rate: RECORDS.noise, ratio: RECORDS.noiseRatio });
}

/** Events for each stream that ended: in the recent span, and in the day before it. */
function perStream(
  slo: Slo,
  selected: string,
  names: { readonly rate: (span: number) => string; readonly ratio: (span: number) => string },
): RecordingRule[] {
  const [recent, usual] = [slo.span(RECENT), slo.span(USUAL)];
  const ended = series('streamsEnded');
  const rate = (what: string, span: string): string => `sum ${by(slo)} (rate(${what}[${span}]))`;
  const before = (what: string): string =>
    `sum ${by(slo)} (rate(${what}[${usual}] offset ${recent}))`;
  return [
    {
      record: names.rate(RECENT),
      expr: `${rate(selected, recent)} or 0 * ${rate(ended, recent)}`,
    },
    {
      record: names.ratio(RECENT),
      expr: `  ${names.rate(RECENT)}\n/\n  (${rate(ended, recent)} > 0)`,
    },
    {
      record: names.ratio(USUAL),
      expr: `  (${before(selected)} or 0 * ${before(ended)})\n/\n  (${before(ended)} > 0)`,
    },
  ];
}
