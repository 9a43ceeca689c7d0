/**
 * The stream that an error belongs to. The noise layer judges errors in loggers and spans, where no response is at hand; it finds the
 * stream by the asynchronous context of the handler, or by the response where there is one. The stream layer implements
 * `CurrentStream`.
 *
 * Handlers do not run in a context until `followStreams()` is called: on Node 20 and 22 the first `AsyncLocalStorage.run` enables hooks
 * for every promise of the process, permanently.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
// Not the global one, which test suites replace by a clock of their own.
import { performance } from 'node:perf_hooks';
import type { Noise } from './observer.ts';
import { isObject } from './values.ts';

/** Why the answer is no longer wanted: its client left, it was stopped, or `close()` interrupted it. */
export type Departure = 'client' | 'stopped' | 'closing';

/**
 * A point in time. The turn shows cause and effect independently of the speed of the machine: an effect, such as the error of a destroyed
 * socket, follows in the same turn of the event loop or in the next one.
 */
export interface Moment {
  /** `performance.now()`. */
  readonly atMs: number;
  /** How many turns the event loop has taken. */
  readonly turn: number;
}

/** The facts of a stream that decide whether an error is noise, as of the call. */
export interface StreamFacts {
  /** `undefined` while the answer is wanted, and after a time-out or a failure of this process. */
  readonly departure: Departure | undefined;
  /** When that was; `undefined` also during that event itself. */
  readonly departedAt: Moment | undefined;
  /** The connection of the response is closed, or its client has ended it. */
  readonly closed: boolean;
  /** What the stream's own signal was aborted with; `undefined` while it is not. */
  readonly abortReason: unknown;
  /** The very error objects that its own request and connection failed with. */
  readonly ownErrors: readonly unknown[];
}

/** A stream, as far as errors are concerned. */
export interface CurrentStream {
  readonly id: string;
  facts(): StreamFacts;
  /** Called once for each error that was called noise. */
  onNoise(noise: Noise): void;
}

interface Shared {
  readonly storage: AsyncLocalStorage<CurrentStream | undefined>;
  readonly places: WeakMap<object, CurrentStream>;
  readonly saveErrors: WeakSet<object>;
  readonly stopReasons: WeakSet<object>;
  following: boolean;
}

/** Shared by all copies of this package in a process: an adapter may be loaded from another copy than the guard. */
const SHARED = Symbol.for('lastchunk.current');

/** From this call on the handlers of new streams run in a context that `currentStream` finds. Permanent. */
export function followStreams(): void {
  shared().following = true;
}

/** Runs `work` in the context of `stream`, if `followStreams()` was called. */
export function runInStream<T>(stream: CurrentStream, work: () => T): T {
  const { following, storage } = shared();
  return following ? storage.run(stream, work) : work();
}

/** Runs `work` outside of every stream: errors of a save must not count as errors of the handler. */
export function runOutsideStreams<T>(work: () => T): T {
  const { following, storage } = shared();
  return following ? storage.run(undefined, work) : work();
}

/** Marks the error of a failed save: it is never noise, whatever its class or code and wherever it is logged. */
export function markSaveError(error: unknown): void {
  if (isObject(error)) shared().saveErrors.add(error);
}

export function isSaveError(error: object): boolean {
  return shared().saveErrors.has(error);
}

/** Marks the reason object with which the signal of any stream is aborted. */
export function markStopReason(reason: object): void {
  shared().stopReasons.add(reason);
}

export function isStopReason(error: object): boolean {
  return shared().stopReasons.has(error);
}

export function thisMoment(): Moment {
  return { atMs: performance.now(), turn: performance.nodeTiming.uvMetricsInfo.loopCount };
}

/** The stream of this response; without one, the stream that the caller runs in. */
export function currentStream(res?: object): CurrentStream | undefined {
  const { places, storage } = shared();
  return res === undefined ? storage.getStore() : places.get(res);
}

/** Streams by their response; the response itself is not changed. */
export function streamPlaces(): WeakMap<object, CurrentStream> {
  return shared().places;
}

let known: Shared | undefined;

function shared(): Shared {
  known ??= sharedByAll(globalThis as { [SHARED]?: Partial<Shared> });
  return known;
}

/** One object for all copies, of any version: a copy that finds it keeps the fields that exist and adds those that it needs. */
function sharedByAll(global: { [SHARED]?: Partial<Shared> }): Shared {
  const present = (global[SHARED] ??= {});
  const needed: Shared = {
    storage: present.storage ?? new AsyncLocalStorage(),
    places: present.places ?? new WeakMap(),
    saveErrors: present.saveErrors ?? new WeakSet(),
    stopReasons: present.stopReasons ?? new WeakSet(),
    following: present.following ?? false,
  };
  return Object.assign(present, needed);
}
