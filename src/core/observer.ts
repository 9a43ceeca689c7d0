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
  /** The conversation that the app named. User data: never a label, and in spans only with the option for it. */
  readonly conversationId?: string | null;
}

/** The tokens of an answer, as reported by the provider of the model; `undefined` for what it does not report. */
export interface TokenUsage {
  /** Of the prompt, cached ones included. */
  readonly inputTokens: number | undefined;
  /** Of the answer, reasoning included. */
  readonly outputTokens: number | undefined;
}

/** The facts of a stream after its response has ended and its last save has a result. */
export interface StreamSummary {
  /** The stream in its final state. */
  readonly stream: StreamView;
  /** How it ended. */
  readonly outcome: Outcome;
  /** Who ended it. */
  readonly side: Side;
  /** From the start of the request to the end of the stream. */
  readonly durationMs: number;
  /** From the start of the request; `undefined` without a chunk. */
  readonly timeToFirstChunkMs: number | undefined;
  /** The largest time between two chunks; `undefined` with fewer than two. */
  readonly maxChunkGapMs: number | undefined;
  /** Total time during which the response was over its high-water mark. */
  readonly backpressureMs: number;
  /** Chunks written after the client had left, under the policy `finish`. */
  readonly chunksAfterDisconnect: number;
  /** Total time for which terminal frames were held; 0 when none was. */
  readonly holdMs: number;
  /** Result of the last save; the reason where nothing was due; `undefined` for an unguarded stream. */
  readonly save: SaveResult | SkipReason | undefined;
  /** Number of writes to the store, of all saves of this stream. */
  readonly saveAttempts: number;
  /** `error.type` of the telemetry: an SQLSTATE, a Node code, `timeout`, `truncated`, a class name. */
  readonly errorType: string | undefined;
  /** Why the model stopped, in the words of its provider; absent without a guard, and where the body does not contain it. */
  readonly finishReason?: string | undefined;
  /** Absent without a guard. */
  readonly usage?: TokenUsage | undefined;
}

