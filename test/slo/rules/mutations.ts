/**
 * Edits of the rule file that somebody might make by accident, each with the cases that have to notice. An edit that no
 * case notices is a hole in the cases.
 */
export interface Mutation {
  readonly what: string;
  readonly from: string;
  readonly to: string;
  /** The group of cases that turns red. */
  readonly group:
    'every day' | 'burn rates' | 'saves' | 'journal' | 'streams' | 'what the others stand on';
  /** The names of the cases that are run begin or go on with this. */
  readonly cases: string;
}

const NO_REPLAYED =
  'sum by (job) (rate(lastchunk_journal_replayed_total{result="refused"}[1h])) or';
const NO_RECOVERED =
  'sum by (job) (rate(lastchunk_journal_recovered_total{result="refused"}[1h])) or';
const NO_REVISED = 'sum by (job) (rate(lastchunk_saves_revised_total{result="lost"}[1h])) or';

export const MUTATIONS: readonly Mutation[] = [
  {
    what: 'one bad result value dropped: missing',
    from: 'rate(lastchunk_saves_total{result=~"lost|missing"}[1h])',
    to: 'rate(lastchunk_saves_total{result="lost"}[1h])',
    group: 'burn rates',
    cases: 'lastchunk_saves_total{result="missing"} alone',
  },
  {
    what: 'one bad result value dropped: lost',
    from: 'rate(lastchunk_saves_total{result=~"lost|missing"}[1h])',
    to: 'rate(lastchunk_saves_total{result="missing"}[1h])',
    group: 'burn rates',
    cases: 'lastchunk_saves_total{result="lost"} alone',
  },
  {
    what: 'refused replays dropped from the errors',
    from: NO_REPLAYED,
    to: '',
    group: 'burn rates',
    cases: 'lastchunk_journal_replayed_total{result="refused"} alone',
  },
  {
    what: 'refused recoveries dropped from the errors',
    from: NO_RECOVERED,
    to: '',
    group: 'burn rates',
    cases: 'lastchunk_journal_recovered_total{result="refused"} alone',
  },
  {
    what: 'lost revisions dropped from the errors',
    from: NO_REVISED,
    to: '',
    group: 'burn rates',
    cases: 'lastchunk_saves_revised_total{result="lost"} alone',
  },
  {
    what: 'guard against division by zero dropped from the error ratio',
    from: '(job:lastchunk_saves:rate5m > 0)',
    to: 'job:lastchunk_saves:rate5m',
    group: 'every day',
    cases: 'an idle hour',
  },
  {
    what: 'guard against division by zero dropped from timeliness',
    from: '  (job:lastchunk_saves:rate1h > 0)\n          )',
    to: '  job:lastchunk_saves:rate1h\n          )',
    group: 'every day',
    cases: 'a service without any traffic',
  },
  {
    what: 'guard against division by zero dropped from disconnects',
    from: '(sum by (job) (rate(lastchunk_streams_ended_total[15m])) > 0)',
    to: 'sum by (job) (rate(lastchunk_streams_ended_total[15m]))',
    group: 'every day',
    cases: 'a service without any traffic',
  },
  {
    what: 'guard against division by zero dropped from a pool',
    from: '(max by (job, instance, pool) (lastchunk_pool_clients_max) > 0)',
    to: 'max by (job, instance, pool) (lastchunk_pool_clients_max)',
    group: 'streams',
    cases: 'a pool of unknown size',
  },
  {
    what: 'the minimum number of failures dropped',
    from: 'job:lastchunk_save_errors:rate1h * 3600 > 2.5',
    to: 'job:lastchunk_save_errors:rate1h * 3600 > 0',
    group: 'burn rates',
    cases: 'two failures of fifty',
  },
  {
    what: 'the short window of the quick page dropped',
    from: 'job:lastchunk_save_errors_per_save:ratio_rate5m > (14.4 * (1 - 0.999))',
    to: 'job:lastchunk_save_errors_per_save:ratio_rate1h > (14.4 * (1 - 0.999))',
    group: 'burn rates',
    cases: 'the page ends soon',
  },
  {
    what: 'the factor of the slow page raised',
    from: '(6 * (1 - 0.999))',
    to: '(14.4 * (1 - 0.999))',
    group: 'burn rates',
    cases: '0.8 % of errors',
  },
  {
    what: 'the factor of the quick ticket lowered',
    from: '(3 * (1 - 0.999))',
    to: '(1 * (1 - 0.999))',
    group: 'burn rates',
    cases: '0.2 % of errors',
  },
  {
    what: 'the minimum number of slow saves dropped',
    from: 'job:lastchunk_saves:rate1h * 3600 > 9.5',
    to: 'job:lastchunk_saves:rate1h * 3600 > 0',
    group: 'burn rates',
    cases: 'nine slow saves',
  },
  {
    what: 'every bucket counts as timely',
    from: 'le="2.5"',
    to: 'le="+Inf"',
    group: 'burn rates',
    cases: 'a quarter of saves',
  },
  {
    what: 'journaled does not count as a success',
    from: 'result=~"saved|journaled"',
    to: 'result="saved"',
    group: 'saves',
    cases: 'two missing saves and one journaled',
  },
  {
    what: 'a single failure counts as no success at all',
    from: '> 1.5)\nunless',
    to: '> 0)\nunless',
    group: 'saves',
    cases: 'one failure and nothing else',
  },
  {
    what: 'a single lost message does not fire',
    from: 'sum by (job, route) (increase(lastchunk_saves_total{result="lost"}[15m])) > 0',
    to: 'sum by (job, route) (increase(lastchunk_saves_total{result="lost"}[15m])) > 2.5',
    group: 'saves',
    cases: 'a single lost message',
  },
  {
    what: 'a counter that starts above 0 is ignored',
    from: 'time() - process_start_time_seconds < 900',
    to: 'time() - process_start_time_seconds < 0',
    group: 'saves',
    cases: 'a message that a new process loses',
  },
  {
    what: 'an old total counts as new after a gap',
    from: 'time() - process_start_time_seconds < 900',
    to: 'time() - process_start_time_seconds > 900',
    group: 'every day',
    cases: 'what was lost before a gap',
  },
  {
    what: 'every release of a final frame counts as unconfirmed',
    from: 'lastchunk_holds_total{released="unconfirmed"}',
    to: 'lastchunk_holds_total{released=~"unconfirmed|client-gone"}',
    group: 'saves',
    cases: 'final frames that were released',
  },
  {
    what: 'unguarded streams must have saves',
    from: 'outcome="completed", guarded="true"',
    to: 'outcome="completed"',
    group: 'saves',
    cases: 'streams of an unguarded route',
  },
  {
    what: 'skipped saves do not count as an outcome',
    from: '(sum by (job, route) (increase(lastchunk_saves_skipped_total[30m])) > 0)',
    to: '(sum by (job, route) (increase(lastchunk_saves_skipped_total[30m])) > 1e9)',
    group: 'saves',
    cases: 'a route of only empty streams',
  },
  {
    what: 'negative differences are not a mismatch',
    from: ') < 0\n',
    to: ') < -1e9\n',
    group: 'saves',
    cases: 'a result without an expected save',
  },
  {
    what: 'pending saves count as a mismatch',
    from: '- sum by (job, instance) (lastchunk_saves_pending)',
    to: '',
    group: 'saves',
    cases: 'neither a pending save',
  },
  {
    what: 'a save may be pending for an hour',
    from: ') > 20',
    to: ') > 3600',
    group: 'saves',
    cases: 'a save that is pending',
  },
  {
    what: 'a journal without capacity is divided by',
    from: 'max by (job, instance) (lastchunk_journal_capacity_bytes) > 0',
    to: 'max by (job, instance) (lastchunk_journal_capacity_bytes) >= 0',
    group: 'journal',
    cases: 'a journal with an unknown bound',
  },
  {
    what: 'a small journal that grows counts as almost full',
    from: '> 0.2\n',
    to: '> 0.01\n',
    group: 'journal',
    cases: 'a journal that is a tenth full',
  },
  {
    what: 'an empty journal counts as infinitely old',
    from: '(lastchunk_journal_oldest_entry_timestamp_seconds > 0)',
    to: '(lastchunk_journal_oldest_entry_timestamp_seconds >= 0)',
    group: 'journal',
    cases: 'a journal that is three quarters full',
  },
  {
    what: 'pools are summed',
    from: 'min_over_time((max by (job, instance, pool) (lastchunk_pool_waiting))[5m:30s])',
    to: 'on (job, instance) min_over_time((max by (job, instance) (lastchunk_pool_waiting))[5m:30s])',
    group: 'streams',
    cases: 'a full pool and',
  },
  {
    what: 'the usual share of disconnects is ignored',
    from: '> 2 * job:lastchunk_disconnects_per_stream:ratio_rate1d',
    to: '> 0 * job:lastchunk_disconnects_per_stream:ratio_rate1d',
    group: 'streams',
    cases: 'half of the clients leaving all day',
  },
  {
    what: 'a few disconnects count as many',
    from: 'job:lastchunk_disconnects:rate15m * 900 > 9.5',
    to: 'job:lastchunk_disconnects:rate15m * 900 > 0',
    group: 'streams',
    cases: 'nine of nine',
  },
  {
    what: 'two restarts count as a loop',
    from: 'changes(process_start_time_seconds[15m]) > 2.5',
    to: 'changes(process_start_time_seconds[15m]) > 1.5',
    group: 'what the others stand on',
    cases: 'two restarts',
  },
  {
    what: 'a job that was removed pages',
    from: 'and on (job)\n            group by (job) (up)',
    to: '',
    group: 'what the others stand on',
    cases: 'a job that is removed',
  },
  {
    what: 'a single refused message pages',
    from: 'sum by (job) (increase(lastchunk_journal_replayed_total{result="refused"}[15m])) > 2.5',
    to: 'sum by (job) (increase(lastchunk_journal_replayed_total{result="refused"}[15m])) > 0',
    group: 'saves',
    cases: 'a single message opens a ticket: refused',
  },
  {
    what: 'a permanent journal counts as none',
    from: 'journal=~"overlay|tmpfs|none|off"',
    to: 'journal=~"overlay|tmpfs|none|off|disk"',
    group: 'saves',
    cases: 'an unavailable database does not page if the journal',
  },
  {
    what: 'a relay that answers is ignored',
    from: '(min by (job, instance) (avg_over_time(lastchunk_relay_up[5m])) > 0.5)',
    to: '(min by (job, instance) (avg_over_time(lastchunk_relay_up[5m])) > 1.5)',
    group: 'saves',
    cases: 'an unavailable database does not page if a relay',
  },
  {
    what: 'a flapping disk is ignored',
    from: 'changes(lastchunk_journal_degraded[30m])) > 5.5',
    to: 'changes(lastchunk_journal_degraded[30m])) > 50',
    group: 'journal',
    cases: 'a disk that is full for a minute, three',
  },
  {
    what: 'a relay counts as behind as soon as it was behind once',
    from: 'min_over_time(lastchunk_relay_lag_seconds',
    to: 'max_over_time(lastchunk_relay_lag_seconds',
    group: 'journal',
    cases: 'a relay that catches up',
  },
  {
    what: 'an unavailable relay counts as behind as well',
    from: '>= 0.75)',
    to: '>= 0)',
    group: 'journal',
    cases: 'an unavailable relay fires',
  },
  {
    what: 'a short absence opens a ticket',
    from: 'expr: absent(lastchunk_build_info)\n        for: 10m',
    to: 'expr: absent(lastchunk_build_info)\n        for: 1m',
    group: 'what the others stand on',
    cases: 'metrics that start some minutes',
  },
];
