/**
 * The one place of a pool that knows who takes a client: its `connect`, replaced on the instance. It notes the stream of
 * the caller and the line of the app, so that a report can name both.
 */
import { currentStream } from '../core/current-stream.ts';
import type { PgPoolClient } from '../core/pg-shapes.ts';
import { firstAppFrame } from '../core/stack-frames.ts';
import type { Leases } from './lease.ts';

/** A `pg.Pool`, as far as it is watched. */
export interface WatchedPool {
  /** Connections that are open. */
  readonly totalCount: number;
  /** Of these, those that are not lent. */
  readonly idleCount: number;
  /** Callers that wait for one. */
  readonly waitingCount: number;
  /** By a callback or a promise. */
  connect(...args: never[]): unknown;
}

/** Who took a client. */
export interface Taker {
  readonly place: Place;
  /** The stream whose handler took it; it may not have begun. */
  readonly streamId: string | undefined;
}

/** Called for each client that is lent; returns the function to call when the app has lost it. */
export type OnLent = (client: PgPoolClient, taker: Taker) => () => void;

/** Replaces `connect` of the pool. Returns a function that restores it, unless other code has replaced it since. */
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

/** Deep enough for a query builder between the app and its pool. */
const FRAMES = 30;

/** A place in the code of the app, resolved only when it is read. */
export interface Place {
  /** `file:line` of the first caller outside node_modules; `unknown` where there is none. */
  toString(): string;
}

/** The place that called `below`. */
export function captureHere(below: (...args: never[]) => unknown): Place {
  const { stackTraceLimit } = Error;
  const trace: { stack?: string } = {};
  Error.stackTraceLimit = FRAMES;
  Error.captureStackTrace(trace, below);
  Error.stackTraceLimit = stackTraceLimit;
  let place: string | undefined;
  return {
    toString() {
      // V8 makes the text at the first reading; until then it keeps the frames, and by them what they refer to.
      place ??= firstAppFrame(trace.stack ?? '') ?? 'unknown';
      delete trace.stack;
      return place;
    },
  };
}
