/**
 * Connections and streams: which of the clients that are out belong to which stream, and whether one of them was held
 * from before the first chunk until after the last.
 */
import type { Observer, StreamView } from '../core/observer.ts';
import type { Place } from './place.ts';

/** A client that is out. */
export interface Holding {
  readonly pool: string;
  /** By `performance.now()`. */
  readonly takenAt: number;
  readonly place: Place;
  /** The stream whose handler took it; it may not have begun. */
  readonly streamId: string | undefined;
  /** A report about it was made. */
  told: boolean;
}

/** Streams that are on their way, and what they hold. */
export interface HeldByStreams extends Pick<Observer, 'onStart' | 'onEnd'> {
  taken(holding: Holding): void;
  released(holding: Holding): void;
  /** The stream of this holding, while it is on its way. */
  streamOf(holding: Holding): StreamView | undefined;
}

/** What was held of one stream: still out, or how many chunks there were when it was given back. */
type Held = Map<Holding, number | 'out'>;

/** An answer in one piece is not spread over time. */
const CHUNKS_MIN = 2;

/** `onHeld` is told of each client that was held across a stream. */
export function createHeldByStreams(
  onHeld: (holding: Holding, stream: StreamView) => void,
): HeldByStreams {
  const live = new Map<string, StreamView>();
  const held = new Map<string, Held>();
  const streamOf = ({ streamId }: Holding): StreamView | undefined =>
    streamId === undefined ? undefined : live.get(streamId);

  return {
    streamOf,
    taken(holding) {
      const { streamId } = holding;
      if (streamId === undefined || (live.get(streamId)?.chunks ?? 0) > 0) return;
      const known = held.get(streamId);
      if (known === undefined) held.set(streamId, new Map([[holding, 'out']]));
      else known.set(holding, 'out');
    },
    released(holding) {
      const known = held.get(holding.streamId ?? '');
      if (known?.has(holding) !== true) return;
      const chunks = streamOf(holding)?.chunks ?? 0;
      if (chunks > 0) known.set(holding, chunks);
      // Given back before the first chunk, as it should be.
      else known.delete(holding);
      if (known.size === 0) held.delete(holding.streamId ?? '');
    },
    onStart: (stream) => void live.set(stream.id, stream),
    onEnd({ stream }) {
      const known = held.get(stream.id);
      live.delete(stream.id);
      held.delete(stream.id);
      if (known === undefined || stream.chunks < CHUNKS_MIN) return;
      for (const [holding, until] of known) {
        if (until === 'out' || until === stream.chunks) onHeld(holding, stream);
      }
    },
  };
}
