/**
 * What each handler leaves behind: timers and immediates that were made in its context, by whomever, its connection, and
 * the listeners on that.
 */
import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { isObject } from '../../src/core/values.ts';

/** Kinds of handles that keep work for later; a connection is looked at itself. */
const COUNTED: ReadonlySet<string> = new Set(['Timeout', 'Immediate']);

/** A timer or an immediate. */
interface Made {
  hasRef?(): boolean;
}

interface Handle {
  readonly handler: number;
  readonly type: string;
  readonly made: Made;
}

export class HandlesLeft {
  readonly #handler = new AsyncLocalStorage<number>();
  /** By async id. */
  readonly #live = new Map<number, Handle>();
  readonly #connections = new Map<number, object>();
  readonly #hook = createHook({
    init: (id, type, _trigger, made: Made) => {
      const handler = COUNTED.has(type) ? this.#handler.getStore() : undefined;
      if (handler !== undefined) this.#live.set(id, { handler, type, made });
    },
    destroy: (id) => void this.#live.delete(id),
  }).enable();

  /** Runs handler `number`, whose connection, or HTTP/2 stream, is `connection`. */
  watch(number: number, connection: object, run: () => void): void {
    this.#connections.set(number, connection);
    this.#handler.run(number, run);
  }

  /** What handler `number` has left, in words; of timers that keep no process up only if `withUnref`. */
  of(number: number, withUnref: boolean): string {
    const made = [...this.#live.values()].filter(
      (one) => one.handler === number && (withUnref || one.made.hasRef?.() === true),
    );
    const connection = this.#connections.get(number);
    return [
      ...made.map(({ type }) => type).toSorted(),
      ...(connection === undefined ? ['no connection'] : listenersOf(connection)),
    ].join(', ');
  }

  stop(): void {
    this.#hook.disable();
  }
}

/** An HTTP/2 stream serves one response, and a connection that is over goes with all that listens to it. */
function listenersOf(connection: object): readonly string[] {
  if (Reflect.get(connection, 'destroyed') === true) return ['destroyed'];
  const isShared = isObject(Reflect.get(connection, 'server'));
  if (!isShared || !(connection instanceof EventEmitter)) return ['open'];
  const names = connection.eventNames().map((name) => {
    return `${String(name)}: ${connection.listenerCount(name)}`;
  });
  return ['open', ...names.toSorted()];
}
