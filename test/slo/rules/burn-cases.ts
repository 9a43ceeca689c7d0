/** How fast the error budget goes: each bad result on its own, each pair of windows, and the near misses. */
import type { Case } from './case.ts';
import { process, quiet, repeat, turns, type Samples } from './series.ts';

const BURN = 'LastchunkSaveErrorBudgetBurn';
const QUICK = `${BURN} critical 1h`;
const SLOW = `${BURN} critical 6h`;
const TICKETS = [`${BURN} warning 1d`, `${BURN} warning 3d`];
const EXHAUSTED = 'LastchunkSaveErrorBudgetExhausted info';
const TIMELINESS = 'LastchunkSaveTimelinessBudgetBurn warning';
const LOST = 'LastchunkMessagesLost critical';

const MISSING = 'lastchunk_saves_total{result="missing"}';
const SAVED = 'lastchunk_saves_total{result="saved"}';
const TIMELY = 'lastchunk_save_duration_seconds_bucket{le="2.5"}';

/** `perMinute` of 60 saves become errors by `key`, from the start. */
function failing(key: string, perMinute: number): Samples {
  const instead = key.startsWith('lastchunk_saves_total');
  return {
    [key]: `0+${perMinute}x900`,
    ...(instead && { [SAVED]: `0+${60 - perMinute}x900` }),
  };
}

/** Saves that are neither lost nor in time: `perMinute` of 60. */
function slow(perMinute: number): Samples {
  return { [TIMELY]: `0+${60 - perMinute}x900` };
}

const alone = (key: string, ...beside: string[]): Case => ({
  name: `${key} alone burns the budget`,
  series: process(failing(key, 6)),
  firing: { '10m': [QUICK, ...beside], '40m': [QUICK, SLOW, ...beside] },
});

/** Many refused messages are also a few. */
const refused = (cause: string): string[] => [
  `${LOST} ${cause}`,
  `LastchunkMessagesLost warning ${cause}`,
];

export const burnCases: readonly Case[] = [
  {
    name: 'a total outage pages within four minutes, but not in the first one',
    series: process({ [SAVED]: turns(60, 60, 0), [MISSING]: turns(60, 0, 60) }),
    firing: { '1h1m': [], '1h5m': [QUICK] },
  },
  alone(MISSING),
  alone('lastchunk_saves_total{result="lost"}', `${LOST} lost`),
  alone('lastchunk_journal_replayed_total{result="refused"}', ...refused('refused')),
  alone('lastchunk_journal_recovered_total{result="refused"}', ...refused('recovery-refused')),
  alone('lastchunk_saves_revised_total{result="lost"}', `${LOST} revision-lost`),
  {
    name: 'good and harmless results use no budget',
    series: process({
      [SAVED]: '0+59x900',
      'lastchunk_saves_total{result="journaled"}': '0+1x900',
      [TIMELY]: '0+59x900',
      'lastchunk_journal_replayed_total{result="saved"}': '0+1x900',
      'lastchunk_journal_recovered_total{result="saved"}': '0+6x900',
      'lastchunk_saves_revised_total{result="saved"}': '0+6x900',
      'lastchunk_saves_late_total{result="lost"}': '0+6x900',
    }),
    firing: { '1h': [], '3h': [] },
  },
  {
    name: '0.8 % of errors page by the slow pair, not by the quick one',
    series: process(
      { [MISSING]: '0+8x900', [SAVED]: '0+992x900' },
      { ...quiet(1000, 1), [TIMELY]: '0+1000x900' },
    ),
    firing: { '15m': [], '40m': [SLOW], '1h30m': [SLOW, `${BURN} warning 1d`, EXHAUSTED] },
  },
  {
    name: '0.4 % of errors open two tickets and no page',
    series: process({ [MISSING]: '0+4x900', [SAVED]: '0+996x900' }, quiet(1000, 1)),
    firing: { '50m': [], '10h': [...TICKETS, EXHAUSTED] },
    every: 5,
  },
  {
    name: '0.2 % of errors open the slow ticket',
    series: process({ [MISSING]: '0+2x900', [SAVED]: '0+998x900' }, quiet(1000, 1)),
    firing: { '1h30m': [EXHAUSTED], '10h': [`${BURN} warning 3d`, EXHAUSTED] },
    every: 5,
  },
  {
    name: '0.05 % of errors are within the objective, and use half of the budget',
    series: process({ [MISSING]: '0+1x900', [SAVED]: '0+1999x900' }, quiet(2000, 1)),
    firing: { '2h': [], '10h': [] },
    every: 5,
    values: [
      {
        at: '10h',
        query: 'sum(job:lastchunk_save_error_budget_remaining:ratio{job="chat"}) > bool 0.49',
        value: 1,
      },
    ],
  },
  {
    name: 'the page ends soon after the failures do',
    series: process({
      [MISSING]: '0+6x30 180x900',
      [SAVED]: '0+54x30 1680+60x900',
    }),
    firing: {
      '30m': [QUICK, SLOW],
      '40m': [SLOW],
      '1h15m': ['LastchunkSaveErrorBudgetBurn warning 1d', EXHAUSTED],
    },
  },
  {
    name: 'two failures of fifty in a quiet hour open a ticket and no page',
    series: process({ [MISSING]: '0x63 1x10 2x900', [SAVED]: repeat(5, 6) }, quiet(5, 6)),
    firing: { '1h18m': [], '1h20m': [], '2h': [], '2h30m': [`${BURN} warning 1d`, EXHAUSTED] },
  },
  {
    name: 'a third failure of fifty in a quiet hour pages',
    series: process({ [MISSING]: '0x63 1x4 2x4 3x900', [SAVED]: repeat(5, 6) }, quiet(5, 6)),
    firing: { '1h17m': [QUICK] },
  },
  {
    name: 'a quarter of saves over 2.5 s opens a ticket for timeliness',
    series: process(slow(15)),
    firing: { '10m': [`${TIMELINESS} 1h`], '40m': [`${TIMELINESS} 1h`, `${TIMELINESS} 6h`] },
  },
  {
    name: 'a tenth of saves over 2.5 s opens a ticket for timeliness later',
    series: process(slow(6)),
    firing: { '10m': [], '40m': [`${TIMELINESS} 6h`] },
  },
  {
    name: 'one save of thirty over 2.5 s is within the objective of timeliness',
    series: process(slow(2)),
    firing: { '1h': [], '6h': [] },
    every: 5,
  },
  {
    name: 'nine slow saves in an hour are too few to judge',
    series: process({ [TIMELY]: '0x900' }, quiet(1, 12)),
    firing: { '1h27m': [], '1h30m': [] },
  },
];
