/**
 * Listeners that can be held back. When a client leaves and its stream is to be finished all the same, the
 * handler must not notice; but the event itself has to reach everybody who listened before the guard (the HTTP span,
 * compression, on-finished). So the event is never swallowed: each listener added after the guard is registered as a
 * *gate*, a function whose `listener` is the original (which is how `off` finds it), and the gates are shut for a while.
 */
import { EventEmitter } from 'node:events';

type Listener = (...args: unknown[]) => void;

export interface Gates {
  /** From now on these events wait. */
  shut(): void;
  /** Everything that waited is called, in the order it came; from now on events pass again. */
  open(): void;
  /** Calls the listeners of one event now; for `'close'` the real event does not call them a second time. */
  fire(type: string, args?: unknown[]): void;
}

/** The plain method by which each of them registers a gate. */
const PLAIN = {
  on: 'on',
  addListener: 'on',
  once: 'on',
  prependListener: 'prependListener',
  prependOnceListener: 'prependListener',
} as const;

type MethodName = keyof typeof PLAIN;
type Method = (this: EventEmitter, type: string | symbol, listener: Listener) => EventEmitter;

/**
 * Wraps the listener methods of `emitter`, for the events `held`. Events in `once` are those that come at most once
 * in the life of the emitter: a gate called ahead of its time is spent.
 */
export function createGates(
  emitter: EventEmitter,
  held: ReadonlySet<string>,
  once: ReadonlySet<string>,
): Gates {
  return new GatedEmitter(emitter, held, once);
}

/** A class, because there are two for each live guarded stream. */
class GatedEmitter implements Gates {
  readonly emitter: EventEmitter;
  readonly once: ReadonlySet<string>;
  isShut = false;
  parked: (() => void)[] | undefined;
  readonly #held: ReadonlySet<string>;
  readonly #before: Readonly<Record<MethodName, Method>>;

  constructor(emitter: EventEmitter, held: ReadonlySet<string>, once: ReadonlySet<string>) {
    this.emitter = emitter;
    this.once = once;
    this.#held = held;
    this.#before = methodsOf(emitter);
    gatesOf.set(emitter, this);
    for (const name of NAMES) Object.defineProperty(emitter, name, WRAPPED[name]);
  }

  /** A call of one of the methods on the emitter, or on what stands for it. */
  register(
    self: EventEmitter,
    name: MethodName,
    type: string | symbol,
    listener: Listener,
  ): EventEmitter {
    if (typeof type !== 'string' || !this.#held.has(type) || typeof listener !== 'function') {
      // What it returns is not always the emitter: compression has a `drain` of its own.
      return this.#before[name].call(self, type, listener);
    }
    const isSingle = name === 'once' || name === 'prependOnceListener';
    const gate = new Gate(this, type, listener, isSingle);
    this.#before[PLAIN[name]].call(this.emitter, type, gate.pass);
    return self;
  }

  shut(): void {
    this.isShut = true;
  }

  open(): void {
    this.isShut = false;
    const { parked = [] } = this;
    this.parked = undefined;
    for (const call of parked) callApart(call);
  }

  fire(type: string, args: unknown[] = []): void {
    for (const listener of this.emitter.rawListeners(type)) gateOf.get(listener)?.open(args);
  }
}

/** One listener that can be held back. */
class Gate {
  /** What is registered in the listener's place. */
  readonly pass: Listener;
  readonly #gates: GatedEmitter;
  readonly #type: string;
  readonly #listener: Listener;
  readonly #isSingle: boolean;
  #isSpent = false;

  constructor(gates: GatedEmitter, type: string, listener: Listener, isSingle: boolean) {
    this.#gates = gates;
    this.#type = type;
    this.#listener = listener;
    this.#isSingle = isSingle;
    const pass: Listener = (...args) => {
      if (gates.isShut) (gates.parked ??= []).push(() => this.open(args));
      else this.#call(args);
    };
    this.pass = Object.assign(pass, { listener });
    gateOf.set(pass, this);
  }

  /** Called out of turn: the listener may have been removed while it waited. */
  open(args: unknown[]): void {
    if (this.#gates.emitter.rawListeners(this.#type).includes(this.pass)) this.#call(args);
  }

  #call(args: unknown[]): void {
    if (this.#isSpent) return;
    const { emitter, once } = this.#gates;
    if (this.#isSingle) emitter.removeListener(this.#type, this.pass);
    this.#isSpent = this.#isSingle || once.has(this.#type);
    this.#listener.apply(emitter, args);
  }
}

/** Which emitters have gates, and which of their listeners are gates; weak, because both come and go. */
const gatesOf = new WeakMap<object, GatedEmitter>();
const gateOf = new WeakMap<object, Gate>();

const NAMES: readonly MethodName[] = [
  'on',
  'addListener',
  'once',
  'prependListener',
  'prependOnceListener',
];

/** What is put on every emitter: the same few functions, which find the gates by the emitter that they are called on. */
const WRAPPED: Readonly<Record<MethodName, PropertyDescriptor>> = {
  on: wrapped('on'),
  addListener: wrapped('addListener'),
  once: wrapped('once'),
  prependListener: wrapped('prependListener'),
  prependOnceListener: wrapped('prependOnceListener'),
};

function wrapped(name: MethodName): PropertyDescriptor {
  const value: Method = function (type, listener) {
    const gates = gatesFor(this);
    // Called on a proxy of the emitter: what its class has for this.
    if (gates === undefined) return Reflect.apply(inherited(this, name), this, [type, listener]);
    return gates.register(this, name, type, listener);
  };
  return { value, configurable: true, writable: true };
}

function inherited(emitter: EventEmitter, name: MethodName): Method {
  // Whatever is called here with this `this` has the methods of an emitter.
  return (Object.getPrototypeOf(emitter) as EventEmitter)[name];
}

/** The gates of an emitter, or of the one that it inherits the methods from. */
function gatesFor(emitter: object): GatedEmitter | undefined {
  let from: unknown = emitter;
  while (typeof from === 'object' && from !== null) {
    const gates = gatesOf.get(from);
    if (gates !== undefined) return gates;
    from = Object.getPrototypeOf(from);
  }
  return undefined;
}

/** The methods as they are before they are wrapped; nearly always those of the emitter before. */
function methodsOf(emitter: EventEmitter): Readonly<Record<MethodName, Method>> {
  if (!NAMES.every((name) => lastMethods[name] === emitter[name])) {
    const methods: Partial<Record<MethodName, Method>> = {};
    for (const name of NAMES) methods[name] = emitter[name];
    // Each of the names was given its method.
    lastMethods = methods as Record<MethodName, Method>;
  }
  return lastMethods;
}

let lastMethods: Readonly<Record<MethodName, Method>> = EventEmitter.prototype;

/** What a listener throws stays its app's uncaught exception, and stops neither the others nor us. */
function callApart(call: () => void): void {
  try {
    call();
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
