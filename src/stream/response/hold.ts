/**
 * Keeps calls on a response back until a message is saved, then replays them in order. What the handler asks of the
 * response meanwhile is answered as if nothing were held, except that it has not *finished*, which is true.
 */
import type { Outcome } from '../../core/message.ts';
import { cover } from './shadow-property.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import type { Exchange, Response } from './exchange.ts';

/** Outcomes after which what is written waits: those that a client takes for the end of an answer. */
export const HELD: ReadonlySet<Outcome> = new Set(['completed', 'truncated', 'failed']);

interface HeldCall {
  readonly replay: () => void;
  readonly callback: ((error?: Error | null) => void) | undefined;
}

export interface Hold {
  readonly active: boolean;
  /** Nothing came since it began. */
  readonly empty: boolean;
  /** How many calls of `cork` are held whose `uncork` is not. */
  corks: number;
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

/** A replayed call that throws is an internal error; the handler that would have met it is gone. */
export function createHold(exchange: Exchange, environment: StreamEnvironment): Hold {
  return new HeldCalls(exchange, environment);
}

/** A class, because there is one for each live stream. */
class HeldCalls implements Hold {
  active = false;
  corks = 0;
  readonly #exchange: Exchange;
  /** Below the guard there is Node's own write, not a middleware's. Asked before the guard wraps it. */
  readonly #direct: boolean;
  readonly #environment: StreamEnvironment;
  #calls: HeldCall[] | undefined;
  #uncover: (() => void)[] | undefined;
  #ended = false;
  #showsTruth = false;

  constructor(exchange: Exchange, environment: StreamEnvironment) {
    const { res, h2 } = exchange;
    this.#exchange = exchange;
    this.#direct = h2 === undefined && !Object.hasOwn(res, 'write');
    this.#environment = environment;
  }

  get empty(): boolean {
    return this.#calls === undefined;
  }

  get pretendsEnd(): boolean {
    return this.#ended && !this.#direct;
  }

  begin(): void {
    this.active = true;
  }

  push(replay: () => void, callback?: (error?: Error | null) => void): void {
    this.#calls ??= [];
    this.#calls.push({ replay, callback });
  }

  pushEnd(replay: () => void, callback?: () => void): void {
    this.push(replay, callback);
    this.#ended = true;
    this.#uncover = this.#sayEnded();
  }

  endAgain(end: () => unknown): void {
    if (this.active && !isFinished(this.#exchange.res)) return this.push(end);
    this.#showsTruth = true;
    end();
    this.#showsTruth = false;
  }

  release(): void {
    for (const { replay } of this.#take()) {
      try {
        replay();
      } catch (error) {
        this.#environment.onInternalError('stream', error);
      }
    }
  }

  abandon(): void {
    for (const { callback } of this.#take()) if (callback) process.nextTick(callback);
  }

  #take(): HeldCall[] {
    this.active = false;
    this.corks = 0;
    this.#ended = false;
    for (const undo of this.#uncover?.reverse() ?? []) undo();
    this.#uncover = undefined;
    const calls = this.#calls ?? [];
    this.#calls = undefined;
    return calls;
  }

  /** Makes the response say that it has ended; returns the undoing. */
  #sayEnded(): (() => void)[] {
    const { res, h2 } = this.#exchange;
    const isHttp2 = h2 !== undefined;
    const undo: (() => void)[] = [];
    if (!res.headersSent) undo.push(sealHead(res, isHttp2));
    undo.push(cover(res, 'writableFinished', () => this.#showsTruth && isFinished(res)));
    if (isHttp2) {
      undo.push(cover(res, 'finished', () => true));
      undo.push(cover(res, 'writableEnded', () => true));
    } else if (this.#direct) {
      // Node's own write() and end() look here, and so behave as after any end().
      res.finished = true;
      undo.push(() => {
        res.finished = false;
      });
    }
    return undo;
  }
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
function isFinished(res: Response): boolean {
  const prototype: object = Object.getPrototypeOf(res);
  return Reflect.get(prototype, 'writableFinished', res) === true;
}
