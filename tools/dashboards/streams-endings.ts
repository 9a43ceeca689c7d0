/** How many streams there are, and how they end. */
/* oxlint-disable max-lines-per-function -- tables of panels, which are no shorter in pieces */
import { DAY, MINUTE } from '../../src/slo/duration.ts';
import { RECORDS } from '../../src/slo/records.ts';
import type { PanelRow } from './panel.ts';
import type { Scope } from './scope.ts';

const THIRD = { kind: 'lines', width: 8, height: 8 } as const;

export function ratesRow({ rate, select }: Scope): PanelRow {
  return {
    id: 1,
    title: 'Rate',
    panels: [
      {
        ...THIRD,
        id: 2,
        title: 'Streams started',
        shows: 'Streams per second, by route.',
        good: 'What your traffic is at this time of the week.',
        action: 'A route that falls to 0 no longer streams, or no longer runs through lastchunk.',
        alerts: ['LastchunkMetricsAbsent', 'LastchunkJobMetricsVanished'],
        unit: 'suffix:streams/s',
        min: 0,
        queries: [{ expr: `${rate('route', 'streamsStarted')} > 0`, legend: '{{route}}' }],
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 3,
        title: 'Open streams',
        shows:
          'Streams that are open in each process, and those of them that outlive their client.',
        good: 'The rate times the duration; it comes down when traffic does.',
        action: 'When it only climbs, handlers do not end.',
        alerts: ['LastchunkStreamsStuck'],
        unit: 'short',
        min: 0,
        queries: [
          { expr: `sum by (instance) (${select('streamsActive')})`, legend: '{{instance}}' },
          {
            expr: `sum by (instance) (${select('streamsFinishing')})`,
            legend: 'without a client, {{instance}}',
          },
        ],
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 4,
        title: 'Chunks of a stream',
        shows:
          'Body writes for each stream that ended, and on the right bytes per second toward clients.',
        good: 'Steady: it is how your model cuts its answers.',
        action: 'Near 1, something between the model and the client collects the answer first.',
        unit: 'short',
        min: 0,
        queries: [
          {
            expr: `${rate('', 'chunks')} / (${rate('', 'streamsEnded')} > 0)`,
            legend: 'chunks of a stream',
          },
          { expr: rate('', 'streamBytes'), legend: 'bytes', right: 'Bps' },
        ],
        noValue: 'no streams',
      },
    ],
  };
}

const OUTCOME_COLOURS = {
  completed: 'green',
  disconnected: 'blue',
  stopped: 'light-blue',
  failed: 'red',
  'timed-out': 'orange',
  truncated: 'purple',
  interrupted: 'gray',
} as const;

export function endingsRow({ rate, recorded, slo }: Scope): PanelRow {
  const of = slo.by.map((label) => `{{${label}}}`).join(' ');
  const not = ['disconnected', 'failed', 'timed-out', 'truncated', 'interrupted'] as const;
  return {
    id: 20,
    title: 'Errors',
    panels: [
      {
        ...THIRD,
        id: 21,
        kind: 'stack',
        title: 'Streams by outcome',
        shows: 'Streams that ended, per second, by how.',
        good: 'Green, with some blue: people leave.',
        action:
          'Red, orange and purple are the model or your handler; the spans of these streams say which.',
        unit: 'suffix:streams/s',
        min: 0,
        queries: [{ expr: rate('outcome', 'streamsEnded'), legend: '{{outcome}}' }],
        colours: OUTCOME_COLOURS,
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 22,
        title: 'Share of each bad outcome',
        shows: 'How many of all streams ended in each way that is not a good one.',
        good: 'Flat; the client leaving is the largest.',
        action:
          'Truncated that rises is a model that stops early; interrupted is a process that went down.',
        alerts: ['LastchunkDisconnectRateHigh', 'LastchunkInstanceRestarting'],
        unit: 'percentunit',
        min: 0,
        queries: [
          {
            expr: `${rate('outcome', 'streamsEnded', { outcome: not })} / ignoring (outcome) group_left () (${rate('', 'streamsEnded')} > 0)`,
            legend: '{{outcome}}',
          },
        ],
        colours: OUTCOME_COLOURS,
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 23,
        title: 'Clients that leave, now and usually',
        shows: 'The share of streams whose client left, over 15 minutes and over the day before.',
        good: 'The two lines close together.',
        action:
          'Twice as many as usual is a slow model, a broken client release or a proxy that cuts connections.',
        alerts: ['LastchunkDisconnectRateHigh'],
        unit: 'percentunit',
        min: 0,
        queries: [
          { expr: recorded(RECORDS.disconnectRatio(15 * MINUTE)), legend: `15m ${of}` },
          { expr: recorded(RECORDS.disconnectRatio(DAY)), legend: `the day before ${of}` },
        ],
        noValue: 'no streams',
      },
      {
        ...THIRD,
        id: 25,
        width: 12,
        title: 'Noise',
        shows:
          'Errors per second that were called noise, by reason: a client left or a stream was aborted, nothing failed. Dashed: for each stream, recently and on the day before.',
        good: 'About as many as clients that leave.',
        action:
          'Far more than usual may be a real failure that looks like leaving: look at the lowered log lines.',
        alerts: ['LastchunkNoiseRateJump'],
        unit: 'suffix:errors/s',
        min: 0,
        queries: [
          {
            expr: `${rate('reason', 'noise')} > 0`,
            legend: '{{reason}}',
            emptyBecause: 'no error was called noise',
          },
          {
            expr: recorded(RECORDS.noiseRatio(15 * MINUTE)),
            legend: `each stream, 15m ${of}`,
            right: 'short',
          },
          {
            expr: recorded(RECORDS.noiseRatio(DAY)),
            legend: `each stream, the day before ${of}`,
            right: 'short',
          },
        ],
        noValue: 'no noise',
      },
      {
        ...THIRD,
        id: 24,
        width: 12,
        title: 'Not read to the end',
        shows:
          'Streams per second that had no client any more and were ended early, by the budget that was spent.',
        good: '0.',
        action: 'Raise that budget of finish, or choose another policy for clients that leave.',
        alerts: ['LastchunkFinishRefused'],
        unit: 'suffix:streams/s',
        min: 0,
        queries: [{ expr: rate('reason', 'finishRefused'), legend: '{{reason}}' }],
        noValue: 'no data',
      },
    ],
  };
}
