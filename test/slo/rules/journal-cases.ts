/** The journal: messages wait in it, or it cannot take any. */
import type { Case } from './case.ts';
import { onJournal, once, process, turns } from './series.ts';

const BACKLOG = 'LastchunkJournalBacklogOld';
const FILLING = 'LastchunkJournalFillingUp critical';
const DEGRADED = 'LastchunkJournalDegraded warning degraded';
const FLAPPING = 'LastchunkJournalDegraded warning flapping';
const LAGGING = 'LastchunkRelayLagging warning';
const OLDEST = 'lastchunk_journal_oldest_entry_timestamp_seconds';
const BYTES = 'lastchunk_journal_bytes';
const TIMELINESS = 'LastchunkSaveTimelinessBudgetBurn warning';

export const journalCases: readonly Case[] = [
  {
    name: 'a message that waits for ten minutes opens a ticket, and for more than an hour a page',
    series: process({ [OLDEST]: '0x59 3600x900' }),
    firing: {
      '1h8m': [],
      '1h12m': [`${BACKLOG} warning`],
      '2h10m': [`${BACKLOG} warning`, `${BACKLOG} critical`],
    },
    every: 2,
  },
  {
    name: 'messages that wait for four minutes each fire nothing',
    series: process({ [OLDEST]: '0x9 360+60x900' }),
    firing: { '30m': [], '2h': [] },
    every: 2,
  },
  {
    name: 'a database that is down delays every message and loses none: no alert of losses',
    series: process({
      'lastchunk_saves_total{result="saved"}': turns(60, 60, 0),
      'lastchunk_saves_total{result="journaled"}': turns(60, 0, 60),
      'lastchunk_save_duration_seconds_bucket{le="2.5"}': turns(60, 60, 0),
      'lastchunk_holds_total{released="saved"}': turns(60, 60, 0),
      'lastchunk_holds_total{released="journaled"}': turns(60, 0, 60),
      [OLDEST]: '0x59 3600x900',
      [BYTES]: '1000x59 1000+3500x900',
    }),
    firing: {
      '1h4m': [],
      '1h30m': [`${TIMELINESS} 1h`, `${TIMELINESS} 6h`, `${BACKLOG} warning`],
      // A fifth is full after an hour, and the line ends above the bound.
      '2h30m': [
        `${TIMELINESS} 1h`,
        `${TIMELINESS} 6h`,
        `${BACKLOG} warning`,
        `${BACKLOG} critical`,
        FILLING,
      ],
    },
    every: 2,
  },
  {
    name: 'a journal that is over four fifths full pages',
    series: process({ [BYTES]: '100000x59 850000x900' }),
    firing: { '1h8m': [], '1h45m': [FILLING] },
  },
  {
    name: 'a journal that is three quarters full, without growth, fires nothing',
    series: process({ [BYTES]: '750000x900' }),
    firing: { '1h': [] },
  },
  {
    name: 'a journal that is a third full, and full within four hours, pages',
    series: process({ [BYTES]: '330000+4000x900' }),
    firing: { '5m': [], '30m': [FILLING] },
  },
  {
    name: 'a journal that is a tenth full and grows as fast fires nothing',
    series: process({ [BYTES]: '50000+4000x30 170000x900' }),
    firing: { '28m': [], '1h': [] },
  },
  {
    name: 'a journal with an unknown bound cannot be full',
    series: process({ [BYTES]: '1000x900', lastchunk_journal_capacity_bytes: '0x900' }),
    firing: { '1h': [] },
    values: [{ at: '1h', query: 'count(ALERTS{job="chat"})', value: undefined }],
  },
  {
    name: 'a journal that stays degraded opens a ticket',
    series: process({ lastchunk_journal_degraded: '0x59 1x900' }),
    firing: { '1h2m': [], '1h10m': [DEGRADED] },
  },
  {
    name: 'a journal that is degraded half of the time opens a ticket',
    series: process({ lastchunk_journal_degraded: `0x59 ${'1 0 '.repeat(100).trim()}` }),
    firing: { '1h10m': [DEGRADED, FLAPPING] },
  },
  {
    name: 'a disk that is full for a minute, three times in half an hour, opens a ticket',
    series: process({ lastchunk_journal_degraded: '0x59 1 0x9 1 0x9 1 0x900' }),
    firing: { '1h19m': [], '1h25m': [FLAPPING], '2h': [] },
  },
  {
    name: 'a disk that is full for a minute, twice in half an hour, opens none',
    series: process({ lastchunk_journal_degraded: '0x59 1 0x9 1 0x900' }),
    firing: { '1h15m': [], '1h25m': [] },
  },
  {
    name: 'a journal that was degraded for two minutes opens none',
    series: process({ lastchunk_journal_degraded: '0x59 1x1 0x900' }),
    firing: { '1h3m': [], '1h10m': [] },
  },
  {
    name: 'a damaged record opens a ticket',
    series: process({ lastchunk_journal_corrupt_records_total: once(60) }),
    firing: { '59m': [], '1h1m': ['LastchunkJournalCorrupt warning'], '1h20m': [] },
  },
  {
    name: 'a damaged record that a new process finds before its first scrape opens a ticket',
    series: process({
      up: '_x60 1x900',
      process_start_time_seconds: '_x60 3590x900',
      lastchunk_journal_corrupt_records_total: '_x60 1x900',
    }),
    firing: { '1h1m': ['LastchunkJournalCorrupt warning'], '1h20m': [] },
  },
  {
    name: 'a relay that stays unavailable opens a ticket',
    series: process({ lastchunk_relay_up: '1x59 0x900' }),
    firing: { '1h1m': [], '1h10m': ['LastchunkRelayDown warning'] },
  },
  ...['overlay', 'tmpfs', 'none', 'off'].map((journal): Case => ({
    name: `an unavailable relay pages if nothing else outlives the process: ${journal}`,
    series: process({ ...onJournal(journal), lastchunk_relay_up: '1x59 0x900' }),
    firing: { '1h1m': [], '1h10m': ['LastchunkRelayDown critical'] },
  })),
  {
    name: 'a relay that stays a quarter of a minute behind opens a ticket',
    series: process({ lastchunk_relay_lag_seconds: '0x59 15x900' }),
    firing: { '1h8m': [], '1h12m': [LAGGING] },
  },
  {
    name: 'a relay that catches up from time to time opens none',
    series: process({ lastchunk_relay_lag_seconds: `0x59 ${'15 15 0 '.repeat(60).trim()}` }),
    firing: { '1h20m': [], '2h': [] },
  },
  {
    name: 'a relay that is a second behind opens none',
    series: process({ lastchunk_relay_lag_seconds: '1x900' }),
    firing: { '1h': [] },
  },
  {
    name: 'an unavailable relay fires no second alert for being behind',
    series: process({
      lastchunk_relay_up: '1x59 0x900',
      lastchunk_relay_lag_seconds: '0x59 60+60x900',
    }),
    firing: { '1h20m': ['LastchunkRelayDown warning'] },
  },
  {
    name: 'a relay that was unavailable for two minutes opens none',
    series: process({ lastchunk_relay_up: '1x59 0x1 1x900' }),
    firing: { '1h3m': [], '1h10m': [] },
  },
  {
    name: 'a process without a relay has no unavailable relay',
    series: process({ lastchunk_relay_up: '_x900' }),
    firing: { '1h': [] },
  },
];
