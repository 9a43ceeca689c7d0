/** Saves that no ratio would show. */
import type { Case } from './case.ts';
import { idle, onJournal, once, process, quiet, repeat, turns, type Samples } from './series.ts';

const LOST = 'LastchunkMessagesLost critical';
const REFUSED = 'LastchunkMessagesLost warning';
const STORE_DOWN = 'LastchunkStoreDown critical';
const SAVED = 'lastchunk_saves_total{result="saved"}';
const TIMELY = 'lastchunk_save_duration_seconds_bucket{le="2.5"}';
const ENDED = 'lastchunk_streams_ended_total{guarded="true",outcome="completed"}';
const ALL_FAILING = 'LastchunkSavesAllFailing critical';
const OUTCOMES = 'LastchunkSaveOutcomesMissing critical';
const MISMATCH = 'LastchunkSaveAccountingMismatch warning';
const STALLED = 'LastchunkSavesStalled critical';
const OLDEST = 'lastchunk_save_oldest_pending_timestamp_seconds';
const UNKNOWN = 'lastchunk_text_unknown_total{format="sse"}';

/** Two failures in forty minutes, and no success: too few for a burn rate. */
const twoFail = (result: string): Samples => ({
  [SAVED]: '0x900',
  [TIMELY]: '0x900',
  [`lastchunk_saves_total{result="${result}"}`]: '0x10 1x10 2x900',
});

const one = (title: string, key: string, firing: string): Case => ({
  name: title,
  series: process({ [key]: once(60) }),
  firing: { '59m': [], '1h1m': [firing], '1h13m': [firing], '1h20m': [] },
});

/** Nothing is counted any more from minute 60 on, while streams go on. */
const SILENT: Samples = {
  lastchunk_saves_expected_total: turns(60, 60, 0),
  [SAVED]: turns(60, 60, 0),
  [TIMELY]: turns(60, 60, 0),
};

const RELAY_NONE: Samples = { lastchunk_relay_up: '_x900', lastchunk_relay_lag_seconds: '_x900' };

