/** What every stream of one lastchunk instance shares. */
import type { Keeper } from '../../core/save-port.ts';
import type { Expectation } from './own-saves.ts';
import type { FullObserver, InternalErrorPlace, StreamView } from '../../core/observer.ts';

/** `S` is the class of its streams, which this file must not know. */
export interface StreamEnvironment<S = unknown> {
  readonly observer: FullObserver;
  /** `undefined` without a store: then streams are only observed. */
  readonly keeper: Keeper | undefined;
  /** Every response under a guard, and every observed stream, until it is over. */
  readonly live: Map<string, S>;
  /** The instance is closing and its patience is over: whatever still begins is interrupted at once. */
  interrupting: boolean;
  readonly trace: {
    traceId(stream: StreamView): string | null;
    traceparent(stream: StreamView): string | null;
  };
  /** Streams outliving their client now, per guard. */
  readonly finishing: WeakMap<object, number>;
  /** What apps that save by themselves still owe. */
  readonly expectations: Set<Expectation>;
  /** An error came by on its way from the handler: whether it is noise is decided when it is first seen. */
  sawError(error: unknown, res: object): void;
  /** Counts an internal error and logs it. */
  onInternalError(where: InternalErrorPlace, error: unknown): void;
  /** The same, for what a format throws; a function by itself, so that no stream needs one of its own. */
  readonly onFormatError: (error: unknown) => void;
  /** Logs a warning the first time it is asked to, per key. */
  warnOnce(key: string, message: string): void;
}
