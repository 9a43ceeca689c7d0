/** The `AbortSignal` that aborts when the work of a handler is no longer wanted; created on first access. */
import { findInPrototypeChain } from '../response/shadow-property.ts';
import {
  type Departure,
  markStopReason,
  type Moment,
  thisMoment,
} from '../../core/current-stream.ts';
import type { RoutedRequest } from '../response/exchange.ts';

/** The signal of one stream. */
export class StopSignal {
  /** What it was aborted with; `undefined` while it is not. */
  reason: DOMException | undefined;
  /** Who does not wait for the answer any more, and since when. */
  departed: { readonly how: Departure; readonly at: Moment } | undefined;
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.reason !== undefined) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /** Nobody waits for the answer; the first call counts. */
  recordDeparture(how: Departure): void {
    this.departed ??= { how, at: thisMoment() };
  }

  /** Aborts with a reason of our own; the first call counts. */
  abort(why: string): void {
    if (this.reason !== undefined) return;
    // An AbortError, because that is what LLM clients take for a cancellation.
    this.reason = new DOMException(`lastchunk: ${why}`, 'AbortError');
    markStopReason(this.reason);
    this.#controller?.abort(this.reason);
  }
}

/** The signal of a stream. Under a guard `req.signal`, where this Node has it, is this signal from the start. */
export function stopSignalFor(req: RoutedRequest, guarded: boolean): StopSignal {
  const stopSignal = new StopSignal();
  if (guarded && 'signal' in req) {
    signals.set(req, stopSignal);
    Object.defineProperty(req, 'signal', SIGNAL);
  }
  return stopSignal;
}

/** Whose signals they are; weak, because requests come and go. */
const signals = new WeakMap<object, StopSignal>();

/**
 * The same for all requests: of objects with a getter each of their own V8 makes dictionaries, which are larger by a
 * kilobyte and a half, and slow.
 */
const SIGNAL: PropertyDescriptor = {
  configurable: true,
  get(this: object): unknown {
    const found = findInPrototypeChain(signals, this);
    // Asked of a proxy of the request: what its class has for this.
    return found === undefined
      ? Reflect.get(Object.getPrototypeOf(this), 'signal', this)
      : found.signal;
  },
};
