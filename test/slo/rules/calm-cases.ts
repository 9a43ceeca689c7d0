/** What happens every day and wakes nobody. */
import type { Case } from './case.ts';
import { idle, process, quiet, repeat, type InputSeries } from './series.ts';

const BUDGET_LEFT = 'sum(job:lastchunk_save_error_budget_remaining:ratio{job="chat"})';
const ERROR_RATIO = 'sum(job:lastchunk_save_errors_per_save:ratio_rate5m{job="chat"})';

/** Traffic, an idle hour, traffic: minutes 0-60, 61-120, 121-180. */
const PAUSE = '0+60x60 3600x59 3600+60x60';

/** Restarted at every full hour: all counters of the process begin again. */
const HOURLY = Array.from({ length: 6 }, () => '0+60x59').join(' ');
const HOURLY_STARTS = Array.from({ length: 6 }, (_, hour) => `${hour * 3600}x59`).join(' ');

/** The series of one process that is there until, or from, a minute. */
function during(series: readonly InputSeries[], present: 'until' | 'from', minute: number) {
  return series.map(({ series: name, values }) => ({
    series: name,
    values: present === 'until' ? cut(values, minute) : `_x${minute} ${values}`,
  }));
}

function cut(values: string, minute: number): string {
  return values.replace(/x\d+$/, `x${minute}`);
}

const elsewhere = (series: readonly InputSeries[], instance: string): InputSeries[] =>
  series.map(({ series: name, values }) => ({ series: name.replace('a:1', instance), values }));

export const calmCases: readonly Case[] = [
  {
    name: 'a healthy service fires nothing for six hours',
    series: process(),
    firing: { '5m': [], '20m': [], '1h': [], '6h': [] },
    every: 5,
    values: [{ at: '6h', query: BUDGET_LEFT, value: 1 }],
  },
  {
    name: 'a service without any traffic fires nothing and records no ratio',
    series: process({}, idle()),
    firing: { '20m': [], '2h': [] },
    values: [
      { at: '2h', query: ERROR_RATIO, value: undefined },
      {
        at: '2h',
        query: 'sum(job:lastchunk_saves_untimely_per_save:ratio_rate1h{job="chat"})',
        value: undefined,
      },
      {
        at: '2h',
        query: 'sum(job:lastchunk_disconnects_per_stream:ratio_rate15m{job="chat"})',
        value: undefined,
      },
      {
        at: '2h',
        query: 'sum(job:lastchunk_noise_per_stream:ratio_rate15m{job="chat"})',
        value: undefined,
      },
    ],
  },
  {
    name: 'one answer in twenty minutes is service enough',
    series: process({}, quiet(1, 20)),
    firing: { '1h': [], '3h': [] },
  },
  {
    name: 'one missing save in a quiet hour opens no ticket and no page',
    series: process(
      {
        'lastchunk_saves_total{result="missing"}': `0x70 1x900`,
        'lastchunk_saves_total{result="saved"}': repeat(5, 6),
      },
      quiet(5, 6),
    ),
    firing: {
      '1h15m': [],
      '1h30m': [],
      '2h': [],
      '4h': ['LastchunkSaveErrorBudgetExhausted info'],
    },
  },
  {
    name: 'an idle hour neither uses budget nor changes its record',
    series: process(
      Object.fromEntries(
        [
          'lastchunk_streams_started_total',
          'lastchunk_streams_ended_total{guarded="true",outcome="completed"}',
          'lastchunk_saves_expected_total',
          'lastchunk_saves_total{result="saved"}',
          'lastchunk_save_duration_seconds_bucket{le="2.5"}',
        ].map((key) => [key, PAUSE]),
      ),
    ),
    firing: { '1h30m': [], '2h10m': [], '3h': [] },
    values: [
      { at: '1h30m', query: ERROR_RATIO, value: undefined },
      { at: '3h', query: BUDGET_LEFT, value: 1 },
      { at: '3h', query: ERROR_RATIO, value: 0 },
    ],
  },
  {
    name: 'a restart every hour fires nothing',
    series: process({
      process_start_time_seconds: HOURLY_STARTS,
      lastchunk_streams_started_total: HOURLY,
      'lastchunk_streams_ended_total{guarded="true",outcome="completed"}': HOURLY,
      lastchunk_saves_expected_total: HOURLY,
      'lastchunk_saves_total{result="saved"}': HOURLY,
      'lastchunk_save_duration_seconds_bucket{le="2.5"}': HOURLY,
    }),
    firing: { '1h5m': [], '1h20m': [], '3h5m': [], '5h50m': [] },
    every: 5,
  },
  {
    name: 'a deploy replaces an instance and fires nothing',
    series: [
      ...during(process(), 'until', 60),
      ...during(elsewhere(process({ process_start_time_seconds: `3540x400` }), 'b:1'), 'from', 59),
    ],
    firing: { '1h2m': [], '1h15m': [], '2h': [] },
  },
  {
    name: 'what was lost before a gap in scraping is not counted again after it',
    series: during(
      process({
        'lastchunk_saves_total{result="lost"}': `3x400`,
        lastchunk_saves_expected_total: '3+60x400',
        'lastchunk_journal_replayed_total{result="refused"}': `3x400`,
        lastchunk_journal_corrupt_records_total: `3x400`,
        'lastchunk_internal_errors_total{where="observer"}': `3x400`,
      }),
      'from',
      60,
    ),
    firing: { '59m': ['LastchunkMetricsAbsent warning'], '1h1m': [], '1h10m': [], '2h': [] },
    alone: true,
  },
];
