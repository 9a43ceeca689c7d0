/**
 * The way back from disk: what the journal holds goes to the store as soon as the store takes it. Live saves
 * are not delayed by it; while the store is away, a message from disk is as good a probe as any.
 */
import type { Backlog, Waiting } from './backlog.ts';
import { createBell } from './wake-signal.ts';
import type { Circuit } from './circuit-breaker.ts';
import type { Clock } from '../core/clock.ts';
import type { Delivery, Loaded } from './delivery.ts';
import { BATCH_BYTES } from './batcher.ts';
import { sizeOf } from './size.ts';

export interface ReplayOptions {
  readonly backlog: Backlog;
  readonly delivery: Delivery;
  readonly circuit: Circuit;
  readonly clock: Clock;
  /** Ends the waits and the loop. */
  readonly signal: AbortSignal;
  /** The backlog may have become shorter. */
  readonly onProgress: () => void;
}

export interface Replay {
  /** Something was put on disk. */
  wake(): void;
  /** Replays in the background until the signal; never rejects. */
  run(): Promise<void>;
  /** Replays until nothing is left or the store does not take it; returns what was done meanwhile. */
  drain(): Promise<{ readonly saved: number; readonly refused: number }>;
  /** Resolves when the batch that is on its way has its answer. */
  idle(): Promise<void>;
}

export function createReplay(options: ReplayOptions): Replay {
  const { backlog, circuit, clock, signal } = options;
  const bell = createBell(clock, signal);
  const totals = { saved: 0, refused: 0 };
  let turn: Promise<unknown> = Promise.resolve();

  /** One batch at a time, whoever asks for it. */
  const step = (): Promise<Step> => {
    const next = turn.then(() => replayBatch(options, totals));
    turn = next;
    return next;
  };
  const rest = (): Promise<void> => {
    const { nextTurnMs } = backlog;
    if (nextTurnMs === undefined) return bell.sleep();
    return bell.sleep(Math.max(1, nextTurnMs - clock.monotonicMs()));
  };

  return {
    wake: () => bell.ring(),
    async idle() {
      await turn;
    },
    async run() {
      while (!signal.aborted) {
        const did = await step();
        if (did === 'nothing') await rest();
      }
    },
    async drain() {
      const before = { ...totals };
      circuit.nudge();
      let did: Step = 'done';
      while (did === 'done') did = await step();
      return { saved: totals.saved - before.saved, refused: totals.refused - before.refused };
    },
  };
}

type Step = 'done' | 'nothing' | 'away';

/** Takes a turn, if there is anything to do; `nothing` also when the signal aborts. */
async function replayBatch(
  { backlog, delivery, circuit, signal, onProgress }: ReplayOptions,
  totals: { saved: number; refused: number },
): Promise<Step> {
  if (backlog.choose(1).length === 0) return 'nothing';
  const pass = await circuit.enter(signal);
  if (pass === undefined) return 'nothing';
  const chosen = backlog.choose(circuit.facts.limit);
  const batch = await loadBatch(chosen, backlog, delivery);
  if (batch.length === 0) {
    pass.unused();
    return chosen.length === 0 ? 'nothing' : 'done';
  }
  const { fates, errorType } = await delivery.deliver(batch);
  pass.done(errorType);
  batch.forEach(({ waiting }, index) => {
    const fate = fates[index] ?? 'away';
    if (fate === 'away') backlog.putBack(waiting, !pass.isProbe);
    else if (fate === 'stuck') backlog.giveUp(waiting);
    else {
      totals[fate] += 1;
      backlog.finish(waiting);
    }
  });
  onProgress();
  return errorType === undefined ? 'done' : 'away';
}

/** Reads as many as fit into one batch; the others keep their place. */
async function loadBatch(
  chosen: readonly Waiting[],
  backlog: Backlog,
  delivery: Delivery,
): Promise<readonly Loaded[]> {
  const batch: Loaded[] = [];
  let bytes = 0;
  for (const waiting of chosen) {
    const loaded = await delivery.load(waiting);
    if (loaded === 'empty') backlog.finish(waiting);
    else if (loaded === 'stuck') backlog.giveUp(waiting);
    else {
      bytes += sizeOf(loaded.message);
      batch.push(loaded);
    }
    if (bytes > BATCH_BYTES) break;
  }
  return batch;
}
