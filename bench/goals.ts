/** What has to be reached. Each goal is about one figure of one part, by its name. */
import { ADVERSARIAL } from './adversarial-bodies.ts';
import type { Figure } from './figures.ts';
import { CHUNK } from './frames.ts';

/** A bound for the median of a figure. */
export interface Goal {
  readonly what: string;
  readonly part: string;
  readonly figure: string;
  readonly bound: Bound;
}

/** In the figure's unit. */
export type Bound = { readonly atMost: number } | { readonly atLeast: number };

const KIB = 1_024;

/** What the journal may write: a tenth more than the handler, and so many bytes for each chunk. */
const JOURNAL_BYTES = { atMost: CHUNK.length * 1.1 + 32 };

/** Their bounds are wide: they tell linear from what is not, on any machine. */
const ADVERSARIAL_NAMES = Object.keys(ADVERSARIAL);

/**
 * Three kinds of traffic, and the most that a guard may cost, as ratios to the bare handler and to a handler that saves by hand. At the
 * pace of a model a guard must cost no more than saving by hand. An answer of twelve tokens may cost a tenth more: a guard also records outcome,
 * times and metrics.
 */
const WORKS = [
  ['100 streams, a token every 20 ms', 'a token', 1.1, 1],
  ['8 streams as fast as they go', 'a token', 1.1, undefined],
  ['8 clients, answers of 12 tokens', 'an answer', 1.35, 1.1],
] as const;

/**
 * The most that a chunk may cost, as a ratio to the least work that can replace a guard (`servers/by-hand.ts`). 1.2 without a journal: a guard
 * also keeps the bytes within limits and reads each frame that may be the last. 1.2 with a journal, to one bare write a tick: a record also
 * has a head and a checksum. 1.5 with metrics, spans and a save for 200 chunks.
 */
const CHUNKS = [
  ['observe()', '8 a tick', 'the least by hand', 1.1],
  ['guard(), no journal', '8 a tick', 'the least by hand', 1.2],
  ['guard(), journal every tick', '8 a tick', 'the least and one write a tick', 1.2],
  ['guard(), journal every tick', '1 a tick', 'the least and one write a tick', 1.2],
  ['guard(), everything on', '8 a tick in streams of 200', 'the least and one write a tick', 1.5],
] as const;

const pairs = 'one save at a time, saver to by hand';

