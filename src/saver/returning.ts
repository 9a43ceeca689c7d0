/** Everything that comes back from disk, wired: the backlog, its delivery, replay and recovery. */
import { createBacklog } from './backlog.ts';
import { createDelivery, type DeliveryOptions } from './delivery.ts';
import type { Circuit } from './circuit-breaker.ts';
import type { Journal } from '../journal/port.ts';
import { createRecovery } from './recover.ts';
import { createReplay } from './replay.ts';

/** What replaying did. `left` is what still waits in the journal. */
export interface ReplaySummary {
  readonly saved: number;
  readonly refused: number;
  readonly left: number;
}

export interface ReturningOptions extends DeliveryOptions {
  readonly journal: Journal;
  readonly circuit: Circuit;
  /** A save of this stream is in memory, and decides about its log. */
  readonly isInMemory: (streamId: string) => boolean;
  /** Ends everything in the background. */
  readonly signal: AbortSignal;
}

export interface Returning {
  /** Replays and recovers in the background. A second call does nothing. */
  start(): void;
  /** Something was put on disk. */
  wake(): void;
  replay(): Promise<ReplaySummary>;
  /** Resolves when, after the signal, nothing is running any more. */
  ended(): Promise<void>;
}

export function createReturning(options: ReturningOptions): Returning {
  const backlog = createBacklog(options);
  const delivery = createDelivery(options);
  const replay = createReplay({
    ...options,
    backlog,
    delivery,
    onProgress: () => recovery.onProgress(),
  });
  const recovery = createRecovery({ ...options, backlog, onAdopted: () => replay.wake() });
  let running: Promise<unknown> | undefined;

  return {
    start() {
      running ??= Promise.all([replay.run(), recovery.run()]);
    },
    wake: () => replay.wake(),
    async replay() {
      return { ...(await replay.drain()), left: backlog.size };
    },
    async ended() {
      await Promise.all([running, replay.idle()]);
    },
  };
}
