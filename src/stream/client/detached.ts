/**
 * Detached responses: a client has left, the answer is wanted all the same, and the handler must not notice, whichever property
 * it reads. `Finishing` decides by the guard's policy and budget whether and for how long that may last. Meanwhile `res` and
 * `req` show the state from before the client left, and the events that would tell the handler are deferred
 * (`DetachedResponse`). It lasts until the handler ends its response, or until the budget is spent.
 *
 * Not hidden are the raw socket, and listeners that were there before the guard.
 */
import type { EventEmitter } from 'node:events';
import { errorTypeOf } from '../../core/errors.ts';
import type { FinishRefusal, FullObserver, StreamView } from '../../core/observer.ts';
import type { StreamEnvironment, StreamHooks } from '../lifecycle/environment.ts';
import type { Phase } from '../lifecycle/phases.ts';
import type { Exchange } from '../response/exchange.ts';
import { shadowProperty } from '../response/shadow-property.ts';
import type { StreamSettings } from '../settings.ts';
import {
  DeferredListeners,
  type Listener,
  listening,
  type Listening,
  NO_LISTENERS,
} from './deferred-listeners.ts';
import { finishKeyOf, FinishShares } from './finish-shares.ts';

/** The fields of its stream that `Finishing` reads. */
export interface FinishingOwner extends StreamView {
  readonly phase: Phase;
  readonly settings: StreamSettings;
  readonly exchange: Exchange;
  readonly environment: StreamEnvironment;
  /** `budgetSpent` is called when the budget is spent. */
  readonly hooks: Pick<StreamHooks, 'budgetSpent'>;
}

/** Whether, and for how long, one guarded stream may outlive its client. */
export class Finishing {
  /** The stream has one of the places of its guard. */
  #active = false;
  readonly #stream: FinishingOwner;
  #exempt = NO_EXEMPT;
  /** Made when the handler must not see the real state of the response. */
  #made: DetachedResponse | undefined;
  #announced = false;
  #timer: NodeJS.Timeout | undefined;
  #bytesAtLeave = 0;
  #isAsking = false;
  /** The key whose share of the guard's budget it uses; undefined without a key. */
  readonly #key: string | undefined;

