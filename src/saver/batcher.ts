/**
 * Group commit that sets its own pace. The first message goes at once; what arrives while every lane has a batch on
 * its way goes together in the next. Under light load a save costs one round trip, under heavy load the batches
 * grow by themselves; there is no timer that a message could wait for.
 */
import type { Circuit } from './circuit-breaker.ts';
import { sizeOf } from './size.ts';
import type { Parcel } from './store-client.ts';

/** Estimated bytes in one batch, at most; a single larger message still goes, alone. */
export const BATCH_BYTES = 4 * 1024 * 1024;

export interface QueueOptions<T extends Parcel> {
  readonly circuit: Circuit;
  /** Batches on their way at once. */
  readonly lanes: number;
  /** Ends the waits; what is queued stays where it is. */
  readonly signal: AbortSignal;
  /** Resolves to the error type when the store is away; never rejects. */
  readonly send: (batch: readonly T[]) => Promise<string | undefined>;
  /** Asked after a batch: whether this one has to be sent again. It goes to the end of the queue. */
  readonly isUnfinished: (parcel: T) => boolean;
}

/** Messages that wait for a batch, in the order in which they came. */
export interface Queue<T extends Parcel> {
  add(parcel: T): void;
  /** Takes one out that need not be sent any more. */
  remove(parcel: T): void;
}

export function createQueue<T extends Parcel>(options: QueueOptions<T>): Queue<T> {
  const { circuit, lanes, signal, send, isUnfinished } = options;
  const queued = new Set<T>();
  let running = 0;

  const take = (): T[] => {
    const batch: T[] = [];
    let bytes = 0;
    for (const parcel of queued) {
      bytes += sizeOf(parcel.message);
      if (batch.length > 0 && (batch.length >= circuit.facts.limit || bytes > BATCH_BYTES)) break;
      batch.push(parcel);
      queued.delete(parcel);
    }
    return batch;
  };
  const lane = async (): Promise<void> => {
    while (queued.size > 0) {
      const pass = await circuit.enter(signal);
      if (pass === undefined) break;
      const batch = take();
      if (batch.length === 0) {
        pass.unused();
        continue;
      }
      pass.done(await send(batch));
      for (const parcel of batch) if (isUnfinished(parcel)) queued.add(parcel);
    }
    running -= 1;
  };

  return {
    add(parcel) {
      queued.add(parcel);
      if (running === lanes) return;
      running += 1;
      void lane();
    },
    remove(parcel) {
      queued.delete(parcel);
    },
  };
}
