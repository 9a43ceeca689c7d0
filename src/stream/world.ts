/**
 * The finishing world: a client has left, the answer is wanted all the same, and the handler must not notice, in
 * whichever way it asks. Its `res` and `req` answer as they did a moment before the client left, and the events that
 * would tell it wait. It lasts until the handler ends its response, or until somebody loses patience.
 *
 * Not hidden are the raw socket, and listeners that were there before the guard.
 */
import type { EventEmitter } from 'node:events';
import { cover } from './cover.ts';
import type { Exchange } from './exchange.ts';
import {
  createGates,
  type Gates,
  type Listener,
  listening,
  type Listening,
  NOBODY,
} from './gates.ts';

/** Events of a response that tell its handler about the connection. `finish`: HTTP/2 emits it at a reset. */
const RES_EVENTS: ReadonlySet<string> = new Set(['close', 'finish']);

/** The same of a request. */
const REQ_EVENTS: ReadonlySet<string> = new Set(['close', 'aborted', 'error']);

/** The one that both have. */
const CLOSE = ['close'];

/** Events that come once in a life, so that a listener called ahead of its time is not called again. */
const ONCE: ReadonlySet<string> = new Set(['close', 'finish', 'aborted']);

export interface World {
  /** Who listens now was there before the guard, and is told the truth; so is `own`. */
  watch(own: Listener): void;
  /** The `'close'` of the request or of the response is being told: who hears it now need not be told again. */
  tells(emitter: unknown): void;
  /** The client has left: from now on the handler is not told. */
  enter(): void;
  /** The handler ended its response: `callback`, `finish`, then the events that waited, each once. */
  end(callback: (() => void) | undefined): void;
  /** Patience is over: the truth is restored, then the events that waited come. */
  leave(): void;
  /** The listeners of `'close'` are called now, and not again at the real close. */
  fireClose(): void;
}

/** Nothing is put on request and response until somebody has to be told something else than the truth. */
export function createWorld(exchange: Exchange): World {
  return new FinishingWorld(exchange);
}

/** A class, because there is one for each live guarded stream. */
class FinishingWorld implements World {
  readonly #exchange: Exchange;
  #resExempt = NOBODY;
  #reqExempt = NOBODY;
  #resGates: Gates | undefined;
  #reqGates: Gates | undefined;
  #own: Listener | undefined;
  #covers: (() => void)[] | undefined;
  #ended = false;
  #finished = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  watch(own: Listener): void {
    const { req, res } = this.#exchange;
    this.#own = own;
    this.#resExempt = listening(res, RES_EVENTS);
    this.#reqExempt = listening(req, REQ_EVENTS);
  }

  tells(emitter: unknown): void {
    const { req, res, h2 } = this.#exchange;
    if (emitter === req && this.#reqGates === undefined) {
      this.#reqExempt = [...this.#reqExempt, ...listening(req, CLOSE)];
    }
    if (emitter === res && this.#resGates === undefined) {
      // HTTP/2 has told `finish` just before.
      const told = h2 === undefined ? CLOSE : RES_EVENTS;
      this.#resExempt = [...this.#resExempt, ...listening(res, told)];
    }
  }

  enter(): void {
    const { req, h2 } = this.#exchange;
    this.#gateResponse().shut();
    this.#covers = this.#coverResponse();
    // A request whose body never came whole cannot be hidden: whoever reads it would wait for ever.
    if (req.complete || h2 !== undefined) {
      this.#gateRequest().shut();
      this.#covers.push(...this.#coverRequest());
    }
  }

  end(callback: (() => void) | undefined): void {
    this.#ended = true;
    process.nextTick(() => {
      this.#finished = true;
      if (callback !== undefined) process.nextTick(callback);
      process.nextTick(() => this.#gateResponse().fire('finish'));
      process.nextTick(() => this.leave());
    });
  }

  leave(): void {
    if (this.#covers === undefined) return;
    for (const uncover of this.#covers) uncover();
    this.#covers = undefined;
    this.#resGates?.open();
    this.#reqGates?.open();
    // Some may have begun to wait for it when it had come, and before the handler could know.
    this.#resGates?.fire('close');
  }

  fireClose(): void {
    this.#gateResponse().fire('close');
    this.#gateRequest().fire('close');
  }

  #gateResponse(): Gates {
    this.#resGates ??= this.#gate(this.#exchange.res, RES_EVENTS, this.#resExempt);
    return this.#resGates;
  }

  #gateRequest(): Gates {
    this.#reqGates ??= this.#gate(this.#exchange.req, REQ_EVENTS, this.#reqExempt);
    return this.#reqGates;
  }

  #gate(emitter: EventEmitter, held: ReadonlySet<string>, told: Listening): Gates {
    const exempt = this.#own === undefined ? told : [...told, 'close', this.#own];
    return createGates(emitter, { held, once: ONCE, exempt });
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
