/** What streams do, as numbers. */
import type { Observer } from '../core/observer.ts';
import type { Board } from './board.ts';
import { createLiveStreams } from './live-streams.ts';
import { METRICS } from '../core/names/index.ts';
import type { Observe } from './sink.ts';

/** The callbacks of streams; `flush` counts what live streams have written, and is called at every scrape. */
export function createStreamMetrics(
  board: Board,
  routeOf: (route: string) => string,
  observe: Observe,
): Observer & { readonly flush: () => void } {
  const live = createLiveStreams(board);
  return {
    flush: () => live.flush(),
    onStart(stream) {
      const route = routeOf(stream.route);
      board.add(METRICS.streamsStarted, { route });
      live.start(stream, route);
    },
    onFirstChunk(stream, ms) {
      observe(METRICS.timeToFirstChunk, { route: routeOf(stream.route) }, ms / 1000, stream);
    },
    onHold(stream, released, ms) {
      board.add(METRICS.holds, { released });
      observe(METRICS.holdDuration, {}, ms / 1000, stream);
    },
    onFinishing(_stream, begins) {
      board.add(METRICS.streamsFinishing, {}, begins ? 1 : -1);
    },
    onFinishRefused(_stream, reason) {
      board.add(METRICS.finishRefused, { reason });
    },
    onEnd({ stream, outcome, durationMs, maxChunkGapMs }) {
      const route = live.end(stream) ?? routeOf(stream.route);
      const guarded = stream.guarded ? 'true' : 'false';
      board.add(METRICS.streamsEnded, { route, outcome, guarded });
      observe(METRICS.streamDuration, { route }, durationMs / 1000, stream);
      if (maxChunkGapMs === undefined) return;
      observe(METRICS.chunkGap, { route }, maxChunkGapMs / 1000, stream);
    },
  };
}
