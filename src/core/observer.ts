/**
 * The events of lastchunk: everything that happens to streams and messages is reported to observers, once. Metrics, spans, log lines and
 * health are made from these events. An observer is called after the fact and cannot change the result: `combine` catches what it throws.
 */
import type { Outcome, SaveResult, Side, SkipReason } from './message.ts';
import type {
  NoiseReason,
  REMOTE_STOPS,
  RESUME_RESULTS,
  RESUME_SOURCES,
  TAKEOVERS,
} from './names/labels.ts';

/** A live stream, for observers. `chunks` and `bytes` change while it runs; read them at once and do not store the object. */
export interface StreamView {
  /** A UUIDv7. */
  readonly id: string;
  /** The Express pattern, `unmatched` where there is none; never a URL. */
  readonly route: string;
  /** Of the request, in upper case. */
  readonly method: string;
  /** True under `guard()`, false under `observe()` alone. */
  readonly guarded: boolean;
  /** Name of the wire format, `auto` until it is decided. */
  readonly format: string;
  /** Start of the request, epoch milliseconds. */
  readonly startedAtMs: number;
  /** Body writes so far. */
  readonly chunks: number;
  /** Bytes of all body writes so far. */
  readonly bytes: number;
  /** What the app named; user data, so it is no label, and in spans only if the app asks for it. */
  readonly conversationId?: string | null;
}

/** The tokens of an answer, as reported by the provider of the model; `undefined` for what it does not report. */
export interface TokenUsage {
  /** Of the prompt, with those that came out of a cache. */
  readonly inputTokens: number | undefined;
  /** Of the answer, with those of its reasoning. */
  readonly outputTokens: number | undefined;
}

/** One stream, when the response is over and the last save has its result. */
export interface StreamSummary {
  /** As it is at its end. */
  readonly stream: StreamView;
  /** How it ended. */
  readonly outcome: Outcome;
  /** Who ended it. */
  readonly side: Side;
  /** From the start of the request to the end of the stream. */
  readonly durationMs: number;
  /** From the request's start; `undefined` when no chunk came. */
  readonly timeToFirstChunkMs: number | undefined;
  /** The largest time between two chunks; `undefined` with fewer than two. */
  readonly maxChunkGapMs: number | undefined;
  /** Sum of the times the response was over its high-water mark. */
  readonly backpressureMs: number;
  /** Chunks written after the client had left, under the policy `finish`. */
  readonly chunksAfterDisconnect: number;
  /** Sum of the times that terminal frames were held; 0 when none was. */
  readonly holdMs: number;
  /** Result of the last save; the reason where nothing was due; `undefined` for an unguarded stream. */
  readonly save: SaveResult | SkipReason | undefined;
  /** Writes to the store, of all saves of this stream. */
  readonly saveAttempts: number;
  /** `error.type` of the telemetry: an SQLSTATE, a Node code, `timeout`, `truncated`, a class name. */
  readonly errorType: string | undefined;
  /** Why the model stopped, in its provider's word; absent without a guard, and where the body does not say it. */
  readonly finishReason?: string | undefined;
  /** Absent without a guard. */
  readonly usage?: TokenUsage | undefined;
}

/** One result of one save. */
export interface SaveReport {
  /** `undefined` for a message that another process left behind. */
  readonly stream: StreamView | undefined;
  /** Of the message; the row may have been made under another, see `onIdConflict`. */
  readonly messageId: string;
  /** As in the stream. */
  readonly route: string;
  /** What became of it. */
  readonly result: SaveResult;
  /** `first` moves the main counter; `revised` is a reopened stream's; `late` came after `missing`. */
  readonly kind: 'first' | 'revised' | 'late';
  /** From due to the result. */
  readonly durationMs: number;
  /** Writes to the store so far. */
  readonly attempts: number;
  /** SQLSTATE or error code of the last failure. */
  readonly errorType: string | undefined;
}

/** A message that reached the store by way of the journal, or was refused by it there. */
export interface JournaledMessage {
  readonly streamId: string;
  readonly messageId: string;
  readonly route: string;
  /** W3C `traceparent` of the stream's span, or `null`. */
  readonly traceparent: string | null;
}

