/**
 * What a healthy process shows, minute by minute, in promtool's notation; a case changes a few series of it. Every
 * metric of the table is there, so that an alert that fires for no reason is seen.
 */
import type { Metric } from '../../../src/core/names/metric.ts';
import { METRICS } from '../../../src/core/names/index.ts';

/** A series with its samples. */
export interface InputSeries {
  readonly series: string;
  readonly values: string;
}

/**
 * Samples by series. A key is a name with the labels that matter: `lastchunk_saves_total{result="lost"}`; job, instance
 * and, where the metric has one, route are added unless they are given.
 */
export type Samples = Readonly<Record<string, string>>;

/** Minutes of every series that says nothing about its length; longer than any case that uses it. */
const MINUTES = 900;

/**
 * One process with 60 streams a minute, all saved within 2.5 s, and `changes` to its series. Expected saves are left out
 * where results are changed and they are not: what does not add up is the business of a few cases only.
 */
export function process(changes: Samples = {}, of: Samples = healthy()): InputSeries[] {
  const merged = new Map(Object.entries(of).map(([key, values]) => [label(key), values]));
  if (Object.keys(changes).some((key) => key.startsWith('lastchunk_saves_total'))) {
    merged.delete(label('lastchunk_saves_expected_total'));
  }
  for (const [key, values] of Object.entries(changes)) merged.set(label(key), values);
  return [...merged].map(([series, values]) => ({ series, values }));
}

/** What the journal of a process lies on. */
export function onJournal(journal: string): Samples {
  const info = (on: string): string =>
    named('buildInfo', { version: '1.0.0', node: '20', journal: on });
  return { [info('disk')]: `_x${MINUTES}`, [info(journal)]: `1x${MINUTES}` };
}

/** The same without any traffic. */
export function idle(): Samples {
  const still = Object.entries(healthy()).map(([key, values]) => [
    key,
    values.includes('+') || key === 'lastchunk_streams_active' ? `0x${MINUTES}` : values,
  ]);
  // Keys are those of `healthy()`.
  return Object.fromEntries(still) as Samples;
}

/** Healthy, with `each` streams in each `minutes`. */
export function quiet(each: number, minutes: number): Samples {
  const steps = repeat(each, minutes);
  const slow = Object.entries(healthy()).map(([key, values]) => [
    key,
    values === MANY ? steps : values,
  ]);
  // Keys are those of `healthy()`.
  return Object.fromEntries(slow) as Samples;
}

/** A counter that goes up by `each` once in `minutes`. */
export function repeat(each: number, minutes: number, forMinutes = MINUTES): string {
  const samples = [];
  for (let minute = 0; minute <= forMinutes; minute += 1) {
    samples.push(Math.floor(minute / minutes) * each);
  }
  return samples.join(' ');
}

/** A counter that is 0 until `minute` and then `value`. */
export function once(minute: number, value = 1): string {
  return `0x${minute - 1} ${value}x${MINUTES}`;
}

/** A counter that grows by `before` a minute until `minute`, then by `after`. */
export function turns(minute: number, before: number, after: number): string {
  return `0+${before}x${minute - 1} ${before * minute}+${after}x${MINUTES}`;
}

const MANY = `0+60x${MINUTES}`;

function healthy(): Samples {
  const zeros = Object.values<Metric>(METRICS).flatMap((metric) =>
    metric.type === 'histogram' ? [] : combinations(metric).map((key) => [key, `0x${MINUTES}`]),
  );
  return {
    // The names and labels of the table, one series for each of their combinations.
    ...(Object.fromEntries(zeros) as Samples),
    up: `1x${MINUTES}`,
    process_start_time_seconds: `-1000000x${MINUTES}`,
    [named('buildInfo', { version: '1.0.0', node: '20', journal: 'disk' })]: `1x${MINUTES}`,
    lastchunk_streams_started_total: MANY,
    'lastchunk_streams_ended_total{guarded="true",outcome="completed"}': MANY,
    lastchunk_store_up: `1x${MINUTES}`,
    lastchunk_relay_up: `1x${MINUTES}`,
    lastchunk_streams_active: `5x${MINUTES}`,
    lastchunk_chunks_total: `0+600x${MINUTES}`,
    lastchunk_saves_expected_total: MANY,
    'lastchunk_saves_total{result="saved"}': MANY,
    'lastchunk_save_duration_seconds_bucket{le="2.5"}': MANY,
    'lastchunk_save_duration_seconds_bucket{le="+Inf"}': MANY,
    'lastchunk_holds_total{released="saved"}': MANY,
    lastchunk_journal_bytes: `100000x${MINUTES}`,
    lastchunk_journal_capacity_bytes: `1000000x${MINUTES}`,
    'lastchunk_pool_clients{pool="lastchunk",state="active"}': `1x${MINUTES}`,
    'lastchunk_pool_clients{pool="lastchunk",state="idle"}': `3x${MINUTES}`,
    'lastchunk_pool_clients_max{pool="lastchunk"}': `4x${MINUTES}`,
  };
}

function named(key: keyof typeof METRICS, labels: Readonly<Record<string, string>>): string {
  return `${METRICS[key].prometheus}${braces(labels)}`;
}

/** A key for every combination of the closed labels; `other` values such as routes are added later. */
function combinations({ prometheus, labels }: Metric): string[] {
  if (prometheus === METRICS.buildInfo.prometheus) return [];
  let all: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    if ('atMost' in values) continue;
    // Rules tell results and outcomes apart, but no reasons and formats: two of those are as good as twenty.
    const told = ['result', 'outcome', 'guarded', 'released', 'state'].includes(name);
    const some = told ? values : values.slice(0, 2);
    all = all.flatMap((one) => some.map((value) => ({ ...one, [name]: value })));
  }
  return all.map((one) => prometheus + braces(one));
}

/** With the labels in order, so that one series has one spelling. */
function label(key: string): string {
  const [name = '', inside = ''] = key.split(/[{}]/);
  const own = Object.fromEntries(
    [...inside.matchAll(/(\w+)="([^"]*)"/g)].map(([, one = '', value = '']) => [one, value]),
  );
  const metric = Object.values<Metric>(METRICS).find(
    ({ prometheus }) => name.replace(/_bucket$/, '') === prometheus,
  );
  const route = metric !== undefined && 'route' in metric.labels ? { route: '/chat' } : {};
  return name + braces({ job: 'chat', instance: 'a:1', ...route, ...own });
}

function braces(labels: Readonly<Record<string, string>>): string {
  const inside = Object.entries(labels)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}="${value}"`);
  return inside.length === 0 ? '' : `{${inside.join(',')}}`;
}