export const saveCases: readonly Case[] = [
  {
    name: 'two missing saves and no success in a quiet service page',
    series: process(twoFail('missing'), idle()),
    firing: { '18m': [], '30m': [ALL_FAILING] },
  },
  {
    name: 'two lost saves and no success in a quiet service page',
    series: process(twoFail('lost'), idle()),
    firing: { '18m': [`${LOST} lost`], '30m': [ALL_FAILING, `${LOST} lost`] },
  },
  {
    name: 'two missing saves and one success fire nothing',
    series: process({ ...twoFail('missing'), [SAVED]: '0x12 1x900' }, idle()),
    firing: { '30m': [] },
  },
  {
    name: 'two missing saves and one journaled save fire nothing',
    series: process(
      { ...twoFail('missing'), 'lastchunk_saves_total{result="journaled"}': '0x12 1x900' },
      idle(),
    ),
    firing: { '30m': [] },
  },
  {
    name: 'one failure and nothing else fires nothing',
    series: process({ 'lastchunk_saves_total{result="missing"}': '0x10 1x900' }, idle()),
    firing: { '30m': [] },
  },
  one('a single lost message pages', 'lastchunk_saves_total{result="lost"}', `${LOST} lost`),
  one(
    'a single lost revision pages',
    'lastchunk_saves_revised_total{result="lost"}',
    `${LOST} revision-lost`,
  ),
  ...[
    ['lastchunk_journal_replayed_total', 'refused'],
    ['lastchunk_journal_recovered_total', 'recovery-refused'],
  ].flatMap(([metric, cause]): Case[] => [
    one(
      `a single message opens a ticket: ${cause}`,
      `${metric}{result="refused"}`,
      `${REFUSED} ${cause}`,
    ),
    {
      name: `two messages open a ticket: ${cause}`,
      series: process({ [`${metric}{result="refused"}`]: once(60, 2) }),
      firing: { '1h1m': [`${REFUSED} ${cause}`], '1h20m': [] },
    },
    {
      name: `three messages page: ${cause}`,
      series: process({ [`${metric}{result="refused"}`]: once(60, 3) }),
      firing: { '1h1m': [`${LOST} ${cause}`, `${REFUSED} ${cause}`], '1h20m': [] },
    },
  ]),
  {
    name: 'an unavailable database pages within minutes if the journal is lost with the process',
    series: process({ ...onJournal('overlay'), ...RELAY_NONE, lastchunk_store_up: '1x59 0x900' }),
    firing: { '1h2m': [], '1h8m': [STORE_DOWN] },
  },
  {
    name: 'an unavailable database pages within minutes if there is no journal',
    series: process({ ...onJournal('off'), ...RELAY_NONE, lastchunk_store_up: '1x59 0x900' }),
    firing: { '1h8m': [STORE_DOWN] },
  },
  {
    name: 'an unavailable database does not page if a relay answers',
    series: process({ ...onJournal('overlay'), lastchunk_store_up: '1x59 0x900' }),
    firing: { '1h8m': [], '1h30m': [] },
  },
  {
    name: 'an unavailable database does not page if the journal is permanent',
    series: process({ ...RELAY_NONE, lastchunk_store_up: '1x59 0x900' }),
    firing: { '1h8m': [], '1h30m': [] },
  },
  {
    name: 'a failover of two minutes does not page',
    series: process({ ...onJournal('tmpfs'), ...RELAY_NONE, lastchunk_store_up: '1x59 0x1 1x900' }),
    firing: { '1h3m': [], '1h8m': [] },
  },
  {
    name: 'a message that a new process loses before its first scrape pages',
    series: process({
      up: '_x60 1x900',
      process_start_time_seconds: '_x60 3590x900',
      'lastchunk_saves_total{result="lost"}': '_x60 1x900',
    }),
    firing: { '1h1m': [`${LOST} lost`], '1h20m': [] },
  },
  {
    name: 'missing, late and harmless results are not losses',
    series: process({
      'lastchunk_saves_total{result="missing"}': once(60),
      'lastchunk_saves_late_total{result="lost"}': once(60),
      'lastchunk_saves_revised_total{result="missing"}': once(60),
      'lastchunk_journal_replayed_total{result="saved"}': once(60),
      'lastchunk_journal_recovered_total{result="saved"}': once(60),
    }),
    firing: { '1h1m': [], '1h5m': [] },
  },
  one(
    'a single final frame that was released unconfirmed pages',
    'lastchunk_holds_total{released="unconfirmed"}',
    'LastchunkHoldsUnconfirmed critical',
  ),
  {
    name: 'final frames that were released for any other reason fire nothing',
    series: process({
      'lastchunk_holds_total{released="client-gone"}': once(60),
      'lastchunk_holds_total{released="journaled"}': once(60),
    }),
    firing: { '1h1m': [] },
  },
  {
    name: 'streams that end without any result of a save open a page',
    series: process(SILENT),
    firing: { '1h20m': [], '1h50m': [OUTCOMES] },
  },
  {
    name: 'streams without results page also if there never was a series of results',
    series: process(SILENT).filter(({ series }) => !/saves_(?:total|skipped)/.test(series)),
    firing: { '10m': [], '1h50m': [OUTCOMES] },
  },
  {
    name: 'streams of an unguarded route need no saves',
    series: process({
      ...SILENT,
      [ENDED]: turns(60, 60, 0),
      'lastchunk_streams_ended_total{guarded="false",outcome="completed"}': turns(60, 0, 60),
    }),
    firing: { '1h50m': [] },
  },
  {
    name: 'guarded streams that all failed fire other alerts',
    series: process({
      ...SILENT,
      [ENDED]: turns(60, 60, 0),
      'lastchunk_streams_ended_total{guarded="true",outcome="failed"}': turns(60, 0, 60),
    }),
    firing: { '1h50m': [] },
  },
  {
    name: 'a route of only empty streams needs no saves',
    series: process({
      ...SILENT,
      'lastchunk_saves_skipped_total{reason="empty"}': turns(60, 0, 60),
    }),
    firing: { '1h50m': [] },
  },
  {
    name: 'two streams without a result are too few to judge',
    series: process({ [ENDED]: '0x10 1x10 2x900' }, idle()),
    firing: { '40m': [] },
  },
  {
    name: 'an expected save without a result is a mismatch',
    series: process({ lastchunk_saves_expected_total: '0+60x59 3601+60x900' }),
    firing: { '1h8m': [], '1h17m': [MISMATCH] },
  },
  {
    name: 'a result without an expected save is a mismatch',
    series: process({
      [SAVED]: '0+60x59 3601+60x900',
      lastchunk_saves_expected_total: '0+60x900',
    }),
    firing: { '1h8m': [], '1h17m': [MISMATCH] },
  },
  {
    name: 'neither a pending save nor a restart is a mismatch',
    series: process({
      lastchunk_saves_expected_total: '0+60x59 1+60x900',
      [SAVED]: '0+60x59 0+60x900',
      lastchunk_saves_pending: '0x59 1x900',
      process_start_time_seconds: '0x59 3590x900',
    }),
    firing: { '1h17m': [], '1h30m': [] },
  },
  {
    name: 'a difference of a few minutes is not a mismatch',
    series: process({ lastchunk_saves_expected_total: '0+60x59 3601+60x6 3960+60x900' }),
    firing: { '1h5m': [], '1h17m': [] },
  },
  {
    name: 'a save that is pending for minutes is stalled',
    series: process({ [OLDEST]: '0x59 3600x900' }),
    firing: { '1h1m': [], '1h4m': [STALLED] },
  },
  {
    name: 'saves that are pending for fifteen seconds each are not stalled',
    series: process({ [OLDEST]: '-15+60x900' }),
    firing: { '1h': [], '1h5m': [] },
  },
  {
    name: 'a route with mostly unknown answers opens a ticket',
    series: process({ [UNKNOWN]: turns(60, 0, 40) }),
    firing: { '1h20m': [], '2h20m': ['LastchunkTextUnknown warning'] },
    every: 5,
  },
  {
    name: 'a route with four of ten answers unknown opens none',
    series: process({ [UNKNOWN]: '0+24x900' }),
    firing: { '2h': [] },
    every: 5,
  },
  {
    name: 'two unknown answers of two are too few to judge',
    series: process({ [UNKNOWN]: repeat(1, 35) }, quiet(1, 35)),
    firing: { '1h20m': [] },
  },
  {
    name: 'a route with messages mostly without a conversation opens a ticket',
    series: process({ lastchunk_messages_unnamed_total: turns(60, 0, 40) }),
    firing: { '1h20m': [], '2h20m': ['LastchunkMessagesUnnamed warning'] },
    every: 5,
  },
  {
    name: 'a route with every tenth message without a conversation opens none',
    series: process({ lastchunk_messages_unnamed_total: '0+6x900' }),
    firing: { '2h': [] },
    every: 5,
  },
  {
    name: 'an answer that was cut fires an info alert',
    series: process({ lastchunk_captures_cut_total: once(60) }),
    firing: { '55m': [], '1h5m': ['LastchunkCapturesCut info'], '2h5m': [] },
    every: 5,
  },
];
