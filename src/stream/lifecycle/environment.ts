/** What surrounds a stream: the parts that all streams of one instance share, and the hooks of the code that made it. */
import type { Keeper } from '../../core/save-port.ts';
import type {
  FinishRefusal,
  FullObserver,
  InternalErrorPlace,
  StreamView,
} from '../../core/observer.ts';
import type { LiveBytes } from '../body/live-bytes.ts';
import type { FinishShares } from '../client/finish-shares.ts';
import type { RelayInstance } from '../../relay/instance.ts';
import type { OwnSaves } from './own-saves.ts';

/** Shared by every stream of one instance. `S` is the class of its streams, which this file must not import. */
export interface StreamEnvironment<S = unknown> {
  readonly observer: FullObserver;
  /** `undefined` without a store: then streams are only observed. */
  readonly keeper: Keeper | undefined;
  /** `undefined` where streams are not shared with other instances. */
  readonly relay: RelayInstance | undefined;
  /** By id: every response under a guard, and every observed stream, until it is over. */
  readonly live: Map<string, S>;
  /** Counts the memory of the bodies of all streams. */
  readonly liveBytes: LiveBytes;
  /** The instance is closing: responses get `Connection: close`. */
  closing: boolean;
  /** The instance is closing and its time for draining is over: streams that still begin are interrupted at once. */
  interrupting: boolean;
  /** Checks every few seconds for connections that closed without an event; undefined while no stream is live. */
  sweepTimer: NodeJS.Timeout | undefined;
  /** `close()` has finished: the instance must not be used any more. */
  closed: boolean;
  readonly trace: {
    traceId(stream: StreamView): string | null;
    traceparent(stream: StreamView): string | null;
    /** Runs the handler behind a guard. `leave` follows where its response is not a stream. */
    handle<T>(stream: StreamView, work: () => T): T;
    /** The response is not a stream. May be called again. */
    leave(stream: StreamView): void;
    /** A response resumes a stream; call the returned function when the response is over. */
    resume(stream: { readonly id: string; readonly traceparent: string | null }): () => void;
  };
  /** Counts of the streams that outlive their clients now, by the settings of their guard. */
  readonly finishing: WeakMap<object, FinishShares>;
  /** For apps that save by themselves: their saves that have no result yet. */
  readonly pendingOwnSaves: Set<OwnSaves>;
  /** A handler failed with this error: whether it is noise is decided now, when it is first seen. */
  sawError(error: unknown, res: object): void;
  /** Counts an internal error and logs it. */
  onInternalError(where: InternalErrorPlace, error: unknown): void;
  /** The same, for an error that a format throws; one shared function, so that no stream needs one of its own. */
  readonly onFormatError: (error: unknown) => void;
  /** Logs a warning the first time it is asked to, per key. */
  warnOnce(key: string, message: string): void;
}

/** The calls of a stream into the code that made it, so that the stream need not import that. */
export interface StreamHooks {
  /** No data came for `idleTimeoutMs`. */
  idle(): void;
  /** Nothing is held any more. */
  released(): void;
  /** The finish marker came after the handler was told to stop. */
  finishedInGrace(): void;
  /** A full response made no progress for `stallTimeoutMs`. */
  stalled(): void;
  /** The stream may not outlive its client any longer. */
  budgetSpent(why: FinishRefusal): void;
  /** Ends or destroys the response, bypassing the wrapped methods. */
  closeResponse(how: 'end' | 'destroy'): void;
  /** Whether our `'close'` listener is still registered: a handler may have removed all listeners of its socket. */
  hearsClose(): boolean;
  /** Removes our listeners from the socket, which serves other requests. */
  removeListeners(): void;
  /** Removes our methods from the response, for a guard that replaces `observe()`. */
  restoreMethods(): void;
}

/** The hooks of a stream that is not attached yet: they do nothing. */
export const NO_HOOKS: StreamHooks = {
  idle() {},
  released() {},
  finishedInGrace() {},
  stalled() {},
  budgetSpent() {},
  closeResponse() {},
  hearsClose: () => true,
  removeListeners() {},
  restoreMethods() {},
};