  constructor(stream: FinishingOwner) {
    const { settings, exchange, environment } = stream;
    this.#stream = stream;
    if (settings.policy.disconnected !== 'finish') return;
    this.#key = finishKeyOf(exchange.req, settings.finish, (error) => {
      const what = `finish.key did not answer with a string (${errorTypeOf(error)}): such streams have no share of their own`;
      environment.warnOnce('finish.key', what);
    });
  }

  /** The present listeners are from before the guard, and exempt; so is `own`. */
  exemptPresent(own: Listener): void {
    const { req, res } = this.#stream.exchange;
    this.#exempt = { res: listening(res, RES_EVENTS), req: listening(req, REQ_EVENTS), own };
  }

  /** The `'close'` of the request or of the response is being emitted: its present listeners need not be called again. */
  noteClose(emitter: unknown): void {
    // Deferred listeners record themselves whether they were called.
    if (this.#made !== undefined) return;
    this.#exempt = withNotified(this.#exempt, this.#stream.exchange, emitter);
  }

  /** Takes a place when the client leaves: true if the handler may go on, false if the policy says no, else the bound that is reached. */
  claim(): boolean | FinishRefusal {
    if (this.#stream.settings.policy.disconnected !== 'finish') return false;
    const refusal = this.#shares.take(this.#key);
    this.#active = refusal === undefined;
    return refusal ?? true;
  }

  /** The client left, and a place was claimed. */
  begin(): void {
    this.#bytesAtLeave = this.#stream.bytes;
    this.#startTimer();
    if (this.#stream.phase.kind === 'stream') this.announce();
    this.#detached.begin();
  }

  /** Tells observers; later than `begin` where the response turned out to be a stream after its client had left. */
  announce(): void {
    this.#announced = true;
    this.#observer.onFinishing(this.#stream, true);
  }

  /** The stream has `bytes` bytes now: spends the budget if they are too many. */
  spend(bytes: number): void {
    const { maxBytes } = this.#stream.settings.finish;
    if (!this.#active || bytes - this.#bytesAtLeave <= maxBytes) return;
    if (!this.#isAsking) this.#spent('bytes');
  }

  /** The handler ended its response: its deferred events are emitted, each once. */
  end(callback: (() => void) | undefined): void {
    this.done();
    this.#detached.end(callback);
  }

  /** The response shows its real state again, then the deferred events are emitted. */
  restore(): void {
    this.done();
    this.#made?.restore();
  }

  /** The handler's `'close'` listeners are called now. */
  callCloseListeners(): void {
    this.#detached.callCloseListeners();
  }

  /** Gives the place back: the stream, or its time without a client, is over. */
  done(): void {
    if (!this.#active) return;
    this.#active = false;
    clearTimeout(this.#timer);
    this.#shares.giveBack(this.#key);
    if (this.#announced) this.#observer.onFinishing(this.#stream, false);
  }

  get #detached(): DetachedResponse {
    this.#made ??= new DetachedResponse(this.#stream.exchange, this.#exempt);
    return this.#made;
  }

  get #observer(): FullObserver {
    return this.#stream.environment.observer;
  }

  /** The places of this guard. */
  get #shares(): FinishShares {
    const { environment, settings } = this.#stream;
    const known = environment.finishing.get(settings);
    if (known !== undefined) return known;
    const shares = new FinishShares(settings.finish);
    environment.finishing.set(settings, shares);
    return shares;
  }

  #startTimer(): void {
    // `unref`: only the handler's own work keeps the process running, not this timer.
    const { timeoutMs } = this.#stream.settings.finish;
    this.#timer = setTimeout(() => this.#spent('time'), timeoutMs).unref();
  }

  /** Ends the stream, unless it has readers; the relay is asked for readers on other instances. */
  #spent(why: FinishRefusal): void {
    const { id, environment } = this.#stream;
    if (environment.relay === undefined) return this.#refuse(why);
    this.#isAsking = true;
    void environment.relay.isFollowed(id).then((isRead) => {
      this.#isAsking = false;
      if (!this.#active) return;
      if (!isRead) this.#refuse(why);
      else if (why === 'time') this.#startTimer();
    });
  }

  #refuse(why: FinishRefusal): void {
    this.#observer.onFinishRefused(this.#stream, why);
    this.#stream.hooks.budgetSpent(why);
  }
}

/** Events by which a response's handler learns of the connection. `finish` too: HTTP/2 emits it at a reset. */
const RES_EVENTS: ReadonlySet<string> = new Set(['close', 'finish']);

/** The same of a request. */
const REQ_EVENTS: ReadonlySet<string> = new Set(['close', 'aborted', 'error']);

/** The event that request and response both have. */
const CLOSE = ['close'];

/** Events that an emitter emits at most once, so that a listener called before the event is not called again. */
const ONCE: ReadonlySet<string> = new Set(['close', 'finish', 'aborted']);

/**
 * Listeners that are never deferred: they were there before the guard, or they have already received the event that would be
 * deferred.
 */
interface ExemptListeners {
  readonly res: Listening;
  readonly req: Listening;
  /** Our own listener of the `'close'` of both. */
  readonly own: Listener;
}

/** The state before the first check. */
const NO_EXEMPT: ExemptListeners = { res: NO_LISTENERS, req: NO_LISTENERS, own: () => {} };

/** Adds the listeners that receive the `'close'` of `emitter` now. */
function withNotified(
  before: ExemptListeners,
  { req, res, h2 }: Exchange,
  emitter: unknown,
): ExemptListeners {
  if (emitter === req) return { ...before, req: [...before.req, ...listening(req, CLOSE)] };
  if (emitter !== res) return before;
  // HTTP/2 has emitted `finish` just before.
  const told = h2 === undefined ? CLOSE : RES_EVENTS;
  return { ...before, res: [...before.res, ...listening(res, told)] };
}

/** A request and its response as their handler sees them after the client left; until `begin` they show their real state. */
class DetachedResponse {
  readonly #exchange: Exchange;
  readonly #res: DeferredListeners;
  readonly #req: DeferredListeners;
  #restore: (() => void)[] | undefined;
  #ended = false;
  #finished = false;

  constructor(exchange: Exchange, { req, res, own }: ExemptListeners) {
    const listenersOf = (
      emitter: EventEmitter,
      deferred: ReadonlySet<string>,
      before: Listening,
    ): DeferredListeners =>
      new DeferredListeners(emitter, { deferred, once: ONCE, exempt: [...before, 'close', own] });
    this.#exchange = exchange;
    this.#res = listenersOf(exchange.res, RES_EVENTS, res);
    this.#req = listenersOf(exchange.req, REQ_EVENTS, req);
  }

  /** The client has left: from now on this is hidden from the handler. */
  begin(): void {
    const { req, h2 } = this.#exchange;
    this.#res.defer();
    this.#restore = this.#shadowResponse();
    // With an incomplete request body it cannot be hidden on the request: a handler that reads the body would wait for ever.
    if (req.complete || h2 !== undefined) {
      this.#req.defer();
      this.#restore.push(...this.#shadowRequest());
    }
  }

  /** The handler ended its response: `callback`, `finish`, then the deferred events, each once. */
  end(callback: (() => void) | undefined): void {
    this.#ended = true;
    process.nextTick(() => {
      this.#finished = true;
      if (callback !== undefined) process.nextTick(callback);
      process.nextTick(() => this.#res.callNow('finish'));
      process.nextTick(() => this.restore());
    });
  }

  /** Restores the real state, then emits the deferred events. */
  restore(): void {
    if (this.#restore === undefined) return;
    for (const restore of this.#restore) restore();
    this.#restore = undefined;
    this.#res.release();
    this.#req.release();
    // Listeners may have been added after the real `'close'`, when the handler could not yet see it.
    this.#res.callNow('close');
  }

  /** Calls the listeners of `'close'` now; the real close does not call them again. */
  callCloseListeners(): void {
    this.#res.callNow('close');
    this.#req.callNow('close');
  }

  #shadowResponse(): (() => void)[] {
    const { res } = this.#exchange;
    const { errored, writable } = res;
    // These stay shadowed: Node's own end() is not called any more on a response whose client has left.
    shadowProperty(res, 'writableEnded', () => this.#ended);
    shadowProperty(res, 'finished', () => this.#ended);
    shadowProperty(res, 'writableFinished', () => this.#finished);
    return [
      shadowProperty(res, 'destroyed', () => false),
      shadowProperty(res, 'closed', () => false),
      shadowProperty(res, 'errored', () => errored ?? null),
      shadowProperty(res, 'writable', () => writable),
      shadowProperty(res, 'writableNeedDrain', () => false),
      shadowProperty(res, 'writableLength', () => 0),
    ];
  }

  /** The request shows the state from before the client left. */
  #shadowRequest(): (() => void)[] {
    const { req } = this.#exchange;
    return (['destroyed', 'closed', 'errored', 'aborted'] as const).map((name) => {
      const before = req[name];
      return shadowProperty(req, name, () => before);
    });
  }
}
