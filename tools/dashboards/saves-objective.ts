/** The row of the objective: how much may still fail, and how fast it goes. */
/* oxlint-disable max-lines-per-function -- tables of panels, which are no shorter in pieces */
import { DAY, HOUR, MINUTE, spell } from '../../src/slo/duration.ts';
import { RECORDS } from '../../src/slo/records.ts';
import { BURN_WINDOWS, burnBounds, burnFactor, percentage } from '../../src/slo/windows.ts';
import type { Panel, PanelRow, Step } from './panel.ts';
import { age, RANGE, type Scope } from './scope.ts';

export function durabilityRow(scope: Scope): PanelRow {
  return {
    id: 1,
    title: 'Objective',
    panels: [...numbers(scope), burnRate(scope), budgetOverTime(scope), firing(scope)],
  };
}

const SMALL = { kind: 'stat', width: 3, height: 4 } as const;
const NOTHING_BAD: readonly Step[] = [{ colour: 'green' }, { from: 1, colour: 'red' }];

function numbers(scope: Scope): Panel[] {
  const { slo, recorded, select } = scope;
  const objective = percentage(slo.objective);
  const lost = [
    select('saves', { result: 'lost' }),
    select('savesRevised', { result: 'lost' }),
    select('journalReplayed', { result: 'refused' }),
    select('journalRecovered', { result: 'refused' }),
  ].map((selected) => `sum(round(increase(${selected}${RANGE})))`);
  return [
    {
      ...SMALL,
      id: 2,
      title: `Error budget left, ${spell(slo.periodSeconds)}`,
      shows: `The share of the failures that the objective of ${objective} allows and that have not happened yet; the worst job counts.`,
      good: 'Above 25 %.',
      action: 'Below, put what fails saves before new features; below 0 the objective is missed.',
      alerts: ['LastchunkSaveErrorBudgetExhausted'],
      unit: 'percentunit',
      decimals: 1,
      queries: [{ expr: `min(${recorded(RECORDS.budgetRemaining)})`, legend: 'left' }],
      steps: [{ colour: 'red' }, { from: 0, colour: 'orange' }, { from: 0.25, colour: 'green' }],
      noValue: 'no traffic yet',
    },
    {
      ...SMALL,
      id: 3,
      title: 'Saves that worked',
      shows: 'The share of due messages in the time range that are in the database or the journal.',
      good: `At least ${objective}.`,
      action: 'Below, look at the results and at the failing routes.',
      unit: 'percentunit',
      decimals: 3,
      queries: [
        {
          expr: `1 - sum(rate(${select('saves', { result: ['lost', 'missing'] })}${RANGE})) / (sum(rate(${select('saves')}${RANGE})) > 0)`,
          legend: 'worked',
        },
      ],
      steps: [{ colour: 'red' }, { from: slo.objective, colour: 'green' }],
      noValue: 'no saves',
    },
    {
      ...SMALL,
      id: 4,
      title: 'Burn rate, 1h',
      shows: 'How many times faster than evenly the error budget went in the last hour.',
      good: 'Below 1: at this pace the budget lasts.',
      action: `Above ${burnFactor(BURN_WINDOWS.pageQuick, slo.periodSeconds)} somebody is paged: find the failing result below.`,
      alerts: ['LastchunkSaveErrorBudgetBurn'],
      unit: 'short',
      decimals: 2,
      queries: [
        {
          expr: `max(${recorded(RECORDS.errorRatio(HOUR))}) / (1 - ${slo.objective})`,
          legend: 'burn rate',
        },
      ],
      steps: burnSteps(scope),
      noValue: 'no traffic',
    },
    {
      ...SMALL,
      id: 5,
      title: 'Messages lost',
      shows: 'Messages in the time range that nobody took, or that the database refused.',
      good: '0, always.',
      action: 'Each is one answer of one person: the log line at error has its id and the reason.',
      alerts: ['LastchunkMessagesLost'],
      unit: 'short',
      decimals: 0,
      queries: [{ expr: lost.join(' + '), legend: 'lost' }],
      steps: NOTHING_BAD,
      noValue: 'no data',
    },
    {
      ...SMALL,
      id: 11,
      title: 'Store answers',
      shows: 'Whether the store answered the last call of each instance; the worst counts.',
      good: '1.',
      action: 'At 0 messages wait in the journal, or in memory without one: look at the database.',
      alerts: ['LastchunkStoreDown', 'LastchunkJournalBacklogOld'],
      unit: 'short',
      decimals: 0,
      queries: [{ expr: `min(${select('storeUp')})`, legend: 'answers' }],
      steps: [{ colour: 'red' }, { from: 1, colour: 'green' }],
      noValue: 'not known',
    },
    {
      ...SMALL,
      id: 12,
      title: 'Circuit open',
      shows: 'How many instances take the store to be away and try it with growing pauses.',
      good: '0.',
      action: 'Saves go on by themselves once the store answers; until then see the store.',
      alerts: ['LastchunkJournalBacklogOld'],
      unit: 'short',
      decimals: 0,
      queries: [{ expr: `sum(${select('circuitOpen')})`, legend: 'open' }],
      steps: NOTHING_BAD,
      noValue: 'no data',
    },
    {
      ...SMALL,
      id: 6,
      title: 'Oldest in the journal',
      shows: 'How long the oldest message on disk has been waiting for the database.',
      good: '0 s, or a few seconds after the database was away.',
      action:
        'When it grows, the database does not take messages: look at the pool and at the errors of the store.',
      alerts: ['LastchunkJournalBacklogOld'],
      unit: 's',
      decimals: 0,
      queries: [{ expr: `max(${age(select('journalOldestEntry'))})`, legend: 'age' }],
      steps: [
        { colour: 'green' },
        { from: 5 * MINUTE, colour: 'orange' },
        { from: HOUR, colour: 'red' },
      ],
      noValue: 'no data',
    },
    {
      ...SMALL,
      id: 7,
      title: 'Alerts that fire',
      shows: 'How many alerts of lastchunk fire now, of every severity.',
      good: '0.',
      action: 'They are listed below, each with its runbook.',
      unit: 'short',
      decimals: 0,
      queries: [{ expr: `count(${scope.firing()}) or vector(0)`, legend: 'firing' }],
      steps: NOTHING_BAD,
      noValue: 'no data',
    },
  ];
}

