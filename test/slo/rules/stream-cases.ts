/** Streams and the connections that they take. */
import type { Case } from './case.ts';
import { idle, once, process, turns, type Samples } from './series.ts';

const COMPLETED = 'lastchunk_streams_ended_total{guarded="true",outcome="completed"}';
const LEFT = 'lastchunk_streams_ended_total{guarded="true",outcome="disconnected"}';
const DISCONNECTS = 'LastchunkDisconnectRateHigh warning';
const NOISE = 'LastchunkNoiseRateJump warning';
const SATURATED = 'LastchunkPoolSaturated warning';
const APP_POOL = 'pool="app"';

/** Of 60 streams a minute so many are left by their clients, before and from minute 120 on. */
const leaving = (before: number, after: number): Samples => ({
  [LEFT]: turns(120, before, after),
  [COMPLETED]: turns(120, 60 - before, 60 - after),
});

const noise = (before: number, after: number): Samples => ({
  // Whichever reason comes first in the table.
  'lastchunk_noise_total{reason="any"}': turns(120, before, after),
});

const pool = (active: number, waiting: string): Samples => ({
  [`lastchunk_pool_clients{${APP_POOL},state="active"}`]: `${active}x900`,
  [`lastchunk_pool_clients{${APP_POOL},state="idle"}`]: `${10 - active}x900`,
  [`lastchunk_pool_clients_max{${APP_POOL}}`]: '10x900',
  [`lastchunk_pool_waiting{${APP_POOL}}`]: waiting,
});

export const streamCases: readonly Case[] = [
  {
    name: 'half of the clients leaving, when three of sixty did before, opens a ticket',
    series: process(leaving(3, 30)),
    firing: { '2h4m': [], '2h24m': [DISCONNECTS] },
    every: 2,
  },
  {
    name: 'half of the clients leaving all day long is normal for that service',
    series: process(leaving(30, 30)),
    firing: { '2h25m': [], '6h': [] },
    every: 5,
  },
  {
    name: 'less than a tenth of the clients leaving fires nothing, whatever was normal',
    series: process(leaving(1, 5)),
    firing: { '2h24m': [] },
    every: 2,
  },
  {
    name: 'nine of nine clients leaving in a quiet service are too few to judge',
    series: process(
      {
        [COMPLETED]: turns(120, 1, 0),
        [LEFT]: '0x120 1 2 3 4 5 6 7 8 9x900',
        'lastchunk_saves_total{result="saved"}': '0+1x900',
        'lastchunk_save_duration_seconds_bucket{le="2.5"}': '0+1x900',
        lastchunk_chunks_total: '0+10x900',
      },
      idle(),
    ),
    firing: { '2h18m': [], '2h24m': [], '2h30m': [] },
    every: 2,
  },
  {
    name: 'as many noise errors as streams, when a tenth was normal, open a ticket',
    series: process(noise(6, 60)),
    firing: { '2h4m': [], '2h24m': [NOISE] },
    every: 2,
  },
  {
    name: 'as many noise errors as streams, when there were none before, open a ticket',
    series: process(noise(0, 60)),
    firing: { '2h4m': [], '2h24m': [NOISE] },
    every: 2,
  },
  {
    name: 'noise that doubles with the traffic fires nothing',
    series: process({ ...noise(30, 60), [COMPLETED]: turns(120, 60, 120) }),
    firing: { '2h24m': [] },
    every: 2,
  },
  {
    name: 'noise for one stream of twelve fires nothing',
    series: process(noise(0, 5)),
    firing: { '2h24m': [] },
    every: 2,
  },
  {
    name: 'open streams that send nothing open a ticket',
    series: process({ lastchunk_chunks_total: turns(60, 600, 0) }),
    firing: { '1h12m': [], '1h20m': ['LastchunkStreamsStuck warning'] },
  },
  {
    name: 'open streams that send one chunk in five minutes fire nothing',
    series: process({ lastchunk_chunks_total: `0+600x59 ${fives()}` }),
    firing: { '1h20m': [] },
  },
  {
    name: 'a service without open streams has no stuck streams',
    series: process({ lastchunk_streams_active: '0 1 0x900', lastchunk_chunks_total: '0x900' }),
    firing: { '20m': [] },
  },
  {
    name: 'a stream without a client that was ended early fires an info alert',
    series: process({ 'lastchunk_finish_refused_total{reason="time"}': once(60) }),
    firing: { '55m': [], '1h5m': ['LastchunkFinishRefused info'], '2h5m': [] },
    every: 5,
  },
  {
    name: 'an exhausted pool with waiting callers opens a ticket',
    series: process(pool(10, '0x59 2x900')),
    firing: { '1h10m': [], '1h16m': [SATURATED] },
  },
  {
    name: 'an exhausted pool without waiting callers fires nothing',
    series: process(pool(10, '0x900')),
    firing: { '1h16m': [] },
  },
  {
    name: 'an exhausted pool whose callers wait only at times fires nothing',
    series: process(pool(10, `0x59 ${'2 2 2 0 '.repeat(50).trim()}`)),
    firing: { '1h16m': [] },
  },
  {
    name: 'waiting callers of a pool with free connections fire nothing',
    series: process(pool(8, '2x900')),
    firing: { '1h16m': [] },
  },
  {
    name: 'a pool of unknown size cannot be full',
    series: process({
      ...pool(1, '1x900'),
      [`lastchunk_pool_clients_max{${APP_POOL}}`]: '0x900',
    }),
    firing: { '1h16m': [] },
    values: [{ at: '1h16m', query: 'count(ALERTS{job="chat"})', value: undefined }],
  },
  {
    name: 'a full pool and the waiting callers of another pool do not add up',
    series: process({
      ...pool(10, '0x900'),
      'lastchunk_pool_waiting{pool="lastchunk"}': '2x900',
    }),
    firing: { '1h16m': [] },
  },
  {
    name: 'a connection held across a stream opens a ticket',
    series: process({ 'lastchunk_pool_held_across_streams_total{pool="app"}': once(60) }),
    firing: { '59m': [], '1h1m': ['LastchunkPoolHeldAcrossStreams warning'], '1h35m': [] },
  },
  {
    name: 'a connection that was never released opens a ticket',
    series: process({ 'lastchunk_pool_leaked_total{pool="app"}': once(60) }),
    firing: { '59m': [], '1h1m': ['LastchunkPoolLeaked warning'], '1h35m': [] },
  },
];

/** From 36 000 on, one more in every fifth minute. */
function fives(): string {
  return Array.from({ length: 60 }, (_, minute) => 36_000 + Math.floor(minute / 5)).join(' ');
}
