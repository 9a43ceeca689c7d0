/** Metrics out of what the observer is told: one recorder for each `lastchunk()`, read by every sink. */
import type { Observer, PoolFinding } from '../core/observer.ts';
import { createBoard, type Board } from './board.ts';
import type { Counter } from '../core/names/metric.ts';
import { METRICS } from '../core/names/index.ts';
import { createRoutes } from './routes.ts';
import { createSaveMetrics, type PendingSaves } from './save-metrics.ts';
import type { Observe, Read, Sink } from './sink.ts';
import { readSources, type RecorderSources } from './sources.ts';
import { createStreamMetrics } from './stream-metrics.ts';

/** An observer that counts. */
export interface Recorder extends Observer {
  /** For health: the same facts that the gauges show. */
  pending(): PendingSaves;
}

/** Series without a label of the app's: they exist at 0 from the start. */
const FIXED: readonly Counter[] = [
  METRICS.holds,
  METRICS.finishRefused,
  METRICS.savesRevised,
  METRICS.savesLate,
  METRICS.saveAttempts,
  METRICS.journalReplayed,
  METRICS.journalRecovered,
  METRICS.journalCorrupt,
  METRICS.noise,
  METRICS.internalErrors,
];

/** What the pool watcher finds. */
const FINDINGS = {
  'across-stream': METRICS.poolHeldAcrossStreams,
  long: METRICS.poolHeldLong,
  leaked: METRICS.poolLeaked,
} as const satisfies Record<PoolFinding['kind'], Counter>;

/** Counts for every sink. Throws nothing of its own, at an event or at a scrape. */
export function createRecorder(sinks: readonly Sink[], sources: RecorderSources = {}): Recorder {
  const board = createBoard();
  const routeOf = createRoutes(board, sinks);
  const observe: Observe = (metric, labels, value, stream) => {
    const traceId = stream === undefined ? undefined : sources.sampledTraceIdOf?.(stream);
    for (const sink of sinks) sink.observe(metric, labels, value, traceId);
  };
  const { flush, ...streams } = createStreamMetrics(board, routeOf, observe);
  const saves = createSaveMetrics(board, routeOf, observe);
  const read: Read = () => {
    flush();
    board.set(METRICS.saveOldestPending, {}, (saves.pending().oldestMs ?? 0) / 1000);
    readSafely(board, sources);
    return board.readings();
  };

  const watchPool = (pool: string): void => {
    for (const metric of Object.values(FINDINGS)) board.zero(metric, { pool });
  };

  for (const metric of FIXED) board.zero(metric, {});
  watchPool('lastchunk');
  board.set(METRICS.streamsFinishing, {}, 0);
  for (const sink of sinks) {
    sink.prepare(METRICS.holdDuration, {});
    sink.prepare(METRICS.journalWrite, {});
    sink.attach(read);
  }
  return {
    ...streams,
    ...saves,
    onRoute: (route) => void routeOf(route),
    onNoise: (_stream, { reason }) => board.add(METRICS.noise, { reason }),
    onPoolWatched: watchPool,
    onPoolFinding: ({ pool, kind }) => board.add(FINDINGS[kind], { pool }),
    onInternalError: (where) => board.add(METRICS.internalErrors, { where }),
  };
}

/** A source that fails must not take the scrape of everything else, nor the app's own metrics, with it. */
function readSafely(board: Board, sources: RecorderSources): void {
  try {
    readSources(board, sources);
  } catch {
    board.add(METRICS.internalErrors, { where: 'observer' });
  }
}
