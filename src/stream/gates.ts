/**
 * Listeners that can be held back. When a client leaves and its stream is to be finished all the same, the
 * handler must not notice; but the event itself has to reach everybody who listened before the guard (the HTTP span,
 * compression, on-finished). So the event is never swallowed: each listener added after the guard is registered as a
 * *gate*, a function whose `listener` is the original (which is how `off` finds it), and the gates are shut for a while.
 */
import type { EventEmitter } from 'node:events';

type Listener = (...args: unknown[]) => void;

interface Gate {
  /** Calls the listener now, unless it was removed or is spent. */
  open(args: unknown[]): void;
}

export interface Gates {
  /** From now on these events wait. */
  shut(): void;
  /** Everything that waited is called, in the order it came; from now on events pass again. */
  open(): void;
  /** Calls the listeners of one event now; for `'close'` the real event does not call them a second time. */
  fire(type: string, args?: unknown[]): void;
}

const METHODS = ['on', 'addListener', 'prependListener', 'once', 'prependOnceListener'] as const;

/** The plain method by which each of them registers a gate. */
const PLAIN = {
  on: 'on',
  addListener: 'on',
  once: 'on',
  prependListener: 'prependListener',
  prependOnceListener: 'prependListener',
} as const;

/**
 * Wraps the listener methods of `emitter`, for the events `held`. Events in `once` are those that come at most once
 * in the life of the emitter: a gate called ahead of its time is spent.
 */
export function createGates(
  emitter: EventEmitter,
  held: ReadonlySet<string>,
  once: ReadonlySet<string>,
): Gates {
  let shut = false;
  const parked: (() => void)[] = [];
  /** Which of the emitter's listeners are gates; weak, because listeners come and go while a stream runs. */
  const gates = new WeakMap<object, Gate>();

  const createGate = (type: string, listener: Listener, single: boolean): Listener => {
    let spent = false;
    const call = (args: unknown[]): void => {
      if (spent) return;
      if (single) emitter.removeListener(type, pass);
      spent = single || once.has(type);
      listener.apply(emitter, args);
    };
    /** Called out of turn: the listener may have been removed while it waited. */
    const open = (args: unknown[]): void => {
      if (emitter.rawListeners(type).includes(pass)) call(args);
    };
    const pass = (...args: unknown[]): void => {
      if (shut) parked.push(() => open(args));
      else call(args);
    };
    gates.set(pass, { open });
    return Object.assign(pass, { listener });
  };

  const plain = {
    on: emitter.on.bind(emitter),
    prependListener: emitter.prependListener.bind(emitter),
  };
  for (const name of METHODS) {
    const passThrough = emitter[name];
    const wrapped = function (
      this: EventEmitter,
      type: string | symbol,
      listener: Listener,
    ): EventEmitter {
      if (typeof type !== 'string' || !held.has(type) || typeof listener !== 'function') {
        return passThrough.call(this, type, listener);
      }
      const single = name === 'once' || name === 'prependOnceListener';
      plain[PLAIN[name]](type, createGate(type, listener, single));
      return this;
    };
    Object.defineProperty(emitter, name, { value: wrapped, configurable: true, writable: true });
  }

  return {
    shut: () => {
      shut = true;
    },
    open: () => {
      shut = false;
      for (const call of parked.splice(0)) callApart(call);
    },
    fire: (type, args = []) => {
      for (const listener of emitter.rawListeners(type)) gates.get(listener)?.open(args);
    },
  };
}

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
