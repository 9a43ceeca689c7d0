/** Metrics of the journal on disk. */
import { REPLAYED, SET_ASIDE } from './labels.ts';
import { counter, gauge, seconds, type Metric } from './metric.ts';

/** A write into the page cache takes microseconds; from 50 ms on the journal calls the disk slow. */
const WRITES = [1e-6, 1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 1e-2, 5e-2, 0.25, 1];

export const JOURNAL_METRICS = {
  journalEntries: gauge(
    'lastchunk.journal.entries',
    '{message}',
    {},
    'Messages in the journal, finished or not, that the store does not have.',
  ),
  journalBytes: gauge('lastchunk.journal.bytes', 'By', {}, 'Size of the journal on disk.'),
  journalCapacity: gauge(
    'lastchunk.journal.capacity',
    'By',
    {},
    'Size to which the journal may grow.',
  ),
  journalOldestEntry: {
    ...gauge(
      'lastchunk.journal.oldest_entry_timestamp',
      's',
      {},
      'When the oldest entry that waits for the store was written, as Unix time; 0 when none waits.',
    ),
    aggregator: 'oldest',
  },
  journalDegraded: {
    ...gauge(
      'lastchunk.journal.degraded',
      '{journal}',
      {},
      '1 while the journal cannot be relied on (full, read-only, slow, failing), else 0.',
    ),
    aggregator: 'max',
  },
  journalReplayed: counter(
    'lastchunk.journal.replayed',
    '{message}',
    { result: REPLAYED },
    'Journaled messages of this process that the store took or refused.',
  ),
  journalRecovered: counter(
    'lastchunk.journal.recovered',
    '{message}',
    { result: REPLAYED },
    'Messages left behind by a dead process that the store took or refused.',
  ),
  journalCorrupt: counter(
    'lastchunk.journal.corrupt_records',
    '{record}',
    {},
    'Journal records that were cut as torn or damaged.',
  ),
  journalSetAside: {
    ...gauge(
      'lastchunk.journal.set_aside',
      '{file}',
      { kind: SET_ASIDE },
      'Refused messages, and segments with damaged records, that the journal has set aside for an operator.',
    ),
    aggregator: 'max',
  },
  journalExpired: counter(
    'lastchunk.journal.set_aside_expired',
    '{file}',
    { kind: SET_ASIDE },
    'Files that had been set aside and were deleted because they were too old or too large together.',
  ),
  journalWrite: seconds(
    'lastchunk.journal.write',
    {},
    WRITES,
    'Time of one write to the journal, for all streams of one tick.',
  ),
} as const satisfies Readonly<Record<string, Metric>>;
