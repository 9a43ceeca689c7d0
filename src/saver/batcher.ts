/**
 * Group commit without a timer. The first message is sent at once; messages that arrive while every lane has a batch in flight
 * form the next batch. So a save costs one round trip under light load, and batches grow under heavy load.
 */
import type { Message } from '../core/message.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import type { BatchItem } from './store-client.ts';

/** Estimated bytes in one batch, at most; a single larger message still goes, alone. */
export const BATCH_BYTES = 4 * 1024 * 1024;

/** What a batcher is made of. */
export interface BatcherOptions<Item extends BatchItem> {
  readonly circuit: CircuitBreaker;
  /** Batches on their way at once. */
  readonly lanes: number;
  /** Ends the waits; what is queued stays where it is. */
  readonly signal: AbortSignal;
  /** Resolves to the error type when the store is away; never rejects. */
  readonly send: (batch: readonly Item[]) => Promise<string | undefined>;
  /** Asked after a batch: whether this one has to be sent again. It goes to the end of the queue. */
  readonly isQueued: (item: Item) => boolean;
}

/** Messages that wait for a batch, in the order in which they came. */
export class Batcher<Item extends BatchItem> {
  readonly #options: BatcherOptions<Item>;
  readonly #queued = new Set<Item>();
  #running = 0;

  constructor(options: BatcherOptions<Item>) {
    this.#options = options;
  }

  /** Queues a message, and sends it when a lane and the store are free. */
  add(item: Item): void {
    this.#queued.add(item);
    if (this.#running === this.#options.lanes) return;
    this.#running += 1;
    void this.#runLane();
  }

  /** Takes a message out that need not be sent any more. */
  remove(item: Item): void {
    this.#queued.delete(item);
  }

  async #runLane(): Promise<void> {
    const { circuit, signal, send, isQueued } = this.#options;
    while (this.#queued.size > 0) {
      const permit = await circuit.acquire(signal);
      if (permit === undefined) break;
      const batch = this.#take(circuit.limit);
      if (batch.length === 0) {
        permit.release();
        continue;
      }
      permit.report(await send(batch));
      for (const item of batch) if (isQueued(item)) this.#queued.add(item);
    }
    this.#running -= 1;
  }

  #take(limit: number): Item[] {
    const batch: Item[] = [];
    let bytes = 0;
    for (const item of this.#queued) {
      bytes += sizeOf(item.message);
      if (batch.length > 0 && (batch.length >= limit || bytes > BATCH_BYTES)) break;
      batch.push(item);
      this.#queued.delete(item);
    }
    return batch;
  }
}

/** Ids, numbers, times: what a row costs before its text. */
const ROW_BYTES = 512;

/**
 * Estimated bytes of a message on its way to the store, near enough to bound a batch. The text is counted in UTF-16 units;
 * events are about as long as the body they were read from.
 */
export function sizeOf(message: Message): number {
  const eventBytes = message.events === null ? 0 : message.bytes - message.droppedBytes;
  return ROW_BYTES + message.text.length + eventBytes;
}
