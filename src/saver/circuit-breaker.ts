/**
 * Decides whether a batch may be sent to the store. While the store answers, every batch may. After a failure the circuit is
 * open: one probe at a time, with growing waits in between, so that a failing database is not overloaded and no save waits for a
 * call that is likely to fail. An open circuit never stops probing.
 */
import { type Clock, epochOf } from '../core/clock.ts';

/** Messages in one batch, at most: one statement over arrays. */
export const BATCH_MESSAGES = 256;

/** The shortest wait before a probe. */
export const BACKOFF_MIN_MS = 100;
/** The longest wait: what a recovery may take to be noticed. */
export const BACKOFF_MAX_MS = 5_000;

/** Permission to send one batch. Exactly one of its functions is called, once. */
export interface Permit {
  /** The circuit is open, and this batch probes the store. */
  readonly isProbe: boolean;
  /** The store answered (`undefined`), or did not work: the error's type. */
  report(errorType: string | undefined): void;
  /** There was nothing to send after all. */
  release(): void;
}

/** What a circuit breaker is made of. */
export interface CircuitBreakerOptions {
  readonly clock: Clock;
  /** From 0 up to 1; for the jitter. */
  readonly random: () => number;
  /** After each failure that opened the circuit or kept it open. */
  readonly onAway: (errorType: string, wasOpen: boolean) => void;
  /** After the answer that closed it. */
  readonly onBack: () => void;
}

/** Admits batches to the store by what the last answers said. */
export class CircuitBreaker {
  readonly #clock: Clock;
  readonly #options: CircuitBreakerOptions;
  readonly #waiting = new WaitQueue<Permit>();
  #isOpen = false;
  #limit = BATCH_MESSAGES;
  #lastFailure: { readonly atMs: number; readonly errorType: string } | undefined;
  #lastSuccessMs: number | undefined;
  #isProbing = false;
  #failures = 0;
  #cancelWait: (() => void) | undefined;

  constructor(options: CircuitBreakerOptions) {
    this.#clock = options.clock;
    this.#options = options;
  }

  /** True while the store is away. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * How many messages the next batch may hold: one while the circuit is open, then twice as many after each success. So a batch
   * that was too large, or had a message that the store cannot process, does not block all others.
   */
  get limit(): number {
    return this.#limit;
  }

  /** The last failure of a batch, epoch milliseconds; `undefined` when there was none. */
  get lastFailure(): { readonly atMs: number; readonly errorType: string } | undefined {
    const failure = this.#lastFailure;
    return failure && { ...failure, atMs: epochOf(this.#clock, failure.atMs) };
  }

  /** Epoch milliseconds of the last answer; 0 when there was none. */
  get lastSuccessMs(): number {
    const ms = this.#lastSuccessMs;
    return ms === undefined ? 0 : epochOf(this.#clock, ms);
  }

  /** Resolves when the caller may send; to `undefined` when `signal` aborts first. */
  acquire(signal: AbortSignal): Promise<Permit | undefined> {
    const isAdmitted = !signal.aborted && this.#waiting.length === 0 && this.#isFree();
    return isAdmitted ? Promise.resolve(this.#permit()) : this.#waiting.wait(signal);
  }

  /** Ends the wait before the next probe. */
  probeNow(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#admit();
  }

  #isFree(): boolean {
    return !this.#isOpen || (!this.#isProbing && this.#cancelWait === undefined);
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#isFree()) this.#waiting.admit(() => this.#permit());
  }

  #permit(): Permit {
    const isProbe = this.#isOpen;
    this.#isProbing ||= isProbe;
    const leave = (): void => {
      if (isProbe) this.#isProbing = false;
    };
    return {
      isProbe,
      report: (errorType) => {
        leave();
        if (errorType === undefined) this.#recordAnswer();
        else this.#recordFailure(errorType, isProbe);
      },
      release: () => {
        leave();
        this.#admit();
      },
    };
  }

  #recordAnswer(): void {
    this.#lastSuccessMs = this.#clock.monotonicMs();
    this.#limit = Math.min(BATCH_MESSAGES, this.#limit * 2);
    this.#failures = 0;
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    if (wasOpen) this.#options.onBack();
    this.probeNow();
  }

  #recordFailure(errorType: string, isProbe: boolean): void {
    this.#lastFailure = { atMs: this.#clock.monotonicMs(), errorType };
    this.#limit = 1;
    // Sent before the circuit opened: the failure is the one that is known already.
    if (this.#isOpen && !isProbe) return;
    const wasOpen = this.#isOpen;
    this.#isOpen = true;
    this.#failures += 1;
    const waitMs = backoffMs(this.#failures, this.#options.random);
    this.#cancelWait = this.#clock.after(waitMs, () => this.probeNow());
    this.#options.onAway(errorType, wasOpen);
  }
}

/**
 * Milliseconds to wait after the given number of failures in a row (1 is the first): a random point between the
 * minimum and twice as much as after the failure before. The jitter spreads the replicas of an app over the interval, so
 * that a database which has just come back is not met by all of them at once. `random` gives a number from 0 up to 1.
 */
export function backoffMs(failures: number, random: () => number): number {
  const ceilingMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures, 10));
  return BACKOFF_MIN_MS + random() * (ceilingMs - BACKOFF_MIN_MS);
}

/** Waits in the order of their arrival, each of which a signal can end. */
export class WaitQueue<T> {
  readonly #waiting: ((value: T) => void)[] = [];

  /** Waits that have not ended. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Waits until admitted, with what `admit` gave; `undefined` when the signal aborts first. */
  wait(signal: AbortSignal): Promise<T | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        resolve(undefined);
      };
      const enter = (value: T): void => {
        signal.removeEventListener('abort', leave);
        resolve(value);
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** Ends the oldest wait with a value; has no effect without a waiter. */
  admit(give: () => T): void {
    this.#waiting.shift()?.(give());
  }
}
