/** The `AbortSignal` that tells a handler that its work is no longer wanted; made when somebody asks for it. */
import type { Departure } from '../current.ts';
import type { RoutedRequest } from './exchange.ts';

export interface StopSignal {
  readonly signal: AbortSignal;
  /** What it was aborted with; `undefined` while it is not. */
  readonly reason: unknown;
  /** Who does not wait for the answer any more, and since when (`performance.now()`). */
  readonly departed: { readonly how: Departure; readonly atMs: number } | undefined;
  /** Aborts with a reason of our own; the first call counts. */
  abort(why: string): void;
  /** Nobody waits for the answer; the first call counts. */
  left(how: Departure): void;
}

/** Under a guard `req.signal`, where this Node has it, is this signal from the start. */
export function createStopSignal(req: RoutedRequest, guarded: boolean): StopSignal {
  let controller: AbortController | undefined;
  let reason: DOMException | undefined;
  let departed: StopSignal['departed'];

  const stopSignal: StopSignal = {
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (reason !== undefined) controller.abort(reason);
      }
      return controller.signal;
    },
    get reason() {
      return reason;
    },
    get departed() {
      return departed;
    },
    left: (how) => {
      departed ??= { how, atMs: performance.now() };
    },
    abort: (why) => {
      if (reason !== undefined) return;
      // An AbortError, because that is what LLM clients take for a cancellation.
      reason = new DOMException(`lastchunk: ${why}`, 'AbortError');
      controller?.abort(reason);
    },
  };
  if (guarded && 'signal' in req) {
    Object.defineProperty(req, 'signal', { configurable: true, get: () => stopSignal.signal });
  }
  return stopSignal;
}
