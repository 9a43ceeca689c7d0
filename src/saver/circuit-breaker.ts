/**
 * Whether the store is worth a try. While it answers, everybody may send. After a failure the circuit is
 * open: one probe at a time, with growing waits in between, so that a database in trouble is not hammered
 * and nobody waits for an answer that is known not to come. An open circuit never gives up.
 */
import { backoffMs } from './backoff.ts';
import type { Clock } from '../core/clock.ts';
import { createWaitingLine } from './wait-queue.ts';

/** Messages in one batch, at most: one statement over arrays. */
export const BATCH_MESSAGES = 256;

/** Leave to send one batch. Exactly one of its functions is called, once. */
export interface Pass {
  /** The store is away, and this batch finds out whether it still is. */
  readonly isProbe: boolean;
  /** The store answered (`undefined`), or did not work: the error's type. */
  done(errorType: string | undefined): void;
  /** There was nothing to send after all. */
  unused(): void;
}

export interface CircuitOptions {
  readonly clock: Clock;
  /** From 0 up to 1; for the jitter. */
  readonly random: () => number;
  /** After each failure that opened the circuit or kept it open. */
  readonly onAway: (errorType: string, wasOpen: boolean) => void;
  /** After the answer that closed it. */
  readonly onBack: () => void;
}

/** What is known of the store. */
export interface CircuitFacts {
  readonly isOpen: boolean;
  /**
   * How many messages the next batch may hold: one while the store is away, then twice as many with each answer. A
   * batch that was too much for the store, or held a message it chokes on, does not keep the others out.
   */
  readonly limit: number;
  readonly lastFailure: { readonly atMs: number; readonly errorType: string } | undefined;
  /** Epoch milliseconds of the last answer; 0 when there was none. */
  readonly lastSuccessMs: number;
}

export interface Circuit {
  /** A live view. */
  readonly facts: CircuitFacts;
  /** Resolves when the caller may send; to `undefined` when `signal` aborts first. */
  enter(signal: AbortSignal): Promise<Pass | undefined>;
  /** The next probe need not wait any longer. */
  nudge(): void;
}

export function createCircuit({ clock, random, onAway, onBack }: CircuitOptions): Circuit {
  const facts = unknownYet();
  const line = createWaitingLine<Pass>();
  let isProbing = false;
  let failures = 0;
  let cancelWait: (() => void) | undefined;

  const isFree = (): boolean => !facts.isOpen || (!isProbing && cancelWait === undefined);
  const admit = (): void => {
    while (line.length > 0 && isFree()) line.admit(pass);
  };
  const nudge = (): void => {
    cancelWait?.();
    cancelWait = undefined;
    admit();
  };
  const answered = (): void => {
    facts.lastSuccessMs = clock.epochMs();
    facts.limit = Math.min(BATCH_MESSAGES, facts.limit * 2);
    failures = 0;
    const wasOpen = facts.isOpen;
    facts.isOpen = false;
    if (wasOpen) onBack();
    nudge();
  };
  const failed = (errorType: string, isProbe: boolean): void => {
    facts.lastFailure = { atMs: clock.epochMs(), errorType };
    facts.limit = 1;
    // Sent before the circuit opened: the failure is the one that is known already.
    if (facts.isOpen && !isProbe) return;
    const wasOpen = facts.isOpen;
    facts.isOpen = true;
    failures += 1;
    cancelWait = clock.after(backoffMs(failures, random), nudge);
    onAway(errorType, wasOpen);
  };
  const pass = (): Pass => {
    const isProbe = facts.isOpen;
    isProbing ||= isProbe;
    const leave = (then: () => void): void => {
      if (isProbe) isProbing = false;
      then();
    };
    return {
      isProbe,
      done: (errorType) =>
        leave(() => (errorType === undefined ? answered() : failed(errorType, isProbe))),
      unused: () => leave(admit),
    };
  };

  return {
    facts,
    nudge,
    enter(signal) {
      const mayPass = !signal.aborted && line.length === 0 && isFree();
      return mayPass ? Promise.resolve(pass()) : line.join(signal);
    },
  };
}

function unknownYet(): { -readonly [Key in keyof CircuitFacts]: CircuitFacts[Key] } {
  return { isOpen: false, limit: BATCH_MESSAGES, lastFailure: undefined, lastSuccessMs: 0 };
}
