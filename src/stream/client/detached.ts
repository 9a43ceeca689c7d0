/**
 * The finishing world: a client has left, the answer is wanted all the same, and the handler must not notice, in
 * whichever way it asks. Its `res` and `req` answer as they did a moment before the client left, and the events that
 * would tell it wait. It lasts until the handler ends its response, or until somebody loses patience.
 *
 * Not hidden are the raw socket, and listeners that were there before the guard.
 */
import type { EventEmitter } from 'node:events';
import { type Bystanders, REQ_EVENTS, RES_EVENTS } from './exempt-listeners.ts';
import { cover } from '../response/shadow-property.ts';
import type { Exchange } from '../response/exchange.ts';
import { createGates, type Gates, type Listening } from './deferred-listeners.ts';

/** Events that come once in a life, so that a listener called ahead of its time is not called again. */
const ONCE: ReadonlySet<string> = new Set(['close', 'finish', 'aborted']);

export interface World {
  /** The client has left: from now on the handler is not told. */
  enter(): void;
  /** The handler ended its response: `callback`, `finish`, then the events that waited, each once. */
  end(callback: (() => void) | undefined): void;
  /** Patience is over: the truth is restored, then the events that waited come. */
  leave(): void;
  /** The listeners of `'close'` are called now, and not again at the real close. */
  fireClose(): void;
}

/** Puts gates in the place of all listeners but the bystanders; until `enter` they are open. */
export function createWorld(exchange: Exchange, bystanders: Bystanders): World {
  return new FinishingWorld(exchange, bystanders);
}

/** A class, because its parts share what has happened. */
class FinishingWorld implements World {
  readonly #exchange: Exchange;
  readonly #resGates: Gates;
  readonly #reqGates: Gates;
  #covers: (() => void)[] | undefined;
  #ended = false;
  #finished = false;

  constructor(exchange: Exchange, { req, res, own }: Bystanders) {
    const gates = (emitter: EventEmitter, held: ReadonlySet<string>, before: Listening): Gates =>
      createGates(emitter, { held, once: ONCE, exempt: [...before, 'close', own] });
    this.#exchange = exchange;
    this.#resGates = gates(exchange.res, RES_EVENTS, res);
    this.#reqGates = gates(exchange.req, REQ_EVENTS, req);
  }

  enter(): void {
    const { req, h2 } = this.#exchange;
    this.#resGates.shut();
    this.#covers = this.#coverResponse();
    // A request whose body never came whole cannot be hidden: whoever reads it would wait for ever.
    if (req.complete || h2 !== undefined) {
      this.#reqGates.shut();
      this.#covers.push(...this.#coverRequest());
    }
  }

  end(callback: (() => void) | undefined): void {
    this.#ended = true;
    process.nextTick(() => {
      this.#finished = true;
      if (callback !== undefined) process.nextTick(callback);
      process.nextTick(() => this.#resGates.fire('finish'));
      process.nextTick(() => this.leave());
    });
  }

  leave(): void {
    if (this.#covers === undefined) return;
    for (const uncover of this.#covers) uncover();
    this.#covers = undefined;
    this.#resGates.open();
    this.#reqGates.open();
    // Some may have begun to wait for it when it had come, and before the handler could know.
    this.#resGates.fire('close');
  }

  fireClose(): void {
    this.#resGates.fire('close');
    this.#reqGates.fire('close');
  }

  #coverResponse(): (() => void)[] {
    const { res } = this.#exchange;
    const { errored, writable } = res;
    // These stay: nobody will call Node's own end() on a response whose client is gone.
    cover(res, 'writableEnded', () => this.#ended);
    cover(res, 'finished', () => this.#ended);
    cover(res, 'writableFinished', () => this.#finished);
    return [
      cover(res, 'destroyed', () => false),
      cover(res, 'closed', () => false),
      cover(res, 'errored', () => errored ?? null),
      cover(res, 'writable', () => writable),
      cover(res, 'writableNeedDrain', () => false),
      cover(res, 'writableLength', () => 0),
    ];
  }

  /** What a request says of itself is what it said a moment before. */
  #coverRequest(): (() => void)[] {
    const { req } = this.#exchange;
    return (['destroyed', 'closed', 'errored', 'aborted'] as const).map((name) => {
      const before = req[name];
      return cover(req, name, () => before);
    });
  }
}
