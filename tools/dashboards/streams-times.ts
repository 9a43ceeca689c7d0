/** The rows about the duration of streams, and about the processes that they run in. */
/* oxlint-disable max-lines-per-function -- tables of panels, which are no shorter in pieces */
import type { Panel, PanelRow } from './panel.ts';
import { WINDOW, type Scope } from './scope.ts';

const THIRD = { kind: 'lines', width: 8, height: 7 } as const;

export function durationsRow({ quantile, buckets }: Scope): PanelRow {
  return {
    id: 40,
    title: 'Duration',
    panels: [
      {
        ...THIRD,
        id: 41,
        title: 'Time to the first chunk',
        shows:
          'From the start of the request to the first body write. The dots are single streams and lead to their traces.',
        good: 'What your model needs to begin, and steady.',
        action:
          'When it rises, compare it with the time that the model itself took: the spans below the stream have it.',
        unit: 's',
        min: 0,
        queries: [0.5, 0.95, 0.99].map((q) => ({
          expr: quantile(q, 'timeToFirstChunk'),
          legend: `p${q * 100}`,
          ...(q === 0.99 && { exemplars: true }),
        })),
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 42,
        kind: 'heatmap',
        title: 'Duration of streams',
        shows: 'How many streams took how long, from the start of the request to their end.',
        good: 'One cloud that stays where it is.',
        action: 'A line at one exact duration is a timeout, of a proxy or of ours.',
        unit: 's',
        queries: [{ expr: buckets('streamDuration'), legend: '{{le}}' }],
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 43,
        title: 'Largest gap between chunks',
        shows: 'The longest silence in a stream, one observation for each.',
        good: 'Far below the idle timeouts of the proxies in between.',
        action:
          'Long silences are the model; near a timeout, send comments to keep the connection open.',
        alerts: ['LastchunkStreamsStuck'],
        unit: 's',
        min: 0,
        queries: [0.5, 0.99].map((q) => ({ expr: quantile(q, 'chunkGap'), legend: `p${q * 100}` })),
        noValue: 'no streams',
      },
    ],
  };
}

export function runtimeRow({ ofProcess, select }: Scope): PanelRow {
  const plain = (
    panel: Pick<Panel, 'id' | 'title' | 'shows' | 'good' | 'action' | 'unit'> & {
      readonly expr: string;
      readonly alerts?: readonly string[];
    },
  ): Panel => {
    const { expr, ...rest } = panel;
    const queries = [{ expr, legend: '{{instance}}' }];
    return { ...THIRD, min: 0, queries, noValue: 'no data', ...rest };
  };
  return {
    id: 60,
    title: 'Processes',
    panels: [
      plain({
        id: 61,
        title: 'Event-loop delay, p99',
        shows: 'How late the event loop gets to what is due, in each process.',
        good: 'Below 50 ms.',
        action: 'Above, every stream of the process stutters: profile it, or start more processes.',
        unit: 's',
        expr: `max by (instance) (${ofProcess('nodejs_eventloop_lag_p99_seconds')})`,
      }),
      plain({
        id: 62,
        title: 'CPU',
        shows: 'Processor time of each process; 1 is one core.',
        good: 'Below 70 % of a core.',
        action: 'JavaScript runs on one core: near 100 %, start more processes.',
        unit: 'percentunit',
        expr: `sum by (instance) (rate(${ofProcess('process_cpu_seconds_total')}${WINDOW}))`,
      }),
      plain({
        id: 63,
        title: 'Memory',
        shows: 'Resident memory of each process.',
        good: 'Flat under steady traffic.',
        action: 'What is kept of open streams is part of it: at most maxBytes for each.',
        unit: 'bytes',
        expr: `max by (instance) (${ofProcess('process_resident_memory_bytes')})`,
      }),
      plain({
        id: 64,
        title: 'Starts',
        shows: 'How often each process was started again in a span of the plot.',
        good: '0, and 1 at a deploy.',
        action:
          'More is a process that crashes: its last log lines say why, and the journal keeps its streams.',
        alerts: ['LastchunkInstanceRestarting'],
        unit: 'short',
        expr: `sum by (instance) (changes(${ofProcess('process_start_time_seconds')}${WINDOW}))`,
      }),
      {
        ...THIRD,
        id: 65,
        width: 16,
        title: 'What runs',
        shows:
          'Processes by version of lastchunk and of Node, and by the file system of the journal.',
        good: 'One line, or two during a deploy; the journal on a disk.',
        action: 'A journal on overlay or tmpfs is gone with its container: mount a volume.',
        alerts: ['LastchunkTargetDown'],
        unit: 'short',
        decimals: 0,
        min: 0,
        queries: [
          {
            expr: `count by (version, node, journal) (${select('buildInfo')})`,
            legend: 'lastchunk {{version}}, Node {{node}}, journal on {{journal}}',
          },
        ],
        noValue: 'no processes',
      },
    ],
  };
}
