/**
 * Listeners whose events can be deferred. When a client leaves and its stream is to be finished all the same, the
 * handler must not notice; but the event itself has to reach every listener from before the guard (the HTTP span,
 * compression, on-finished). So the event is not suppressed: each listener that was added after the guard is replaced, in
 * its place, by a deferrable one, a function whose `listener` is the original (which is how `off` finds it).
 *
 * Listeners are replaced only when that is needed, which for most responses is never: until then the guard only keeps a list of the
 * listeners from before it. A response of Express has a hidden class of its own, and every property that is put on it copies
 * that class.
 */
import { EventEmitter } from 'node:events';
import { sharedState } from '../../core/shared-state.ts';
import { findInPrototypeChain } from '../response/shadow-property.ts';

export type Listener = (...args: unknown[]) => void;

/** A flat list of pairs: the name of an event, then one listener of it. */
export type Listening = readonly (string | Listener)[];

/** For each wrapped method, the plain method by which it registers a deferrable listener. */
const PLAIN = {
  on: 'on',
  addListener: 'on',
  once: 'on',
  prependListener: 'prependListener',
  prependOnceListener: 'prependListener',
} as const;

type MethodName = keyof typeof PLAIN;
type Method = (this: EventEmitter, type: string | symbol, listener: Listener) => EventEmitter;

/** The present listeners of the events `types`. Each live stream keeps such a list, so it is flat and has no spare capacity. */
export function listening(emitter: EventEmitter, types: Iterable<string>): Listening {
  let found: Listening = NO_LISTENERS;
  for (const type of types) {
    if (EventEmitter.prototype.listenerCount.call(emitter, type) === 0) continue;
    for (const listener of rawListeners(emitter, type)) found = found.concat(type, listener);
  }
  return found;
}

/** No listeners; one shared list for all emitters without any. */
export const NO_LISTENERS: Listening = [];

/** Which listeners are deferred, and which are not. */
export interface DeferralRules {
  /** The events. */
  readonly deferred: ReadonlySet<string>;
  /** Events that an emitter emits at most once: a listener that was called before the event is not called again. */
  readonly once: ReadonlySet<string>;
  /** Listeners that are called when the event happens. */
  readonly exempt: Listening;
}

/** The deferrable listeners of one emitter: those present when it is made, unless exempt, and all that are added later. */
export class DeferredListeners {
  readonly emitter: EventEmitter;
  readonly once: ReadonlySet<string>;
  /** Calls wait until `release`. */
  isDeferring = false;
  /** The calls that wait, in order. */
  waiting: (() => void)[] | undefined;
  readonly #deferred: ReadonlySet<string>;
  readonly #before: Readonly<Record<MethodName, Method>>;

  constructor(emitter: EventEmitter, { deferred, once, exempt }: DeferralRules) {
    this.emitter = emitter;
    this.once = once;
    this.#deferred = deferred;
    this.#before = methodsOf(emitter);
    const stays = [...exempt];
    for (const type of deferred) this.#replace(type, stays);
    deferredOf.set(emitter, this);
    for (const name of NAMES) Object.defineProperty(emitter, name, WRAPPED[name]);
  }

  /** Handles a call of one of the wrapped methods, on the emitter or on a proxy of it. */
  register(
    self: EventEmitter,
    name: MethodName,
    type: string | symbol,
    listener: Listener,
  ): EventEmitter {
    if (typeof type !== 'string' || !this.#deferred.has(type) || typeof listener !== 'function') {
      // It does not always return the emitter: compression registers `drain` on its own stream.
      return this.#before[name].call(self, type, listener);
    }
    const isSingle = name === 'once' || name === 'prependOnceListener';
    const { registered } = new DeferredListener(this, type, listener, isSingle);
    this.#before[PLAIN[name]].call(this.emitter, type, registered);
    return self;
  }

  /** Each entry of `stays` counts once: a function added before the guard and again after it stays once and is replaced once. */
  #replace(type: string, stays: (string | Listener)[]): void {
    const present = rawListeners(this.emitter, type);
    const replaced = present.map((listener) =>
      take(stays, type, listener) ? listener : this.#deferrable(type, listener),
    );
    if (replaced.some((listener, i) => listener !== present[i])) put(this.emitter, type, replaced);
  }

  #deferrable(type: string, listener: Listener & { listener?: unknown }): Listener {
    // A listener with a `listener` of its own is the wrapper that `once` registers.
    return new DeferredListener(this, type, listener, typeof listener.listener === 'function')
      .registered;
  }

  /** From now on these events wait. */
  defer(): void {
    this.isDeferring = true;
  }

  /** Makes every deferred call, in the order of the events; from now on events reach their listeners again. */
  release(): void {
    this.isDeferring = false;
    const { waiting = [] } = this;
    this.waiting = undefined;
    for (const call of waiting) callIsolated(call);
  }

  /** Calls the deferrable listeners of one event now; if it is one of `once`, the real event does not call them again. */
  callNow(type: string, args: unknown[] = []): void {
    for (const registered of rawListeners(this.emitter, type)) {
      const listener = deferrableOf.get(registered);
      if (listener !== undefined) callIsolated(() => listener.callIfPresent(args));
    }
  }
}

