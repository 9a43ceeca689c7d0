/** Streams on their way, so that an answer of ten minutes does not show its chunks in one jump at its end. */
import type { StreamView } from '../observer.ts';
import type { Board } from './board.ts';
import { METRICS } from './names.ts';

export interface LiveStreams {
  start(stream: StreamView, route: string): void;
  /** Counts the rest, and gives the route that the stream was started with. */
  end(stream: StreamView): string | undefined;
  /** Counts what was written since the last time. */
  flush(): void;
}

export function createLiveStreams(board: Board): LiveStreams {
  const streams = new Map<StreamView, { route: string; chunks: number; bytes: number }>();
  const flush = (stream: StreamView): void => {
    const seen = streams.get(stream);
    if (seen === undefined) return;
    const { route } = seen;
    board.add(METRICS.chunks, { route }, stream.chunks - seen.chunks);
    board.add(METRICS.streamBytes, { route }, stream.bytes - seen.bytes);
    streams.set(stream, { route, chunks: stream.chunks, bytes: stream.bytes });
  };
  return {
    start(stream, route) {
      streams.set(stream, { route, chunks: 0, bytes: 0 });
      board.add(METRICS.streamsActive, { route });
    },
    end(stream) {
      flush(stream);
      const route = streams.get(stream)?.route;
      if (streams.delete(stream) && route !== undefined) {
        board.add(METRICS.streamsActive, { route }, -1);
      }
      return route;
    },
    flush() {
      for (const stream of streams.keys()) flush(stream);
    },
  };
}
