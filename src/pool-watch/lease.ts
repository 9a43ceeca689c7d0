/**
 * A client as the app gets it from a watched pool: a proxy for the pool's own object. The pool references each of its clients, so a client
 * that the app has lost is never garbage-collected; its proxy is, and then no code can release the client any more.
 */
import type { PgPoolClient } from '../core/pg-shapes.ts';

/** Hands out stand-ins. */
export class Leases {
  readonly #lost = new FinalizationRegistry<() => void>((onLost) => onLost());
  /** Held fast while the client is in the pool: apps and query builders know clients by identity. */
  readonly #resting = new WeakMap<PgPoolClient, PgPoolClient>();
  readonly #out = new WeakMap<PgPoolClient, WeakRef<PgPoolClient>>();

  /** The stand-in of a client, the same one for as long as the client lives. `onLost` when it is collected while it is out. */
  lend(client: PgPoolClient, onLost: () => void): PgPoolClient {
    const lease = this.#resting.get(client) ?? createLease(client);
    this.#resting.delete(client);
    this.#out.set(client, new WeakRef(lease));
    this.#lost.register(lease, onLost, client);
    return lease;
  }

  /** The client is back. */
  takeBack(client: PgPoolClient): void {
    const lease = this.#out.get(client)?.deref();
    this.#out.delete(client);
    this.#lost.unregister(client);
    if (lease !== undefined) this.#resting.set(client, lease);
  }
}

type Method = (...args: unknown[]) => unknown;

/** Calls run on the client itself; what they return of it is the stand-in again. */
function createLease(client: PgPoolClient): PgPoolClient {
  /** Methods as the stand-in gives them, by what they stand for; and the way back, for an app that puts one on the client. */
  const methods = new WeakMap<Method, Method>();
  const originals = new WeakMap<object, Method>();
  const wrap = (method: Method): Method => {
    const known = methods.get(method);
    if (known !== undefined) return known;
    const wrapped = new Proxy(method, {
      // Refers to the stand-in: who keeps only `release` can still release.
      apply(target, self, args) {
        const result: unknown = Reflect.apply(target, self === lease ? client : self, args);
        return result === client ? lease : result;
      },
    });
    methods.set(method, wrapped);
    originals.set(wrapped, method);
    return wrapped;
  };
  const lease: PgPoolClient = new Proxy(client, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      // Every function of a client is a method.
      return typeof value === 'function' && key !== 'constructor' ? wrap(value as Method) : value;
    },
    set(target, key, value: unknown) {
      const original = typeof value === 'function' ? originals.get(value) : undefined;
      return Reflect.set(target, key, original ?? value, target);
    },
  });
  return lease;
}
