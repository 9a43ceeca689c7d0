/** The `AbortSignal` that tells a handler that its work is no longer wanted; made when somebody asks for it. */
import { along } from '../response/along.ts';
import {
  type Departure,
  markStopReason,
  type Moment,
  thisMoment,
} from '../../core/current-stream.ts';
import type { RoutedRequest } from '../response/exchange.ts';

export interface StopSignal {
  readonly signal: AbortSignal;
  /** What it was aborted with; `undefined` while it is not. */
  readonly reason: unknown;
  /** Who does not wait for the answer any more, and since when. */
  readonly departed: { readonly how: Departure; readonly at: Moment } | undefined;
  /** Aborts with a reason of our own; the first call counts. */
  abort(why: string): void;
  /** Nobody waits for the answer; the first call counts. */
  left(how: Departure): void;
}

/** Under a guard `req.signal`, where this Node has it, is this signal from the start. */
export function createStopSignal(req: RoutedRequest, guarded: boolean): StopSignal {
  const stopSignal = new LazySignal();
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
    const found = along(signals, this);
    // Asked of a proxy of the request: what its class has for this.
    return found === undefined
      ? Reflect.get(Object.getPrototypeOf(this), 'signal', this)
      : found.signal;
  },
};

/** A class, because there is one for each live stream. */
class LazySignal implements StopSignal {
  reason: DOMException | undefined;
  departed: StopSignal['departed'];
  #controller: AbortController | undefined;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.reason !== undefined) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  left(how: Departure): void {
    this.departed ??= { how, at: thisMoment() };
  }

  abort(why: string): void {
    if (this.reason !== undefined) return;
    // An AbortError, because that is what LLM clients take for a cancellation.
    this.reason = new DOMException(`lastchunk: ${why}`, 'AbortError');
    markStopReason(this.reason);
    this.#controller?.abort(this.reason);
  }
}