/** The part of lastchunk in which an unexpected failure occurred. A closed set: it is a metric label. */
export type InternalErrorPlace = 'observer' | 'journal' | 'store' | 'format' | 'stream' | 'close';

/** Why a client-less stream was not allowed to go on. */
export type FinishRefusal = 'time' | 'bytes' | 'concurrent' | 'per-key';

/** Where the bytes of a resumed response are from. */
export type ResumeSource = (typeof RESUME_SOURCES)[number];

/** How a request to resume was answered. */
export type ResumeResult = (typeof RESUME_RESULTS)[number];

/** What became of a stream whose instance was gone. */
export type TakeoverResult = (typeof TAKEOVERS)[number];

/** How a request to stop a stream of another instance was answered. */
export type RemoteStopResult = (typeof REMOTE_STOPS)[number];

/** Why a held terminal frame was released. */
export type HoldRelease = 'saved' | 'journaled' | 'unconfirmed' | 'client-gone';

/** An error that means that somebody left, not that something broke. */
export interface Noise {
  /** The kind: a metric label. */
  readonly reason: NoiseReason;
  /** What the error was recognised by, such as `ERR_STREAM_DESTROYED`; never its message. */
  readonly signature: string;
}

/** A connection of a watched pool that the app did not give back in time. */
export interface PoolFinding {
  /** The name given to `watchPool()`. */
  readonly pool: string;
  /**
   * `across-stream`: held from before the first chunk until after the last, or longer than `heldMs` while a stream was on
   * its way; `long`: longer than `heldMs` without a stream; `leaked`: nobody can release it any more.
   */
  readonly kind: 'across-stream' | 'long' | 'leaked';
  /** `file:line` of the app where it was taken, or `unknown`. */
  readonly place: string;
  /** Until now. */
  readonly heldMs: number;
  /** Of the stream, with `across-stream`. */
  readonly route: string | undefined;
}

/** An event of a stream, and the phase before and after it, which may be the same; names as in `src/stream/lifecycle/phases.ts`. */
export type PhaseTransition = Readonly<Record<'event' | 'from' | 'to', string>>;

/** What happens, told after the fact. Every callback is optional and may throw without harm. */
export interface Observer {
  /** A guard knows its route: its series can exist from now on. May be called often with the same route. */
  onRoute?(route: string): void;
  /** A response was decided to be a stream. Called in the handler's own async context. */
  onStart?(stream: StreamView): void;
  /** The first body write. */
  onFirstChunk?(stream: StreamView, timeToFirstChunkMs: number): void;
  /** A stream goes from one phase into another, or an event does something in it. */
  onPhase?(stream: StreamView, transition: PhaseTransition): void;
  /** The client left, and that is the outcome. Called while the request's own span can still be written to. */
  onDisconnect?(stream: StreamView): void;
  /** A message is due: exactly one `onSave` of kind `first` follows. Not called again for a reopened stream. */
  onDue?(stream: StreamView): void;
  /** Nothing was due, by policy or because there was nothing. */
  onSkip?(stream: StreamView, reason: SkipReason): void;
  /** Facts of a message about to be saved, once per message. */
  onMessage?(
    stream: StreamView,
    facts: { readonly unknownText: boolean; readonly cut: boolean },
  ): void;
  /** A save has its result. */
  onSave?(report: SaveReport): void;
  /** The store has saved or refused a journaled message of this process. The counters of saves do not change again. */
  onReplayed?(result: 'saved' | 'refused', message: JournaledMessage): void;
  /** The same for a message that a dead process left behind; it was never due here. */
  onRecovered?(result: 'saved' | 'refused', message: JournaledMessage): void;
  /** The journal wrote, once for all streams of a tick. */
  onJournalWrite?(seconds: number): void;
  /** The relay has answered an exchange that contained this many bytes of bodies. */
  onRelayFlush?(seconds: number, bytes: number): void;
  /** A stream of an instance that is gone was claimed, and later its message was finished, or is lost. */
  onTakeover?(result: TakeoverResult): void;
  /** Somebody asked for the rest of a stream; `route` is that of the stream, '' where there is none. */
  onResume?(route: string, source: ResumeSource, result: ResumeResult): void;
  /** Somebody wanted a stream stopped that is not live in this process. */
  onRemoteStop?(result: RemoteStopResult): void;
  /** One attempt to write to the store; `errorType` is undefined when it worked. */
  onAttempt?(errorType: string | undefined): void;
  /**
   * A message asked for an id that belongs to another stream, and its row was made under `messageId`. Without a route: the
   * store does not know it.
   */
  onIdConflict?(requestedId: string, messageId: string): void;
  /**
   * A message is kept without a conversation: `message` threw, or named none, also at the end. Clients can cause it, so it is
   * no internal error. `error` says what was wrong.
   */
  onUnnamed?(stream: StreamView, error: unknown): void;
  /** A terminal frame that was held was let go, or dropped with its client; `durationMs` is of this hold alone. */
  onHold?(stream: StreamView, released: HoldRelease, durationMs: number): void;
  /**
   * An answer of a guarded route, with a status of 2xx, was not taken for a stream: nothing of it is kept. `mediaType` is
   * without parameters, '' where there is none.
   */
  onUnrecognised?(stream: StreamView, mediaType: string): void;
  /** A stream begins (`true`) or ceases (`false`) to outlive its client. */
  onFinishing?(stream: StreamView, begins: boolean): void;
  /** A stream whose client left may not go on. */
  onFinishRefused?(stream: StreamView, reason: FinishRefusal): void;
  /** A stream is over and its last save has its result; once for each stream. */
  onEnd?(summary: StreamSummary): void;
  /** An error of this stream was called noise; once for each error object. It may come after `onEnd`. */
  onNoise?(stream: StreamView, noise: Noise): void;
  /** A pool is watched: its series can exist from now on. */
  onPoolWatched?(pool: string): void;
  /** Once for a client that was held too long, and once more if it is lost. */
  onPoolFinding?(finding: PoolFinding): void;
  /** Something inside lastchunk failed. `error` is for the log; it holds no message text. */
  onInternalError?(where: InternalErrorPlace, error: unknown): void;
}

