/**
 * Keeps calls on a response back until a message is saved, then replays them in order. What the handler asks of the
 * response meanwhile is answered as if nothing were held, except that it has not *finished*, which is true.
 */
import { cover } from './cover.ts';
import type { Exchange, Response } from './exchange.ts';

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
  /**
   * The end is held, and what writes the response does not know of it: HTTP/2, or a middleware such as
   * compression that writes in its own time. Then the wrapper has to answer for it.
   */
  readonly pretendsEnd: boolean;
  /**
   * A second `end`, by Node's own code: at once where Node would answer at once, because all that was written has
   * left, and otherwise behind the first.
   */
  endAgain(end: () => unknown): void;
  /** Makes the calls, in order. */
  release(): void;
  /** The client is gone: the calls are not made, their callbacks come all the same. */
  abandon(): void;
}

/** `onError` is told of a replayed call that throws; the handler that would have met the error is gone. */
export function createHold({ res, h2 }: Exchange, onError: (error: unknown) => void): Hold {
  // Asked before the guard wraps it: below a middleware's write there is more than Node.
  const direct = h2 === undefined && !Object.hasOwn(res, 'write');
  let active = false;
  let ended = false;
  let shown = false;
  let calls: HeldCall[] = [];
  let uncover: (() => void)[] = [];

  const restore = (): void => {
    for (const undo of uncover.reverse()) undo();
    uncover = [];
  };

  const sayEnded = (): void => {
    if (!res.headersSent) uncover.push(sealHead(res, h2 !== undefined));
    const truth = finishedGetter(res);
    uncover.push(cover(res, 'writableFinished', () => shown && truth()));
    if (direct) {
      // Node's own write() and end() look here, and so behave as after any end().
      res.finished = true;
      uncover.push(() => {
        res.finished = false;
      });
    } else if (h2 !== undefined) {
      uncover.push(cover(res, 'finished', () => true));
      uncover.push(cover(res, 'writableEnded', () => true));
    }
  };

  const take = (): HeldCall[] => {
    active = false;
    ended = false;
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
      ended = true;
      sayEnded();
    },
    get pretendsEnd() {
      return ended && !direct;
    },
    endAgain: (end) => {
      if (!active || !finishedGetter(res)()) {
        if (active) calls.push({ replay: end, callback: undefined });
        else end();
        return;
      }
      shown = true;
      end();
      shown = false;
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

/** The head is not built yet, but for the handler it is sent: it cannot be changed any more. Returns the undoing. */
function sealHead(res: Response, isHttp2: boolean): () => void {
  if (isHttp2) return cover(res, 'headersSent', () => true);
  // Where Node, Express and the like look; `headersSent` is made from it, and setHeader() and writeHead() throw by it.
  const head = res as { _header?: string | null };
  const { statusCode, statusMessage } = res;
  head._header = '-';
  return () => {
    head._header = null;
    Object.assign(res, { statusCode, statusMessage });
  };
}

/** `writableFinished` as the response itself computes it; read through its prototype, since the instance is covered. */
function finishedGetter(res: Response): () => unknown {
  const prototype: object = Object.getPrototypeOf(res);
  return () => Reflect.get(prototype, 'writableFinished', res);
}
