/** Routes as labels: bounded in number, and each with all of its series from the moment it is known. */
import type { Board } from './board.ts';
import { createCap } from './cap.ts';
import { ROUTE } from '../core/names/labels.ts';
import type { Counter, Gauge, Histogram } from '../core/names/metric.ts';
import { METRICS } from '../core/names/index.ts';
import type { Sink } from './sink.ts';

/** Series of a route: at 0 from the moment the route is known. */
const PER_ROUTE: readonly (Counter | Gauge)[] = [
  METRICS.streamsStarted,
  METRICS.streamsEnded,
  METRICS.streamsActive,
  METRICS.chunks,
  METRICS.streamBytes,
  METRICS.savesExpected,
  METRICS.saves,
  METRICS.savesPending,
  METRICS.savesSkipped,
  METRICS.textUnknown,
  METRICS.capturesCut,
];

const DISTRIBUTIONS_PER_ROUTE: readonly Histogram[] = [
  METRICS.timeToFirstChunk,
  METRICS.streamDuration,
  METRICS.chunkGap,
  METRICS.saveDuration,
];

/** Gives the label of a route. At the first call with a route, its series begin at 0. */
export function createRoutes(board: Board, sinks: readonly Sink[]): (route: string) => string {
  const cap = createCap(ROUTE);
  const begun = new Set<string>();
  const labelOf = (pattern: string): string => {
    const route = cap(pattern === '' ? 'unmatched' : pattern);
    if (begun.has(route)) return route;
    begun.add(route);
    for (const metric of PER_ROUTE) board.zero(metric, { route });
    for (const metric of DISTRIBUTIONS_PER_ROUTE) {
      for (const sink of sinks) sink.prepare(metric, { route });
    }
    return route;
  };
  for (const route of ROUTE.always) labelOf(route);
  return labelOf;
}
