/**
 * Keeps calls on a response back until a message is saved, then replays them in order. What the handler asks of the
 * response meanwhile is answered as if nothing were held, except that it has not *finished*, which is true.
 */
import { cover } from './cover.ts';
import type { Exchange } from './exchange.ts';

interface HeldCall {
  readonly replay: () => void;
  readonly callback: ((error?: Error | null) => void) | undefined;
}

export interface Hold {
  readonly active: boolean;
  /** Nothing came since it began. */
  readonly empty: boolean;
  /** Starts holding. */
  begin(): void;
  /** Adds a call; `callback` is the one the handler gave, for the case that the call is never made. */
  push(replay: () => void, callback?: (error?: Error | null) => void): void;
  /** Adds the handler's `end`: from here on the response says that it has ended. */
  pushEnd(replay: () => void, callback?: () => void): void;
  /** Makes the calls, in order. */
  release(): void;
  /** The client is gone: the calls are not made, their callbacks come all the same. */
  abandon(): void;
}

/** `onError` is told of a replayed call that throws; the handler that would have met the error is gone. */
export function createHold({ res, h2 }: Exchange, onError: (error: unknown) => void): Hold {
  let active = false;
  let calls: HeldCall[] = [];
  let uncover: (() => void)[] = [];

  const restore = (): void => {
    for (const undo of uncover.reverse()) undo();
    uncover = [];
  };

  const sayEnded = (): void => {
    if (!res.headersSent) uncover.push(cover(res, 'headersSent', () => true));
    uncover.push(cover(res, 'writableFinished', () => false));
    if (h2 === undefined) {
      // Node's own write() and end() look here, and so behave as after any end().
      res.finished = true;
      uncover.push(() => {
        res.finished = false;
      });
      return;
    }
    uncover.push(cover(res, 'finished', () => true));
    uncover.push(cover(res, 'writableEnded', () => true));
  };

  const take = (): HeldCall[] => {
    active = false;
    restore();
    const taken = calls;
    calls = [];
    return taken;
  };

  return {
    get active() {
      return active;
    },
    get empty() {
      return calls.length === 0;
    },
    begin: () => {
      active = true;
    },
    push: (replay, callback) => {
      calls.push({ replay, callback });
    },
    pushEnd: (replay, callback) => {
      calls.push({ replay, callback });
      sayEnded();
    },
    release: () => {
      for (const { replay } of take()) {
        try {
          replay();
        } catch (error) {
          onError(error);
        }
      }
    },
    abandon: () => {
      for (const { callback } of take()) if (callback) process.nextTick(callback);
    },
  };
}