/** One result of one save. */
export interface SaveReport {
  /** `undefined` for a message that another process left behind. */
  readonly stream: StreamView | undefined;
  /** The id of the message; its row may have another one, see `onIdConflict`. */
  readonly messageId: string;
  /** The route of the stream. */
  readonly route: string;
  /** The result. */
  readonly result: SaveResult;
  /** `first`: the one that the main counter counts; `revised`: of a reopened stream; `late`: it came after `missing`. */
  readonly kind: 'first' | 'revised' | 'late';
  /** From due to the result. */
  readonly durationMs: number;
  /** Number of writes to the store so far. */
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

/** The budget that ended a stream without a client. */
export type FinishRefusal = 'time' | 'bytes' | 'concurrent' | 'per-key';

/** The source of the bytes of a resumed response. */
export type ResumeSource = (typeof RESUME_SOURCES)[number];

/** The answer to a request to resume. */
export type ResumeResult = (typeof RESUME_RESULTS)[number];

/** The progress of the takeover of a stream whose instance lost its lease. */
export type TakeoverResult = (typeof TAKEOVERS)[number];

/** The answer to a request to stop a stream that is not live in this process. */
export type RemoteStopResult = (typeof REMOTE_STOPS)[number];

/** Why a held terminal frame was released. */
export type HoldRelease = 'saved' | 'journaled' | 'unconfirmed' | 'client-gone';

/** An error that only means that a client left or a stream was aborted; nothing failed. */
export interface Noise {
  /** The kind: a metric label. */
  readonly reason: NoiseReason;
  /** What the error was recognised by, such as `ERR_STREAM_DESTROYED`; never its message. */
  readonly signature: string;
}

/** A connection of a watched pool that the app did not release in time. */
export interface PoolFinding {
  /** The name given to `watchPool()`. */
  readonly pool: string;
  /**
   * `across-stream`: held from before the first chunk until after the last, or longer than `heldMs` during a stream; `long`: longer than
   * `heldMs` without a stream; `leaked`: it can no longer be released, because no code refers to it.
   */
  readonly kind: 'across-stream' | 'long' | 'leaked';
  /** `file:line` of the app where it was taken, or `unknown`. */
  readonly place: string;
  /** How long it has been held until now. */
  readonly heldMs: number;
  /** The route of the stream, with `across-stream`. */
  readonly route: string | undefined;
}

/** An event of a stream, and the phase before and after it, which may be the same; names as in `src/stream/lifecycle/phases.ts`. */
export type PhaseTransition = Readonly<Record<'event' | 'from' | 'to', string>>;

/** Callbacks for events, called after the fact. Every callback is optional; what it throws is caught and reported. */
export interface Observer {
  /** A guard has determined its route, so its metric series can be created. May be called repeatedly with the same route. */
  onRoute?(route: string): void;
  /** A response was recognised as a stream. Called in the handler's own async context. */
  onStart?(stream: StreamView): void;
  /** The first body write. */
  onFirstChunk?(stream: StreamView, timeToFirstChunkMs: number): void;
  /** A stream changes its phase, or an event has an effect within a phase. */
  onPhase?(stream: StreamView, transition: PhaseTransition): void;
  /** The client left, which decides the outcome. Called before the request's own span ends. */
  onDisconnect?(stream: StreamView): void;
  /** A message is due: exactly one `onSave` of kind `first` follows. Not called again for a reopened stream. */
  onDue?(stream: StreamView): void;
  /** No message is due: the policy discarded it, or it was empty. */
  onSkip?(stream: StreamView, reason: SkipReason): void;
  /** Facts about a message before it is saved, once for each message. */
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
  /** A stream of an instance that lost its lease was claimed; called again when its message is finished or lost. */
  onTakeover?(result: TakeoverResult): void;
  /** A client requested the rest of a stream; `route` is that of the stream, '' where no stream was found. */
  onResume?(route: string, source: ResumeSource, result: ResumeResult): void;
  /** A caller requested the stop of a stream that is not live in this process. */
  onRemoteStop?(result: RemoteStopResult): void;
  /** One attempt to write to the store; `errorType` is `undefined` if it succeeded. */
  onAttempt?(errorType: string | undefined): void;
  /**
   * The requested id of a message belongs to another stream, and its row was saved under `messageId`. Without a route, which the store does
   * not have.
   */
  onIdConflict?(requestedId: string, messageId: string): void;
  /**
   * A message is kept without a conversation: the option `message` threw, or named none, even at the end. Clients can cause it, so it is no
   * internal error. `error` describes the cause.
   */
  onUnnamed?(stream: StreamView, error: unknown): void;
  /** A held terminal frame was released, or dropped because its client left; `durationMs` is the time of this hold alone. */
  onHold?(stream: StreamView, released: HoldRelease, durationMs: number): void;
  /**
   * An answer of a guarded route, with a status of 2xx, was not recognised as a stream: nothing of it is kept. `mediaType` is
   * without parameters, '' where there is none.
   */
  onUnrecognised?(stream: StreamView, mediaType: string): void;
  /** A stream begins (`true`) or ceases (`false`) to outlive its client. */
  onFinishing?(stream: StreamView, begins: boolean): void;
  /** A stream whose client left must end. */
  onFinishRefused?(stream: StreamView, reason: FinishRefusal): void;
  /** A stream has ended and its last save has a result; once for each stream. */
  onEnd?(summary: StreamSummary): void;
  /** An error of this stream was called noise; once for each error object. It may come after `onEnd`. */
  onNoise?(stream: StreamView, noise: Noise): void;
  /** A pool is watched, so its metric series can be created. */
  onPoolWatched?(pool: string): void;
  /** A connection was held too long; called once more if it leaks. */
  onPoolFinding?(finding: PoolFinding): void;
  /** Something inside lastchunk failed. `error` is what was thrown; its message may contain text of users if code of the app threw it. */
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
} satisfies Readonly<Record<keyof Observer, true>>) as readonly (keyof Observer)[]; // `satisfies` ensures that these are its keys.

/** Any callback; each has at most three arguments. */
type Callback = (first?: unknown, second?: unknown, third?: unknown) => void;

/**
 * Combines observers into one. What one of them throws is reported to `onThrow`, which must not throw, and affects neither the caller nor
 * the other observers. Callbacks are looked up only here, so that an observer without a callback for an event costs nothing when the event
 * occurs.
 */
export function combine(
  observers: readonly Observer[],
  onThrow: (error: unknown) => void,
): FullObserver {
  const told = CALLBACKS.map((name) => [name, tellAll(callbacksOf(observers, name), onThrow)]);
  // Every name of `Observer` has an entry, whose arguments are passed to the callbacks of that name.
  return Object.fromEntries(told) as FullObserver;
}

function callbacksOf(observers: readonly Observer[], name: keyof Observer): readonly Callback[] {
  return observers.flatMap((observer) => {
    // The types of its arguments are those of the event that it is called with.
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