function burnRate({ slo, recorded }: Scope): Panel {
  const of = (span: number): string => `max(${recorded(RECORDS.errorRatio(span))})`;
  return {
    id: 8,
    kind: 'lines',
    title: 'Burn rate',
    shows: `The burn rate over short and long spans. An alert comes when a long span and its short one are both over the bound: ${burnBounds(slo.periodSeconds)}.`,
    good: 'All lines near 0.',
    action: 'A short line that is high alone is over by itself; when the long ones follow, act.',
    alerts: ['LastchunkSaveErrorBudgetBurn'],
    unit: 'short',
    min: 0,
    width: 12,
    height: 8,
    queries: [5 * MINUTE, HOUR, 6 * HOUR, 3 * DAY].map((span) => ({
      expr: `${of(span)} / (1 - ${slo.objective})`,
      legend: spell(span),
    })),
    steps: burnSteps({ slo }),
    noValue: 'no traffic',
  };
}

/** The bounds of the alerts, the lowest first. */
function burnSteps({ slo }: Pick<Scope, 'slo'>): Step[] {
  const bound = (name: keyof typeof BURN_WINDOWS): number =>
    burnFactor(BURN_WINDOWS[name], slo.periodSeconds);
  return [
    { colour: 'green' },
    { from: bound('ticketSlow'), colour: 'yellow' },
    { from: bound('pageSlow'), colour: 'orange' },
    { from: bound('pageQuick'), colour: 'red' },
  ];
}

function budgetOverTime({ slo, recorded }: Scope): Panel {
  return {
    id: 9,
    kind: 'lines',
    title: 'Error budget left over time',
    shows: `The budget of ${spell(slo.periodSeconds)} as it stood at each moment, for each job.`,
    good: 'Flat, or rising as old failures leave the window.',
    action:
      'A step down is an incident: the annotations say whether somebody deployed just before.',
    alerts: ['LastchunkSaveErrorBudgetExhausted'],
    unit: 'percentunit',
    max: 1,
    width: 12,
    height: 8,
    queries: [
      {
        expr: recorded(RECORDS.budgetRemaining),
        legend: slo.by.map((label) => `{{${label}}}`).join(' '),
      },
    ],
    steps: [{ colour: 'red' }, { from: 0, colour: 'orange' }, { from: 0.25, colour: 'green' }],
    noValue: 'no traffic yet',
  };
}

function firing({ firing: alerts }: Scope): Panel {
  const since = alerts()
    .replace(/^ALERTS/, 'ALERTS_FOR_STATE')
    .replace('alertstate="firing", ', '');
  return {
    id: 10,
    kind: 'table',
    title: 'Alerts that fire, with their runbooks',
    shows:
      'Each alert of lastchunk that fires now, since when and how bad; the column runbook leads to what to do.',
    good: 'Empty.',
    action: 'Open the runbook, the critical ones first.',
    unit: 'dateTimeFromNow',
    width: 24,
    height: 5,
    queries: [
      {
        // Its value is when the alert became active, in seconds; Grafana's dates are in milliseconds. The first of several counts.
        expr: `1000 * min by (alertname, severity, job, instance, route, runbook) (label_replace(${since} and ignoring (alertstate) ${alerts()}, "runbook", "$1", "alertname", "(.+)"))`,
        legend: '{{alertname}}',
        emptyBecause: 'no alert fires',
      },
    ],
    columns: [
      { field: 'alertname', title: 'alert' },
      { field: 'severity', title: 'severity' },
      { field: 'Value', title: 'since' },
      { field: 'job', title: 'job' },
      { field: 'instance', title: 'instance' },
      { field: 'route', title: 'route' },
      { field: 'runbook', title: 'runbook', runbook: true },
    ],
    noValue: 'No alert fires.',
  };
}