/** In the order in which they are shown. */
export const GOALS: readonly Goal[] = [
  ...CHUNKS.map(([what, shape, than, atMost]) =>
    goal(
      `${what}: server CPU a chunk, ${shape}, to ${than}`,
      'chunks',
      `${shape}, to ${than}: ${what}`,
      {
        atMost,
      },
    ),
  ),
  goal(
    `journal: bytes written for a chunk of ${CHUNK.length}, 8 a tick`,
    'chunks',
    '8 a tick: bytes written to the journal, a chunk',
    JOURNAL_BYTES,
  ),
  goal(
    `journal: bytes written for a chunk of ${CHUNK.length}, 1 a tick`,
    'chunks',
    '1 a tick: bytes written to the journal, a chunk',
    JOURNAL_BYTES,
  ),
  goal(
    'guard(), journal every tick: added latency of a chunk, p99, unloaded',
    'delay',
    'p99 added: guard(), journal every tick',
    { atMost: 50 },
  ),
  ...WORKS.flatMap(([work, per, toBare, toByHand]) =>
    ['guard(), no journal', 'guard()'].flatMap((way) => [
      goal(
        `${way}, ${work}: CPU ${per} to the bare handler`,
        'chat',
        `${work}, to plain fetch handler: ${way}`,
        {
          atMost: toBare,
        },
      ),
      ...(toByHand === undefined
        ? []
        : [
            goal(
              `${way}, ${work}: CPU ${per} to saving by hand`,
              'chat',
              `${work}, to by hand: ${way}`,
              {
                atMost: toByHand,
              },
            ),
          ]),
    ]),
  ),
  goal(
    'AI SDK 6, as fast as it goes: CPU a token to guard()',
    'chat',
    '8 streams as fast as they go, to guard(): AI SDK 6',
    {
      atLeast: 6,
    },
  ),
  ...['on', 'off'].flatMap((fsync) => [
    goal(
      `saver to one upsert a message, 500 at a time, fsync ${fsync}`,
      'saves',
      `fsync ${fsync}, 500 at a time: saver to by hand`,
      { atLeast: 5 },
    ),
    goal(`${pairs}, p50, fsync ${fsync}`, 'latency', `fsync ${fsync}, p50: saver to by hand`, {
      atMost: 1.1,
    }),
    goal(`${pairs}, p99, fsync ${fsync}`, 'latency', `fsync ${fsync}, p99: saver to by hand`, {
      atMost: 1.1,
    }),
    goal(
      `terminal frame: added time, p99, unloaded, fsync ${fsync}`,
      'frame',
      `fsync ${fsync}, p99 added: guard()`,
      { atMost: 5 },
    ),
  ]),
  goal(
    'memory of an idle guarded stream beyond bare Express, heap, 5000 streams',
    'scale',
    '5000 streams, heap beyond bare: guard(), no journal',
    { atMost: 2.5 * KIB },
  ),
  goal(
    'the same with a journal',
    'scale',
    '5000 streams, heap beyond bare: guard(), journal every tick',
    { atMost: 2.5 * KIB },
  ),
  ...['guard(), no journal', 'guard(), journal every tick'].map((way) =>
    goal(
      `${way}: event-loop delay, p99, 10000 streams of a chunk a second, to bare Express`,
      'scale',
      `10000 streams, loop delay to bare: ${way}`,
      { atMost: 1.2 },
    ),
  ),
  goal(
    'answers of 1 KB to 1 MB: how CPU grows (1 is linear)',
    'growth',
    'exponent: guard(), journal every tick',
    { atMost: 1.05 },
  ),
  ...ADVERSARIAL_NAMES.flatMap((name) => [
    goal(`adversarial: ${name}, CPU`, 'adversarial', `${name}: CPU`, {
      // A million writes a MiB cost that much without a guard.
      atMost: name.startsWith('one-character writes') ? 20_000 : 5_000,
    }),
    goal(`adversarial: ${name}, longest loop delay`, 'adversarial', `${name}: longest loop delay`, {
      atMost: 250,
    }),
  ]),
  goal('scrape of /metrics with 100 routes', 'scrape', '100 routes, p50', { atMost: 10 }),
  // The time of prom-client for as many lines cannot be changed here; the share of lastchunk can.
  goal(
    'scrape of /metrics with 100 routes: server CPU to prom-client alone with the same lines',
    'scrape',
    '100 routes, server CPU to prom-client alone',
    { atMost: 1.25 },
  ),
  goal(
    'recovery of 10000 streams of 4 KiB: lastchunk journal replay',
    'recovery',
    'lastchunk journal replay',
    { atMost: 10 },
  ),
  goal('recovery of 10000 streams of 4 KiB: an app started again', 'recovery', 'started again', {
    atMost: 10,
  }),
  goal(
    'a turn of replay with 100000 waiting messages, CPU, to one with 1000',
    'catch-up',
    'a turn of replay, many waiting to few',
    { atMost: 1.5 },
  ),
  goal(
    'live messages, p99, while 100000 waiting ones are caught up, ms',
    'catch-up',
    'live message, p99, while caught up',
    { atMost: 100 },
  ),
  ...['postgresRelay()', 'redisRelay()'].map((engine) =>
    goal(`${engine}: server CPU a token, to no relay`, 'relay', `shared, to no relay: ${engine}`, {
      atMost: 1.05,
    }),
  ),
  goal('endurance: heap above the baseline, MiB', 'endurance', 'heap: growth', { atMost: 4 }),
  // Of the journal, a segment that is not full may remain.
  goal('endurance: journal above the baseline, MiB', 'endurance', 'journal: growth', {
    atMost: 8,
  }),
  ...['listeners', 'timers', 'active resources', 'file descriptors'].map((name) =>
    goal(`endurance: ${name} above the baseline`, 'endurance', `${name}: growth`, { atMost: 0 }),
  ),
  goal('endurance: streams still on their way', 'endurance', 'still on their way', { atMost: 0 }),
  ...['not yet saved', 'lost', 'missing', 'not in the database'].map((name) =>
    goal(`endurance: messages ${name}`, 'endurance', name, { atMost: 0 }),
  ),
];

function goal(what: string, part: string, name: string, bound: Bound): Goal {
  return { what, part, figure: name, bound };
}

/** Whether the median of a figure is on the right side. */
export function isMet({ median }: Figure, bound: Bound): boolean {
  return 'atMost' in bound ? median <= bound.atMost : median >= bound.atLeast;
}
