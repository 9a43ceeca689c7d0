/** The rows about the results of due messages, and about messages that no result shows. */
/* oxlint-disable max-lines-per-function -- tables of panels, which are no shorter in pieces */
import type { Panel, PanelRow } from './panel.ts';
import { routes } from './saves-routes.ts';
import { age, WINDOW, type Scope } from './scope.ts';

const HALF = { width: 12, height: 8 } as const;
const THIRD = { width: 8, height: 7 } as const;

export function savesRow(scope: Scope): PanelRow {
  const { quantile, buckets } = scope;
  return {
    id: 20,
    title: 'Saves',
    panels: [
      results(scope),
      storeErrors(scope),
      routes(scope),
      {
        ...THIRD,
        id: 23,
        kind: 'lines',
        title: 'Time until saved',
        shows:
          'Time from due to the commit. Only committed messages are in it. The dots are single saves and lead to their traces.',
        good: 'Below 2.5 s at p99: that is the bound of the timeliness objective.',
        action:
          'When all rise together look at the database and the pool; when p99 alone does, at locks and long statements.',
        alerts: ['LastchunkSaveTimelinessBudgetBurn'],
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => ({
          expr: quantile(q, 'saveDuration'),
          legend: `p${q * 100}`,
          ...(q === 0.99 && { exemplars: true }),
        })),
        steps: [{ colour: 'green' }, { from: 2.5, colour: 'red' }],
        noValue: 'no saves',
      },
      {
        ...THIRD,
        id: 24,
        kind: 'heatmap',
        title: 'Time until saved, all of them',
        shows: 'How many saves took how long.',
        good: 'One dark band at the bottom.',
        action: 'A second band is a second cause: a cold pool, a retry, a replica that is behind.',
        alerts: ['LastchunkSaveTimelinessBudgetBurn'],
        unit: 's',
        queries: [{ expr: buckets('saveDuration'), legend: '{{le}}' }],
        noValue: 'no saves',
      },
      holds(scope),
    ],
  };
}

function results({ rate }: Scope): Panel {
  return {
    ...HALF,
    id: 21,
    kind: 'stack',
    title: 'Saves by result',
    shows: 'Messages per second by their first result.',
    good: 'All green; amber while the database is away is the journal at work.',
    action: 'Red is a message that may be gone: the logs say which and why.',
    alerts: ['LastchunkMessagesLost', 'LastchunkSavesAllFailing'],
    unit: 'suffix:saves/s',
    min: 0,
    queries: [{ expr: rate('result', 'saves'), legend: '{{result}}' }],
    colours: { saved: 'green', journaled: 'orange', missing: 'red', lost: 'dark-red' },
    noValue: 'no saves',
  };
}

function holds({ rate, quantile }: Scope): Panel {
  return {
    ...THIRD,
    id: 25,
    kind: 'lines',
    title: 'Final frames held',
    shows:
      'Final frames per second by what released them, and on the right how long 99 of 100 were held.',
    good: 'Released by saved, after milliseconds.',
    action:
      'Unconfirmed means that a client was told "done" before its message was safe: read the runbook.',
    alerts: ['LastchunkHoldsUnconfirmed'],
    unit: 'suffix:frames/s',
    min: 0,
    queries: [
      { expr: rate('released', 'holds'), legend: '{{released}}' },
      { expr: quantile(0.99, 'holdDuration'), legend: 'p99 held', right: 's' },
    ],
    colours: {
      saved: 'green',
      journaled: 'orange',
      unconfirmed: 'red',
      'client-gone': 'gray',
      'p99 held': 'blue',
    },
    noValue: 'nothing held',
  };
}

function storeErrors({ rate }: Scope): Panel {
  return {
    ...HALF,
    id: 26,
    kind: 'stack',
    title: 'Writes to the store by error',
    shows: 'Attempts per second: none is a success, the others are SQLSTATEs and system errors.',
    good: 'Only none.',
    action:
      'Look the code up in appendix A of the PostgreSQL manual; each first one is in the log at error.',
    alerts: ['LastchunkJournalBacklogOld', 'LastchunkSaveTimelinessBudgetBurn'],
    unit: 'suffix:writes/s',
    min: 0,
    queries: [{ expr: `${rate('error_type', 'saveAttempts')} > 0`, legend: '{{error_type}}' }],
    colours: { none: 'green' },
    othersIn: 'red',
    noValue: 'no attempts',
  };
}

