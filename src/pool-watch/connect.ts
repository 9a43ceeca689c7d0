/** The one place of a pool that knows who takes a client: its `connect`, replaced on the instance. */
import { currentStream } from '../core/current-stream.ts';
import type { PgPoolClient } from '../core/pg-shapes.ts';
import type { Leases } from './lease.ts';
import type { WatchedPool } from './options.ts';
import { captureHere } from './place.ts';
import type { Holding } from './streams.ts';

/** Who took it. */
export type Taker = Pick<Holding, 'place' | 'streamId'>;

/** Told of each client that is lent; returns what to call when the app has lost it. */
export type OnLent = (client: PgPoolClient, taker: Taker) => () => void;

/** Returns what puts the pool's own `connect` back, unless somebody else has replaced it since. */
export function replaceConnect(pool: WatchedPool, leases: Leases, onLent: OnLent): () => void {
  const own = Object.getOwnPropertyDescriptor(pool, 'connect');
  // `pg.Pool` has it in both forms, with a callback and with a promise; only its arguments are passed on.
  const connect = pool.connect.bind(pool) as (callback?: Callback) => PromiseLike<PgPoolClient>;
  const connectWatched = (callback?: Callback): unknown => {
    const taker = { place: captureHere(connectWatched), streamId: currentStream()?.id };
    const lend = (client: PgPoolClient): PgPoolClient => leases.lend(client, onLent(client, taker));
    if (typeof callback !== 'function') return connect().then(lend);
    return connect((error, client, release) => {
      if (client === undefined) return callback(error, client, release);
      const lease = lend(client);
      callback(error, lease, (destroy?: boolean) => lease.release(destroy));
    });
  };
  const value = { value: connectWatched, configurable: true, writable: true };
  Object.defineProperty(pool, 'connect', value);
  return () => {
    if (Object.getOwnPropertyDescriptor(pool, 'connect')?.value !== connectWatched) return;
    if (own === undefined) Reflect.deleteProperty(pool, 'connect');
    else Object.defineProperty(pool, 'connect', own);
  };
}

type Callback = (error: unknown, client: PgPoolClient | undefined, release: unknown) => void;
