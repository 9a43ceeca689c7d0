/** Streams on their way, so that an answer of ten minutes does not show its chunks in one jump at its end. */
import type { StreamView } from '../core/observer.ts';
import type { Board, Cell } from './board.ts';
import { METRICS } from '../core/names/index.ts';

export interface LiveStreams {
  start(stream: StreamView, route: string): void;
  /** Counts the rest, and gives the route that the stream was started with. */
  end(stream: StreamView): string | undefined;
  /** Counts what was written since the last time. */
  flush(): void;
}

/** What a live stream has written, and the series that it goes to. */
interface Seen {
  readonly route: string;
  readonly series: RouteSeries;
  chunks: number;
  bytes: number;
}

interface RouteSeries {
  readonly chunks: Cell;
  readonly bytes: Cell;
}

export function createLiveStreams(board: Board): LiveStreams {
  const streams = new Map<StreamView, Seen>();
  // Looked up once for a route, not for each stream at each scrape.
  const routes = new Map<string, RouteSeries>();
  const seriesOf = (route: string): RouteSeries => {
    let series = routes.get(route);
    if (series === undefined) {
      const chunks = board.cell(METRICS.chunks, { route });
      series = { chunks, bytes: board.cell(METRICS.streamBytes, { route }) };
      routes.set(route, series);
    }
    return series;
  };
  return {
    start(stream, route) {
      streams.set(stream, { route, series: seriesOf(route), chunks: 0, bytes: 0 });
      board.add(METRICS.streamsActive, { route });
    },
    end(stream) {
      const seen = streams.get(stream);
      if (seen === undefined) return undefined;
      count(stream, seen);
      streams.delete(stream);
      board.add(METRICS.streamsActive, { route: seen.route }, -1);
      return seen.route;
    },
    flush() {
      for (const [stream, seen] of streams) count(stream, seen);
    },
  };
}

function count({ chunks, bytes }: StreamView, seen: Seen): void {
  seen.series.chunks.value += chunks - seen.chunks;
  seen.series.bytes.value += bytes - seen.bytes;
  seen.chunks = chunks;
  seen.bytes = bytes;
}
