/** The rows about the parts that keep messages: the journal on disk, the relay, and the database with its pools. */
/* oxlint-disable max-lines-per-function -- tables of panels, which are no shorter in pieces */
import type { PanelRow } from './panel.ts';
import type { Scope } from './scope.ts';

const THIRD = { kind: 'lines', width: 8, height: 7 } as const;

export function journalRow({ rate, quantile, select }: Scope): PanelRow {
  const most = (selected: string): string => `max by (instance) (${selected})`;
  return {
    id: 60,
    title: 'Journal',
    panels: [
      {
        ...THIRD,
        id: 61,
        title: 'Messages in the journal',
        shows:
          'Messages on disk that the database does not have, those of running streams included.',
        good: 'About as many as streams are open.',
        action: 'When it climbs while streams do not, the database is away and messages wait.',
        alerts: ['LastchunkJournalBacklogOld'],
        unit: 'short',
        min: 0,
        queries: [{ expr: most(select('journalEntries')), legend: '{{instance}}' }],
        noValue: 'no journal',
      },
      {
        ...THIRD,
        id: 62,
        title: 'Journal fill',
        shows: 'The size of the journal as a share of what it may grow to.',
        good: 'Below 20 %.',
        action: 'Above 80 % it is close to full; full, streams are kept in memory only.',
        alerts: ['LastchunkJournalFillingUp'],
        unit: 'percentunit',
        min: 0,
        queries: [
          {
            expr: `${most(select('journalBytes'))} / (${most(select('journalCapacity'))} > 0)`,
            legend: '{{instance}}',
          },
        ],
        steps: [{ colour: 'green' }, { from: 0.2, colour: 'orange' }, { from: 0.8, colour: 'red' }],
        noValue: 'no journal',
      },
      {
        ...THIRD,
        id: 63,
        title: 'Degraded',
        shows: '1 while the journal cannot be relied on: full, read-only, slow, failing.',
        good: '0.',
        action: 'Look at the disk; the log says what it answered.',
        alerts: ['LastchunkJournalDegraded'],
        unit: 'short',
        decimals: 0,
        min: 0,
        max: 1,
        queries: [{ expr: most(select('journalDegraded')), legend: '{{instance}}' }],
        noValue: 'no journal',
      },
      {
        ...THIRD,
        id: 64,
        width: 16,
        title: 'Replayed and recovered',
        shows:
          'Messages per second that went from the journal to the database: own ones, and those of dead processes.',
        good: '0, and a burst after the database or a process was away.',
        action: 'Refused ones lie in refused/ in the journal directory and wait for you.',
        alerts: ['LastchunkMessagesLost'],
        unit: 'suffix:messages/s',
        min: 0,
        queries: [
          { expr: rate('result', 'journalReplayed'), legend: 'replayed, {{result}}' },
          { expr: rate('result', 'journalRecovered'), legend: 'recovered, {{result}}' },
        ],
        noValue: 'no journal',
      },
      {
        ...THIRD,
        id: 65,
        title: 'Time of a write to the journal',
        shows: 'How long one write for all streams of one turn of the event loop takes.',
        good: 'Far below 1 ms: it lands in the page cache.',
        action:
          'From 50 ms on, three times in a row, the journal calls the disk slow and degrades.',
        alerts: ['LastchunkJournalDegraded'],
        unit: 's',
        min: 0,
        queries: [0.5, 0.99].map((q) => ({
          expr: quantile(q, 'journalWrite'),
          legend: `p${q * 100}`,
        })),
        noValue: 'no journal',
      },
      {
        ...THIRD,
        id: 66,
        title: 'Damaged records',
        shows: 'Records per second that were cut from a journal as torn or damaged.',
        good: '0; one after a crash is the half-written end of a file.',
        action: 'More than that is a disk that does not keep what it was given.',
        alerts: ['LastchunkJournalCorrupt'],
        unit: 'suffix:records/s',
        min: 0,
        queries: [{ expr: rate('instance', 'journalCorrupt'), legend: '{{instance}}' }],
        noValue: 'no journal',
      },
      {
        ...THIRD,
        id: 67,
        width: 16,
        title: 'Relay',
        shows:
          'How long something of the streams of an instance has been missing in the relay, and whether the relay answers.',
        good: 'Below a second, and 1.',
        action: 'When it climbs, the database of the relay is away or slow.',
        alerts: ['LastchunkRelayDown', 'LastchunkRelayLagging'],
        unit: 's',
        min: 0,
        queries: [
          {
            // Without a relay the lag is always 0.
            expr: `${most(select('relayLag'))} and on (instance) ${select('relayUp')}`,
            legend: 'lag, {{instance}}',
            emptyBecause: 'the app has no relay',
          },
          {
            expr: `min by (instance) (${select('relayUp')})`,
            legend: 'up, {{instance}}',
            right: 'short',
            emptyBecause: 'the app has no relay',
          },
        ],
        noValue: 'no relay',
      },
    ],
  };
}

export function poolRow({ rate, select }: Scope): PanelRow {
  const each = (selected: string): string => `max by (instance, pool) (${selected})`;
  return {
    id: 80,
    title: 'Database and its pools',
    panels: [
      {
        ...THIRD,
        id: 83,
        title: 'Database answers',
        shows:
          'Whether the database answered the last save or ping, and whether saves pause because it did not.',
        good: 'Answers 1, paused 0.',
        action: 'Look at the database; messages wait in the journal until it is back.',
        alerts: ['LastchunkStoreDown', 'LastchunkJournalBacklogOld'],
        unit: 'short',
        decimals: 0,
        min: 0,
        max: 1,
        queries: [
          { expr: `min by (instance) (${select('storeUp')})`, legend: 'answers, {{instance}}' },
          { expr: `max by (instance) (${select('circuitOpen')})`, legend: 'paused, {{instance}}' },
        ],
        noValue: 'no store',
      },
      {
        ...THIRD,
        id: 81,
        title: 'Pool in use',
        shows:
          'Connections that are in use as a share of what the pool may have. The pool lastchunk is the one that saves go through.',
        good: 'Below 90 %.',
        action: 'When it is full and callers wait, find who holds connections.',
        alerts: ['LastchunkPoolSaturated'],
        unit: 'percentunit',
        min: 0,
        max: 1,
        queries: [
          {
            expr: `${each(select('poolClients', { state: 'active' }))} / (${each(select('poolMax'))} > 0)`,
            legend: '{{pool}} {{instance}}',
          },
        ],
        steps: [{ colour: 'green' }, { from: 0.9, colour: 'red' }],
        noValue: 'no pool',
      },
      {
        ...THIRD,
        id: 82,
        title: 'Waiting for a connection',
        shows:
          'Callers that wait for a connection of the pool, and connections that were held across a stream or never given back, per second.',
        good: '0.',
        action: 'Held and leaked connections have a log line that says where they were taken.',
        alerts: ['LastchunkPoolSaturated', 'LastchunkPoolHeldAcrossStreams', 'LastchunkPoolLeaked'],
        unit: 'short',
        min: 0,
        queries: [
          { expr: each(select('poolWaiting')), legend: 'waiting, {{pool}} {{instance}}' },
          {
            expr: rate('pool', 'poolHeldAcrossStreams'),
            legend: 'held across streams, {{pool}}',
            right: 'suffix:connections/s',
          },
          {
            expr: rate('pool', 'poolLeaked'),
            legend: 'leaked, {{pool}}',
            right: 'suffix:connections/s',
          },
        ],
        noValue: 'no pool',
      },
    ],
  };
}
