/**
 * Listeners whose events can be deferred. When a client leaves and its stream is to be finished all the same, the
 * handler must not notice; but the event itself has to reach everybody who listened before the guard (the HTTP span,
 * compression, on-finished). So the event is never swallowed: each listener that was added after the guard is replaced, in
 * its place, by a deferrable one, a function whose `listener` is the original (which is how `off` finds it).
 *
 * Listeners are replaced when that is needed, which for most responses is never: until then the guard only remembers who
 * listened before it. A response of Express has a hidden class of its own, and every property that is put on it costs
 * a copy of that.
 */
import { EventEmitter } from 'node:events';
import { sharedState } from '../../core/shared-state.ts';
import { findInPrototypeChain } from '../response/shadow-property.ts';

export type Listener = (...args: unknown[]) => void;

/** Listeners as they were registered: an event, one listener of it, an event, one of it, and so on. */
export type Listening = readonly (string | Listener)[];

/** The plain method by which each of them registers a deferrable listener. */
const PLAIN = {
  on: 'on',
  addListener: 'on',
  once: 'on',
  prependListener: 'prependListener',
  prependOnceListener: 'prependListener',
} as const;

type MethodName = keyof typeof PLAIN;
type Method = (this: EventEmitter, type: string | symbol, listener: Listener) => EventEmitter;

/** Who listens to the events `types` now. Each live stream keeps such a list, so it is flat, and has no room to grow. */
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
  /** Those that come at most once in the life of the emitter: a listener called ahead of its time is not called again. */
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

  /** A call of one of the methods on the emitter, or on what stands for it. */
  register(
    self: EventEmitter,
    name: MethodName,
    type: string | symbol,
    listener: Listener,
  ): EventEmitter {
    if (typeof type !== 'string' || !this.#deferred.has(type) || typeof listener !== 'function') {
      // What it returns is not always the emitter: compression has a `drain` of its own.
      return this.#before[name].call(self, type, listener);
    }
    const isSingle = name === 'once' || name === 'prependOnceListener';
    const { registered } = new DeferredListener(this, type, listener, isSingle);
    this.#before[PLAIN[name]].call(this.emitter, type, registered);
    return self;
  }

  /** `stays` is used up: a function that was added before the guard and once more after it is one of each. */
  #replace(type: string, stays: (string | Listener)[]): void {
    const present = rawListeners(this.emitter, type);
    const replaced = present.map((listener) =>
      take(stays, type, listener) ? listener : this.#deferrable(type, listener),
    );
    if (replaced.some((listener, i) => listener !== present[i])) put(this.emitter, type, replaced);
  }

  #deferrable(type: string, listener: Listener & { listener?: unknown }): Listener {
    // What `once` registers is a function around the listener, too.
    return new DeferredListener(this, type, listener, typeof listener.listener === 'function')
      .registered;
  }

  /** From now on these events wait. */
  defer(): void {
    this.isDeferring = true;
  }

  /** Makes every call that waited, in the order of the events; from now on events pass again. */
  release(): void {
    this.isDeferring = false;
    const { waiting = [] } = this;
    this.waiting = undefined;
    for (const call of waiting) callIsolated(call);
  }

  /** Calls the listeners of one event now; if it comes but once, the real one does not call them a second time. */
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

  /** Called out of turn: the listener may have been removed while it waited. */
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

/** The function that its owner gave, and will take back. */
function originalOf(listener: Listener & { listener?: unknown }): unknown {
  return typeof listener.listener === 'function' ? listener.listener : listener;
}

function rawListeners(emitter: EventEmitter, type: string): Listener[] {
  // The typings leave open what the functions take.
  return EventEmitter.prototype.rawListeners.call(emitter, type) as Listener[];
}

/** Takes one listener out of a list, if it is there. */
function take(from: (string | Listener)[], type: string, listener: Listener): boolean {
  for (let i = 0; i < from.length; i += 2) {
    if (from[i] === type && from[i + 1] === listener) return from.splice(i, 2).length > 0;
  }
  return false;
}

/** Past all wrapped methods, and without a second warning that they are too many: they are as many as before. */
function put(emitter: EventEmitter, type: string, listeners: readonly Listener[]): void {
  const { prototype } = EventEmitter;
  const most = prototype.getMaxListeners.call(emitter);
  prototype.setMaxListeners.call(emitter, 0);
  EventEmitter.prototype.removeAllListeners.call(emitter, type);
  for (const listener of listeners) EventEmitter.prototype.on.call(emitter, type, listener);
  prototype.setMaxListeners.call(emitter, most);
}

/** Which emitters have deferrable listeners, and what is registered for each; weak, because both come and go. */
const deferredOf = sharedState('deferred', () => new WeakMap<object, DeferredListeners>());
const deferrableOf = sharedState('deferrable', () => new WeakMap<object, DeferredListener>());

const NAMES: readonly MethodName[] = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
];

/** What is put on every emitter: the same few functions, which find the rest by the emitter that they are called on. */
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
    // Called on a proxy of the emitter: what its class has for this.
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

/** What a listener throws stays its app's uncaught exception, and stops neither the others nor us. */
function callIsolated(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
