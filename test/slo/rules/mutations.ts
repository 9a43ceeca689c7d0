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
    cases: 'a pool whose size is not known',
  },
  {
    what: 'the number of failures no longer asked for',
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
    cases: '0.8 % pages',
  },
  {
    what: 'the factor of the quick ticket lowered',
    from: '(3 * (1 - 0.999))',
    to: '(1 * (1 - 0.999))',
    group: 'burn rates',
    cases: '0.2 % leaves',
  },
  {
    what: 'the number of slow saves no longer asked for',
    from: 'job:lastchunk_saves:rate1h * 3600 > 9.5',
    to: 'job:lastchunk_saves:rate1h * 3600 > 0',
    group: 'burn rates',
    cases: 'nine slow saves',
  },
  {
    what: 'timely means any bucket',
    from: 'le="2.5"',
    to: 'le="+Inf"',
    group: 'burn rates',
    cases: 'a quarter of saves',
  },
  {
    what: 'journaled no longer a success',
    from: 'result=~"saved|journaled"',
    to: 'result="saved"',
    group: 'saves',
    cases: 'one journaled among them',
  },
  {
    what: 'a single failure is every failure',
    from: '> 1.5)\nunless',
    to: '> 0)\nunless',
    group: 'saves',
    cases: 'one failure and nothing else',
  },
  {
    what: 'a single lost message is too few',
    from: 'sum by (job, route) (increase(lastchunk_saves_total{result="lost"}[15m])) > 0',
    to: 'sum by (job, route) (increase(lastchunk_saves_total{result="lost"}[15m])) > 2.5',
    group: 'saves',
    cases: 'a single lost message',
  },
  {
    what: 'a counter that is born above 0 is not seen',
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
    what: 'any release of a final frame is unconfirmed',
    from: 'lastchunk_holds_total{released="unconfirmed"}',
    to: 'lastchunk_holds_total{released=~"unconfirmed|client-gone"}',
    group: 'saves',
    cases: 'final frames that were let go',
  },
  {
    what: 'unguarded streams have to be saved',
    from: 'outcome="completed", guarded="true"',
    to: 'outcome="completed"',
    group: 'saves',
    cases: 'streams of a route that nothing guards',
  },
  {
    what: 'skipped saves no longer count as an outcome',
    from: '(sum by (job, route) (increase(lastchunk_saves_skipped_total[30m])) > 0)',
    to: '(sum by (job, route) (increase(lastchunk_saves_skipped_total[30m])) > 1e9)',
    group: 'saves',
    cases: 'a route of only empty streams',
  },
  {
    what: 'negative differences are no mismatch',
    from: ') < 0\n',
    to: ') < -1e9\n',
    group: 'saves',
    cases: 'a result of a save that nobody expected',
  },
  {
    what: 'pending saves are a mismatch',
    from: '- sum by (job, instance) (lastchunk_saves_pending)',
    to: '',
    group: 'saves',
    cases: 'a pending save is none',
  },
  {
    what: 'a stalled save may be an hour old',
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
    cases: 'a journal whose bound is not known',
  },
  {
    what: 'a small journal that grows is full soon',
    from: '> 0.2\n',
    to: '> 0.01\n',
    group: 'journal',
    cases: 'a tenth that grows',
  },
  {
    what: 'an empty journal is as old as time itself',
    from: '(lastchunk_journal_oldest_entry_timestamp_seconds > 0)',
    to: '(lastchunk_journal_oldest_entry_timestamp_seconds >= 0)',
    group: 'journal',
    cases: 'three quarters, and steady',
  },
  {
    what: 'pools are added up',
    from: 'min_over_time((max by (job, instance, pool) (lastchunk_pool_waiting))[5m:30s])',
    to: 'on (job, instance) min_over_time((max by (job, instance) (lastchunk_pool_waiting))[5m:30s])',
    group: 'streams',
    cases: 'the full pool of one',
  },
  {
    what: 'the usual share of disconnects is not asked for',
    from: '> 2 * job:lastchunk_disconnects_per_stream:ratio_rate1d',
    to: '> 0 * job:lastchunk_disconnects_per_stream:ratio_rate1d',
    group: 'streams',
    cases: 'half of the clients leaving all day',
  },
  {
    what: 'a few disconnects are many',
    from: 'job:lastchunk_disconnects:rate15m * 900 > 9.5',
    to: 'job:lastchunk_disconnects:rate15m * 900 > 0',
    group: 'streams',
    cases: 'nine of nine',
  },
  {
    what: 'two restarts are a loop',
    from: 'changes(process_start_time_seconds[15m]) > 2.5',
    to: 'changes(process_start_time_seconds[15m]) > 1.5',
    group: 'what the others stand on',
    cases: 'two restarts',
  },
  {
    what: 'a job that was taken away wakes somebody',
    from: 'and on (job)\n            group by (job) (up)',
    to: '',
    group: 'what the others stand on',
    cases: 'a job that is taken away',
  },
  {
    what: 'a single refused message pages',
    from: 'sum by (job) (increase(lastchunk_journal_replayed_total{result="refused"}[15m])) > 2.5',
    to: 'sum by (job) (increase(lastchunk_journal_replayed_total{result="refused"}[15m])) > 0',
    group: 'saves',
    cases: 'a single message leaves a ticket: refused',
  },
  {
    what: 'a journal that lasts is none',
    from: 'journal=~"overlay|tmpfs|none|off"',
    to: 'journal=~"overlay|tmpfs|none|off|disk"',
    group: 'saves',
    cases: 'where the journal lasts',
  },
  {
    what: 'a relay that answers is no help',
    from: '(min by (job, instance) (avg_over_time(lastchunk_relay_up[5m])) > 0.5)',
    to: '(min by (job, instance) (avg_over_time(lastchunk_relay_up[5m])) > 1.5)',
    group: 'saves',
    cases: 'where a relay answers',
  },
  {
    what: 'a disk that flaps is not seen',
    from: 'changes(lastchunk_journal_degraded[30m])) > 5.5',
    to: 'changes(lastchunk_journal_degraded[30m])) > 50',
    group: 'journal',
    cases: 'a disk that is full for a minute',
  },
  {
    what: 'a relay is behind as soon as it was once',
    from: 'min_over_time(lastchunk_relay_lag_seconds',
    to: 'max_over_time(lastchunk_relay_lag_seconds',
    group: 'journal',
    cases: 'one that catches up',
  },
  {
    what: 'a relay that is away is behind as well',
    from: '>= 0.75)',
    to: '>= 0)',
    group: 'journal',
    cases: 'of one that is away',
  },
  {
    what: 'absence for a moment leaves a ticket',
    from: 'expr: absent(lastchunk_build_info)\n        for: 10m',
    to: 'expr: absent(lastchunk_build_info)\n        for: 1m',
    group: 'what the others stand on',
    cases: 'metrics that are late',
  },
];