/** One listener whose calls can be deferred. */
class DeferredListener {
  /** What is registered in the listener's place. */
  readonly registered: Listener;
  readonly #owner: DeferredListeners;
  readonly #type: string;
  readonly #listener: Listener;
  readonly #isSingle: boolean;
  #isSpent = false;

  constructor(owner: DeferredListeners, type: string, listener: Listener, isSingle: boolean) {
    this.#owner = owner;
    this.#type = type;
    this.#listener = listener;
    this.#isSingle = isSingle;
    const registered: Listener = (...args) => {
      if (owner.isDeferring) (owner.waiting ??= []).push(() => this.callIfPresent(args));
      else this.#call(args);
    };
    this.registered = Object.assign(registered, { listener: originalOf(listener) });
    deferrableOf.set(registered, this);
  }

  /** A call outside of the event: skipped if the listener has been removed meanwhile. */
  callIfPresent(args: unknown[]): void {
    const { emitter } = this.#owner;
    if (rawListeners(emitter, this.#type).includes(this.registered)) this.#call(args);
  }

  #call(args: unknown[]): void {
    if (this.#isSpent) return;
    const { emitter, once } = this.#owner;
    if (this.#isSingle) emitter.removeListener(this.#type, this.registered);
    this.#isSpent = this.#isSingle || once.has(this.#type);
    this.#listener.apply(emitter, args);
  }
}

/** The function that the app registered, and may pass to `off`. */
function originalOf(listener: Listener & { listener?: unknown }): unknown {
  return typeof listener.listener === 'function' ? listener.listener : listener;
}

function rawListeners(emitter: EventEmitter, type: string): Listener[] {
  // The typings leave open what the functions take.
  return EventEmitter.prototype.rawListeners.call(emitter, type) as Listener[];
}

/** Removes one listener from a list; true if it was there. */
function take(from: (string | Listener)[], type: string, listener: Listener): boolean {
  for (let i = 0; i < from.length; i += 2) {
    if (from[i] === type && from[i + 1] === listener) return from.splice(i, 2).length > 0;
  }
  return false;
}

/** Registers `listeners` anew, by the plain methods, and without Node's warning of too many: there are as many as before. */
function put(emitter: EventEmitter, type: string, listeners: readonly Listener[]): void {
  const { prototype } = EventEmitter;
  const most = prototype.getMaxListeners.call(emitter);
  prototype.setMaxListeners.call(emitter, 0);
  EventEmitter.prototype.removeAllListeners.call(emitter, type);
  for (const listener of listeners) EventEmitter.prototype.on.call(emitter, type, listener);
  prototype.setMaxListeners.call(emitter, most);
}

/** The `DeferredListeners` by emitter, and the `DeferredListener` by its registered function; weak, so that both can be collected. */
const deferredOf = sharedState('deferred', () => new WeakMap<object, DeferredListeners>());
const deferrableOf = sharedState('deferrable', () => new WeakMap<object, DeferredListener>());

const NAMES: readonly MethodName[] = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
];

/** The methods put on every emitter: shared functions, which find their `DeferredListeners` by the emitter they are called on. */
const WRAPPED: Readonly<Record<MethodName, PropertyDescriptor>> = {
  on: wrapped('on'),
  addListener: wrapped('addListener'),
  once: wrapped('once'),
  prependListener: wrapped('prependListener'),
  prependOnceListener: wrapped('prependOnceListener'),
};

function wrapped(name: MethodName): PropertyDescriptor {
  const value: Method = function (type, listener) {
    const deferred = findInPrototypeChain(deferredOf, this);
    // Called on another object, such as a proxy of the emitter: the method of its class answers.
    if (deferred === undefined) return Reflect.apply(inherited(this, name), this, [type, listener]);
    return deferred.register(this, name, type, listener);
  };
  return { value, configurable: true, writable: true };
}

function inherited(emitter: EventEmitter, name: MethodName): Method {
  // Whatever is called here with this `this` has the methods of an emitter.
  return (Object.getPrototypeOf(emitter) as EventEmitter)[name];
}

/** The methods as they are before they are wrapped. */
function methodsOf(emitter: EventEmitter): Readonly<Record<MethodName, Method>> {
  const methods = NAMES.map((name) => [name, emitter[name]]);
  // Each of the names was given its method.
  return Object.fromEntries(methods) as Record<MethodName, Method>;
}

/** An error that a listener throws becomes an uncaught exception of the app, and stops neither other listeners nor lastchunk. */
function callIsolated(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
