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
  /** The reason of the abort; `undefined` while it is not aborted. */
  reason: DOMException | undefined;
  /** Why the answer is no longer awaited, and since when; undefined while it is. */
  departed: { readonly how: Departure; readonly at: Moment } | undefined;
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.reason !== undefined) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /** Records that the answer is no longer awaited; the first call counts. */
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

/** The signals by request; weak, so that requests can be collected. */
const signals = new WeakMap<object, StopSignal>();

/**
 * One descriptor for all requests: V8 turns objects that each have a getter of their own into dictionaries, which are slow and take
 * a kilobyte and a half more.
 */
const SIGNAL: PropertyDescriptor = {
  configurable: true,
  get(this: object): unknown {
    const found = findInPrototypeChain(signals, this);
    // Read on another object, such as a proxy of the request: the getter of its class answers.
    return found === undefined
      ? Reflect.get(Object.getPrototypeOf(this), 'signal', this)
      : found.signal;
  },
};