/** What the results alone do not show: messages that were not counted, not recognised or not whole. */
export function blindSpotsRow({ rate, select }: Scope): PanelRow {
  const total = (selected: string): string => `sum by (instance) (${selected})`;
  return {
    id: 40,
    title: 'Blind spots',
    panels: [
      {
        ...THIRD,
        id: 41,
        kind: 'lines',
        title: 'Unaccounted saves',
        shows: 'Messages that were due, have no result and are not pending, in each process.',
        good: '0 at every moment; nothing else is right.',
        action:
          'Anything else is a mistake of ours, or save code that was switched off: read the runbook.',
        alerts: ['LastchunkSaveAccountingMismatch'],
        unit: 'short',
        decimals: 0,
        queries: [
          {
            expr: `${total(select('savesExpected'))} - ${total(select('saves'))} - ${total(select('savesPending'))}`,
            legend: '{{instance}}',
          },
        ],
        noValue: 'no data',
      },
      {
        ...THIRD,
        id: 42,
        kind: 'lines',
        title: 'Guarded streams and their messages',
        shows:
          'Guarded streams that ended, messages that became due, and streams that left none, per second.',
        good: 'Ended is due and skipped together.',
        action: 'Streams that end without a message being due are not kept: read the runbook.',
        alerts: ['LastchunkSaveOutcomesMissing'],
        unit: 'suffix:streams/s',
        min: 0,
        queries: [
          { expr: rate('', 'streamsEnded', { guarded: 'true' }), legend: 'ended' },
          { expr: rate('', 'savesExpected'), legend: 'due' },
          { expr: rate('', 'savesSkipped'), legend: 'skipped' },
        ],
        noValue: 'no guarded streams',
      },
      {
        ...THIRD,
        id: 43,
        kind: 'lines',
        title: 'Pending saves',
        shows:
          'Messages whose save has no result yet, and on the right how long the oldest has waited.',
        good: 'A handful, for less than a second.',
        action: 'When the age grows, the store gives no answer at all.',
        alerts: ['LastchunkSavesStalled'],
        unit: 'short',
        min: 0,
        queries: [
          { expr: total(select('savesPending')), legend: '{{instance}}' },
          { expr: age(select('saveOldestPending')), legend: 'age {{instance}}', right: 's' },
        ],
        noValue: 'no data',
      },
      {
        ...THIRD,
        id: 44,
        kind: 'lines',
        title: 'Nothing to keep',
        shows:
          'Streams per second that left no message: empty ones, and those that the policy discards.',
        good: 'As many as you expect; usually none.',
        action:
          'When empty rises, see whether the model still answers in the format that it used to.',
        alerts: ['LastchunkSaveOutcomesMissing'],
        unit: 'suffix:streams/s',
        min: 0,
        queries: [{ expr: rate('reason', 'savesSkipped'), legend: '{{reason}}' }],
        noValue: 'no data',
      },
      {
        ...THIRD,
        id: 45,
        kind: 'lines',
        title: 'Kept, but not understood, not whole or nobody’s',
        shows:
          'Messages per second with parts that their format does not know, those cut at maxBytes or maxLiveBytes, and those without a conversation.',
        good: '0.',
        action:
          'Unknown parts are kept in the column events; look what they are. For cut ones raise maxBytes. Without a conversation: see message().',
        alerts: ['LastchunkTextUnknown', 'LastchunkCapturesCut', 'LastchunkMessagesUnnamed'],
        unit: 'suffix:messages/s',
        min: 0,
        queries: [
          { expr: rate('', 'textUnknown'), legend: 'not understood' },
          { expr: rate('', 'capturesCut'), legend: 'cut' },
          { expr: rate('', 'messagesUnnamed'), legend: 'without a conversation' },
        ],
        noValue: 'no data',
      },
      {
        ...THIRD,
        id: 46,
        kind: 'lines',
        title: 'Internal errors',
        shows: 'Failures inside lastchunk, by where they happened.',
        good: '0.',
        action:
          'Each has a log line with the error; it is a mistake in lastchunk or in an option that you gave it.',
        alerts: ['LastchunkInternalErrors'],
        unit: 'short',
        decimals: 0,
        min: 0,
        queries: [
          {
            expr: `sum by (where) (round(increase(${select('internalErrors')}${WINDOW})))`,
            legend: '{{where}}',
          },
        ],
        noValue: 'no data',
      },
    ],
  };
}
