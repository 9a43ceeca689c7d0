/** The `AbortSignal` that tells a handler that its work is no longer wanted; made when somebody asks for it. */
import type { RoutedRequest } from './exchange.ts';

export interface StopSignal {
  readonly signal: AbortSignal;
  /** Aborts with a reason of our own; the first call counts. */
  abort(why: string): void;
}

/** Under a guard `req.signal`, where this Node has it, is this signal from the start. */
export function createStopSignal(req: RoutedRequest, guarded: boolean): StopSignal {
  let controller: AbortController | undefined;
  let reason: DOMException | undefined;

  const stopSignal: StopSignal = {
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (reason !== undefined) controller.abort(reason);
      }
      return controller.signal;
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