/** An observer with every callback present, as `combine` returns it. */
export type FullObserver = Required<Observer>;

/** The callbacks by name: a new one that is missing here does not compile. */
const CALLBACKS = Object.keys({
  onRoute: true,
  onStart: true,
  onFirstChunk: true,
  onPhase: true,
  onDisconnect: true,
  onDue: true,
  onSkip: true,
  onMessage: true,
  onSave: true,
  onReplayed: true,
  onRecovered: true,
  onJournalWrite: true,
  onRelayFlush: true,
  onTakeover: true,
  onResume: true,
  onRemoteStop: true,
  onAttempt: true,
  onIdConflict: true,
  onUnnamed: true,
  onHold: true,
  onUnrecognised: true,
  onFinishing: true,
  onFinishRefused: true,
  onEnd: true,
  onNoise: true,
  onPoolWatched: true,
  onPoolFinding: true,
  onInternalError: true,
} satisfies Readonly<Record<keyof Observer, true>>) as readonly (keyof Observer)[]; // Its keys, by `satisfies`.

/** Any callback: none has more than three facts. */
type Callback = (first?: unknown, second?: unknown, third?: unknown) => void;

/**
 * One observer out of many. What one of them throws reaches neither the caller nor the others; it is
 * reported to `onThrow`, which must not throw itself. Callbacks are looked up once, here: an observer that has none for an
 * event costs nothing when it happens.
 */
export function combine(
  observers: readonly Observer[],
  onThrow: (error: unknown) => void,
): FullObserver {
  const told = CALLBACKS.map((name) => [name, tellAll(callbacksOf(observers, name), onThrow)]);
  // Every callback has its entry, and each takes the facts of those that it calls.
  return Object.fromEntries(told) as FullObserver;
}

function callbacksOf(observers: readonly Observer[], name: keyof Observer): readonly Callback[] {
  return observers.flatMap((observer) => {
    // Which facts it takes is its own affair: it is called with those of its event.
    const callback = observer[name] as Callback | undefined;
    return typeof callback === 'function' ? [callback.bind(observer)] : [];
  });
}

function tellAll(callbacks: readonly Callback[], onThrow: (error: unknown) => void): Callback {
  return (first, second, third) => {
    for (const callback of callbacks) {
      try {
        callback(first, second, third);
      } catch (error) {
        onThrow(error);
      }
    }
  };
}
