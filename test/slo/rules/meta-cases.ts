/** What the other alerts stand on. */
import type { Case } from './case.ts';
import { once, process, type InputSeries } from './series.ts';

const VANISHED = 'LastchunkJobMetricsVanished critical';
const TAKEN_AWAY = 'LastchunkJobMetricsVanished warning';
const ABSENT = 'LastchunkMetricsAbsent warning';
const RESTARTING = 'LastchunkInstanceRestarting warning';
const DOWN = 'LastchunkTargetDown warning';

/** Everything that a process shows ends at a minute; `up` is given. */
function gone(minute: number, up: string, series = process()): InputSeries[] {
  return series.map(({ series: name, values }) => ({
    series: name,
    values: name.startsWith('up{') ? up : values.replace(/x\d+$/, `x${minute}`),
  }));
}

const another = (instance: string, job = 'chat'): InputSeries[] =>
  process().map(({ series, values }) => ({
    series: series.replace('a:1', instance).replace('job="chat"', `job="${job}"`),
    values,
  }));

export const metaCases: readonly Case[] = [
  {
    name: 'an internal error opens a ticket',
    series: process({ 'lastchunk_internal_errors_total{where="observer"}': once(60) }),
    firing: { '59m': [], '1h1m': ['LastchunkInternalErrors warning'], '1h20m': [] },
  },
  {
    name: 'three restarts within a quarter of an hour open a ticket',
    series: process({ process_start_time_seconds: '0x59 3600x3 3840x3 4080x900' }),
    firing: { '1h7m': [], '1h9m': [RESTARTING], '1h30m': [] },
  },
  {
    name: 'two restarts are a deploy and its correction',
    series: process({ process_start_time_seconds: '0x59 3600x3 3840x900' }),
    firing: { '1h9m': [] },
  },
  {
    name: 'restarts of other programs fire nothing',
    series: [
      ...process(),
      {
        series: 'process_start_time_seconds{instance="z:1",job="node"}',
        values: '0x59 3600x3 3840x3 4080x900',
      },
    ],
    firing: { '1h9m': [] },
  },
  {
    name: 'a Prometheus without any metrics of lastchunk opens a ticket',
    series: [{ series: 'up{instance="z:1",job="node"}', values: '1x900' }],
    firing: { '9m': [], '12m': [ABSENT] },
    alone: true,
  },
  {
    name: 'metrics that start some minutes late open no ticket',
    series: process().map(({ series, values }) => ({ series, values: `_x8 ${values}` })),
    firing: { '7m': [], '12m': [] },
    alone: true,
  },
  {
    name: 'a job whose metrics end while its targets exist pages, while another job continues',
    series: [...gone(60, '1x900'), ...another('b:1', 'other')],
    firing: { '1h10m': [], '1h20m': [VANISHED], '8h': [] },
    every: 5,
  },
  {
    name: 'a job whose metrics end while no target answers pages',
    series: [...gone(60, '1x60 0x900'), ...another('b:1', 'other')],
    firing: { '1h10m': [DOWN], '1h20m': [VANISHED, DOWN] },
    every: 5,
  },
  {
    name: 'a job that is removed with its targets opens a ticket',
    series: [...gone(60, '1x60'), ...another('b:1', 'other')],
    firing: { '1h10m': [], '1h20m': [TAKEN_AWAY], '8h': [] },
    every: 5,
  },
  {
    name: 'an instance that is removed does not remove its job',
    series: [...gone(60, '1x60'), ...another('b:1')],
    firing: { '1h17m': [], '1h30m': [] },
  },
  {
    name: 'a target that does not answer opens a ticket',
    series: [...gone(60, '1x59 0x900'), ...another('b:1')],
    firing: { '1h4m': [], '1h7m': [DOWN] },
  },
  {
    name: 'a target that does not answer for four minutes opens none',
    series: [...process({ up: '1x59 0x3 1x900' }), ...another('b:1')],
    firing: { '1h4m': [], '1h7m': [] },
  },
  {
    name: 'a target that never had metrics of lastchunk opens none',
    series: [...process(), { series: 'up{instance="z:1",job="node"}', values: '1x59 0x900' }],
    firing: { '1h7m': [] },
  },
];
