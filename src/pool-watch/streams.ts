/**
 * Connections and streams: which of the clients that are out belong to which stream, and whether one of them was held
 * from before the first chunk until after the last.
 */
import type { Observer, StreamSummary, StreamView } from '../core/observer.ts';
import type { Taker } from './connect.ts';

/** A client that is out. */
export interface Holding extends Taker {
  readonly pool: string;
  /** By `performance.now()`. */
  readonly takenAt: number;
  /** A report about it was made. */
  told: boolean;
}

/** What was held of one stream: still out, or how many chunks there were when it was given back. */
type Held = Map<Holding, number | 'out'>;

/** An answer in one piece is not spread over time. */
const CHUNKS_MIN = 2;

/** Streams that are on their way, and what they hold. An observer of the instance: it has to hear of its streams. */
export class HeldByStreams implements Pick<Observer, 'onStart' | 'onEnd'> {
  readonly #onHeld: (holding: Holding, stream: StreamView) => void;
  readonly #live = new Map<string, StreamView>();
  readonly #held = new Map<string, Held>();

  /** `onHeld` is told of each client that was held across a stream. */
  constructor(onHeld: (holding: Holding, stream: StreamView) => void) {
    this.#onHeld = onHeld;
  }

  /** The stream of this holding, while it is on its way. */
  streamOf({ streamId }: Holding): StreamView | undefined {
    return streamId === undefined ? undefined : this.#live.get(streamId);
  }

  recordTaken(holding: Holding): void {
    const { streamId } = holding;
    if (streamId === undefined || (this.#live.get(streamId)?.chunks ?? 0) > 0) return;
    const known = this.#held.get(streamId);
    if (known === undefined) this.#held.set(streamId, new Map([[holding, 'out']]));
    else known.set(holding, 'out');
  }

  recordReleased(holding: Holding): void {
    const known = this.#held.get(holding.streamId ?? '');
    if (known?.has(holding) !== true) return;
    const chunks = this.streamOf(holding)?.chunks ?? 0;
    if (chunks > 0) known.set(holding, chunks);
    // Given back before the first chunk, as it should be.
    else known.delete(holding);
    if (known.size === 0) this.#held.delete(holding.streamId ?? '');
  }

  onStart(stream: StreamView): void {
    this.#live.set(stream.id, stream);
  }

  onEnd({ stream }: StreamSummary): void {
    const known = this.#held.get(stream.id);
    this.#live.delete(stream.id);
    this.#held.delete(stream.id);
    if (known === undefined || stream.chunks < CHUNKS_MIN) return;
    for (const [holding, until] of known) {
      if (until === 'out' || until === stream.chunks) this.#onHeld(holding, stream);
    }
  }
}
