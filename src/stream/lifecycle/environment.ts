/** What surrounds a stream: the parts that all streams of one instance share, and those who made this one. */
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

/** Shared by every stream of one instance. `S` is the class of its streams, which this file must not know. */
export interface StreamEnvironment<S = unknown> {
  readonly observer: FullObserver;
  /** `undefined` without a store: then streams are only observed. */
  readonly keeper: Keeper | undefined;
  /** `undefined` where no other instance is told of streams. */
  readonly relay: RelayInstance | undefined;
  /** By id: every response under a guard, and every observed stream, until it is over. */
  readonly live: Map<string, S>;
  /** What the bodies of all streams take in memory. */
  readonly liveBytes: LiveBytes;
  /** The instance is closing: connections are not kept for another request. */
  closing: boolean;
  /** The instance is closing and its patience is over: whatever still begins is interrupted at once. */
  interrupting: boolean;
  /** Looks from time to time for connections that have gone without a word; undefined while nothing is live. */
  sweepTimer: NodeJS.Timeout | undefined;
  /** `close()` has finished: whoever still uses the instance holds an old one. */
  closed: boolean;
  readonly trace: {
    traceId(stream: StreamView): string | null;
    traceparent(stream: StreamView): string | null;
    /** Runs the handler that a guard is in front of. `leave` follows where its response is no stream. */
    handle<T>(stream: StreamView, work: () => T): T;
    /** May be called again. */
    leave(stream: StreamView): void;
    /** A stream is resumed by a response; what is returned is called when that is over. */
    resume(stream: { readonly id: string; readonly traceparent: string | null }): () => void;
  };
  /** Streams outliving their client now, by the settings of their guard. */
  readonly finishing: WeakMap<object, FinishShares>;
  /** Of apps that save by themselves: the saves that have no result yet. */
  readonly pendingOwnSaves: Set<OwnSaves>;
  /** An error came by on its way from the handler: whether it is noise is decided when it is first seen. */
  sawError(error: unknown, res: object): void;
  /** Counts an internal error and logs it. */
  onInternalError(where: InternalErrorPlace, error: unknown): void;
  /** The same, for what a format throws; a function by itself, so that no stream needs one of its own. */
  readonly onFormatError: (error: unknown) => void;
  /** Logs a warning the first time it is asked to, per key. */
  warnOnce(key: string, message: string): void;
}

/** What a stream asks of those who made it, so that it need not know them. */
export interface StreamHooks {
  /** No data came for `idleTimeoutMs`. */
  idle(): void;
  /** Nothing is held any more. */
  released(): void;
  /** The finish marker came after it was told to stop. */
  finishedInGrace(): void;
  /** A full response made no progress for `stallTimeoutMs`. */
  stalled(): void;
  /** It may not outlive its client any longer. */
  budgetSpent(why: FinishRefusal): void;
  /** Ends or destroys the response without asking the stream. */
  closeResponse(how: 'end' | 'destroy'): void;
  /** Whether the end of the connection would be told: a handler may have taken our listeners off its socket. */
  hearsClose(): boolean;
  /** Our listeners come off the socket, which serves other requests. */
  removeListeners(): void;
  /** Our methods come off the response, for a guard that takes the place of `observe()`. */
  restoreMethods(): void;
}

/** Until it is attached. */
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
