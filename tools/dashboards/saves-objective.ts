/** The row of the objective: how much of the error budget is left, and how fast it is used. */
/* oxlint-disable max-lines-per-function -- tables of panels, which are no shorter in pieces */
import { DAY, HOUR, MINUTE, spell } from '../../src/slo/duration.ts';
import { RECORDS } from '../../src/slo/records.ts';
import { BURN_WINDOWS, burnBounds, burnFactor, percentage } from '../../src/slo/windows.ts';
import type { Panel, PanelRow, Step } from './panel.ts';
import { age, RANGE, WINDOW, type Scope } from './scope.ts';

export function durabilityRow(scope: Scope): PanelRow {
  return {
    id: 1,
    title: 'Objective',
    panels: [...numbers(scope), firing(scope), burnRate(scope), budgetOverTime(scope)],
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
      title: `Budget left, ${spell(slo.periodSeconds)}`,
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
      title: 'Saves kept',
      shows: 'The share of due messages in the time range that are in the database or the journal.',
      good: `At least ${objective}.`,
      action: 'Below, look at the results and at the failing routes.',
      unit: 'percentunit',
      decimals: 3,
      queries: [
        {
          expr: `1 - sum(rate(${select('saves', { result: ['lost', 'missing'] })}${RANGE})) / (sum(rate(${select('saves')}${RANGE})) > 0)`,
          legend: 'kept',
        },
      ],
      steps: [{ colour: 'red' }, { from: slo.objective, colour: 'green' }],
      noValue: 'no saves',
    },
    {
      ...SMALL,
      id: 5,
      title: 'Lost',
      shows:
        'Messages in the time range that neither database nor journal took, or that the database refused.',
      good: '0, always.',
      action: 'Each is one answer of one person: the log line at error has its id and the reason.',
      alerts: ['LastchunkMessagesLost'],
      unit: 'short',
      decimals: 0,
      queries: [{ expr: lost.join(' + '), legend: 'lost' }],
      steps: NOTHING_BAD,
      noValue: 'no data',
    },
    ...store(scope),
    {
      ...SMALL,
      id: 6,
      title: 'Oldest waiting',
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
      id: 14,
      title: 'Journal state',
      shows:
        'Whether the journal of every instance can be relied on; one that cannot is full, read-only, slow or failing.',
      good: 'Well.',
      action:
        'Degraded, streams are in memory only: look at the disk; the log says what it answered.',
      alerts: ['LastchunkJournalDegraded'],
      unit: 'short',
      decimals: 0,
      queries: [{ expr: `max(${select('journalDegraded')})`, legend: 'journal' }],
      words: { 0: 'well', 1: 'degraded' },
      steps: NOTHING_BAD,
      noValue: 'none',
    },
    {
      ...SMALL,
      id: 7,
      title: 'Alerts',
      shows: 'How many alerts of lastchunk fire now, of every severity.',
      good: '0.',
      action: 'They are listed below, each with its runbook.',
      unit: 'short',
      decimals: 0,
      queries: [{ expr: `count(${alertsBy(scope.firing())}) or vector(0)`, legend: 'firing' }],
      steps: NOTHING_BAD,
      noValue: 'no data',
    },
  ];
}

/** Whether the store answers, and its most frequent error. */
function store({ select }: Scope): Panel[] {
  const attempts = (selected: string): string =>
    `sum by (error_type) (increase(${selected}${WINDOW}))`;
  return [
    {
      ...SMALL,
      id: 11,
      title: 'Store',
      shows:
        'Whether the store answered the last call of each instance, and whether saves pause because it does not (the circuit is open); the worst counts.',
      good: 'Answers.',
      action:
        'Otherwise messages wait in the journal, or in memory without one: look at the database.',
      alerts: ['LastchunkStoreDown', 'LastchunkJournalBacklogOld'],
      unit: 'short',
      decimals: 0,
      queries: [
        { expr: `max(1 - ${select('storeUp')} + ${select('circuitOpen')})`, legend: 'state' },
      ],
      words: { 0: 'answers', 1: 'away', 2: 'paused' },
      steps: NOTHING_BAD,
      noValue: 'not known',
    },
    {
      ...SMALL,
      id: 13,
      title: 'Store error',
      shows: 'The SQLSTATE or system error that most attempts to save ended with just now.',
      good: 'None.',
      action:
        'ECONNREFUSED, ETIMEDOUT and ENOTFOUND are the way to the database; five characters are its own answer, in appendix A of the PostgreSQL manual.',
      alerts: ['LastchunkStoreDown', 'LastchunkJournalBacklogOld'],
      unit: 'short',
      queries: [
        {
          expr: `topk(1, (${attempts(select('saveAttempts'))} > 0) unless ${attempts(select('saveAttempts', { error_type: 'none' }))})`,
          legend: '{{error_type}}',
          emptyBecause: 'no attempt failed',
        },
      ],
      showsName: true,
      steps: [{ colour: 'green' }, { from: 0.000001, colour: 'red' }],
      noValue: 'none',
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

/** The labels by which a reader distinguishes alerts; one may fire for several windows at once. */
const ALERT_LABELS = 'alertname, severity, job, instance, route';

function alertsBy(alerts: string): string {
  return `group by (${ALERT_LABELS}) (${alerts})`;
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
        // Its value is when the alert became active, in seconds; Grafana's dates are in milliseconds. Of several the earliest is used.
        expr: `1000 * min by (${ALERT_LABELS}, runbook) (label_replace(${since} and ignoring (alertstate) ${alerts()}, "runbook", "$1", "alertname", "(.+)"))`,
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
