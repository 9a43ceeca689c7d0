/**
 * The state machine of one stream: from a response that may become a stream to one outcome, one message and one
 * summary. Everything that can end a stream comes in as a *fact*; the first one fixes outcome and side, in the tick it
 * is seen, and a later one counts only when the stream went on after it. Where the facts come from is elsewhere: what the
 * handler does in `handler.ts`, how a client leaves in `leaving.ts`, how a stream is ended on purpose in `halting.ts`.
 *
 * A class, unlike most of the project: one for each live stream, and methods on a prototype cost nothing.
 */
import type { SaveProgress } from '../../core/save-port.ts';
import type { SaveResult, SkipReason } from '../../core/message.ts';
import type { StreamView } from '../../core/observer.ts';
import { type Body, createBody, ERROR_FRAME, type Opening, type PastBody } from '../body/body.ts';
import type { StreamEnvironment } from './environment.ts';
import type { Exchange } from '../response/exchange.ts';
import type { Expectation } from './own-saves.ts';
import { createFinishing, type Finishing } from '../client/finishing.ts';
import { createHold, HELD, type Hold } from '../response/hold.ts';
import { NO_HOOKS, type StreamHooks } from '../entry/hooks.ts';
import { type Identity, identityOf } from '../body/identity.ts';
import { createPulse, type Pulse } from '../body/timings.ts';
import { routeOf } from '../entry/route.ts';
import type { StreamSettings } from '../settings.ts';
import type { Fact } from '../body/message-builder.ts';
import { createStopSignal, type StopSignal } from '../client/stop-signal.ts';
import { summaryOf } from './summary.ts';

/** Nothing is held; one promise for all streams of which that is true. */
const RELEASED = Promise.resolve();

export class Stream implements StreamView {
  readonly id: string;
  readonly exchange: Exchange;
  readonly settings: StreamSettings;
  readonly environment: StreamEnvironment<Stream>;
  readonly guarded: boolean;
  readonly startedAtMs: number = Date.now();
  readonly method: string;
  readonly hold: Hold;
  readonly pulse: Pulse;
  readonly stopSignal: StopSignal;
  /** Present under a guard. */
  readonly finishing: Finishing | undefined;
  /** Nothing is known of the response yet; it is a stream; it is something else and none of our business. */
  kind: 'undecided' | 'stream' | 'other' = 'undecided';
  chunks = 0;
  chunksAfterDisconnect = 0;
  holdMs = 0;
  /** Nothing that the handler writes can reach the client any more. */
  gone = false;
  /** The handler called `end()`. */
  endCalled = false;
  /** The handler closed its HTTP/2 stream with an error code. */
  resetHere = false;
  fact: Fact | undefined;
  /** The outcome is fixed, but the handler is still allowed to write what belongs to the message. */
  waiting: 'world' | 'grace' | undefined;
  graceTimer: NodeJS.Timeout | undefined;
  /** What a stop, a time-out or a shutdown does to the response once its message is safe. */
  cut: 'end' | 'destroy' | undefined;
  /** The handler was told to stop: its end is not the end of the answer. */
  cutShort = false;
  /** Bytes when the fact was fixed. */
  bytesAtFact = 0;
  /** The response is over; its message may still be on its way. */
  over = false;
  body: Body | undefined;
  expectation: Expectation | undefined;
  /** What is done about this stream by those who made it; set by `attach`. */
  hooks: StreamHooks = NO_HOOKS;
  /** The handler threw: no polite end afterwards makes that a success. */
  failure: Fact | undefined;
  /** It was stopped before it began. */
  stopFirst: { readonly fact: Fact; readonly reason: string } | undefined;
  /** Resolves when nothing is held any more. */
  released: Promise<void> = RELEASED;
  #reported = false;
  #past: PastBody | undefined;
  #holds = 0;
  #identity: Identity | undefined;
  #route: string | undefined;
  #overListeners: (() => void)[] | undefined;
  #settledListeners: ((result: SaveResult | SkipReason) => void)[] | undefined;

  constructor(
    id: string,
    exchange: Exchange,
    settings: StreamSettings,
    environment: StreamEnvironment<Stream>,
  ) {
    this.id = id;
    this.exchange = exchange;
    this.settings = settings;
    this.environment = environment;
    this.guarded = settings.guarded && environment.keeper !== undefined;
    this.method = exchange.req.method ?? 'GET';
    this.hold = createHold(exchange, environment);
    this.stopSignal = createStopSignal(exchange.req, this.guarded);
    this.pulse = createPulse(this);
    this.finishing = this.guarded ? createFinishing(this) : undefined;
  }

  get route(): string {
    return this.#route ?? this.settings.route ?? routeOf(this.exchange.req);
  }

  get format(): string {
    return (this.body ?? this.#past)?.format ?? 'auto';
  }

  get conversationId(): string | null {
    return this.guarded ? this.identity.conversationId : null;
  }

  get bytes(): number {
    return (this.body ?? this.#past)?.bytes ?? 0;
  }

  /** Whose message this is; the app is asked the first time somebody wants to know. */
  get identity(): Identity {
    this.#identity ??= identityOf(this.settings, this.exchange.req, this.exchange.res, (error) =>
      this.environment.onInternalError('message', error),
    );
    return this.#identity;
  }

  /** Whether calls on the response are the stream's business; where they are not, Node's own answer stands. */
  get concerned(): boolean {
    return (this.kind === 'stream' && !this.over) || (this.gone && this.guarded);
  }

  /** What the handler writes goes nowhere, and is not kept either. */
  get deaf(): boolean {
    return this.cut !== undefined || (this.gone && this.finishing?.active !== true);
  }

  get holdsFrame(): boolean {
    return this.hold.active && !this.hold.empty;
  }

  /** Decided: it is a stream. Called before the first byte, in the handler's own call. */
  begin(opening: Opening): void {
    this.kind = 'stream';
    this.#route = this.route;
    this.environment.live.set(this.id, this);
    this.environment.observer.onStart(this);
    this.body = createBody(this, opening);
    if (this.body.builder !== undefined) this.body.builder.onResult = () => this.report();
    this.pulse.start();
  }

  /** The response is no stream: nothing of ours stays on it, unless its client left and it is being finished. */
  isOther(): void {
    this.kind = 'other';
    this.pulse.stop();
    if (!this.gone) this.#release();
  }

  /**
   * One body write, before its bytes go anywhere; `invalid` is what Node itself will refuse. When it shows that the
   * answer is over, `hold` is active afterwards, and this write belongs behind it.
   */
  take(chunk: unknown, encoding: unknown, now: boolean): 'invalid' | 'taken' {
    const { body } = this;
    if (body === undefined) return 'taken';
    const seen = body.take(chunk, encoding, now);
    if (seen === 'invalid') return 'invalid';
    this.chunks += 1;
    if (this.chunks === 1) {
      this.environment.observer.onFirstChunk(this, this.pulse.timeToFirstChunkMs ?? 0);
    }
    if (this.gone) {
      this.chunksAfterDisconnect += 1;
      this.finishing?.spend(body.bytes);
    } else if (seen === 'finish' && this.waiting === 'grace') this.hooks.finished();
    else if (seen === 'finish') this.conclude(body.finishFact());
    else if (seen === 'error') this.conclude(ERROR_FRAME);
    else if (body.whole) this.conclude(body.endFact());
    return 'taken';
  }

  /** A terminal fact while the client is there: its message is due at once, and what is written next waits for it. */
  conclude(fact: Fact, reopens = false): void {
    if (!this.fix(this.failure ?? fact, reopens)) return;
    const progress = this.settle();
    if (progress !== undefined && HELD.has(fact.outcome)) this.holdUntil(progress);
  }

  /** Fixes outcome and side. False when an earlier fact stands. */
  fix(fact: Fact, reopens = false): boolean {
    if (this.waiting !== undefined || this.#reported) return false;
    if (this.fact !== undefined && this.body?.builder?.grew() !== true) {
      if (!reopens || this.fact.outcome === fact.outcome) return false;
    }
    this.fact = fact;
    this.bytesAtFact = this.bytes;
    return true;
  }

  /** Hands the message over, if there is one. */
  settle(): SaveProgress | undefined {
    this.waiting = undefined;
    clearTimeout(this.graceTimer);
    if (this.fact === undefined) return undefined;
    this.expectation?.settle();
    return this.body?.builder?.settle(this.fact, this.#isComplete(this.fact));
  }

  #isComplete({ outcome }: Fact): boolean {
    const finishes = outcome === 'disconnected' && this.settings.policy.disconnected === 'finish';
    if (outcome !== 'completed' && !finishes) return false;
    return this.body?.isComplete(this.endCalled && !this.cutShort) === true;
  }

  /** Holds what is written from now on until the message is safe, or its time is over. */
  holdUntil(progress: SaveProgress): void {
    if (this.gone) return;
    this.#holds += 1;
    this.pulse.pause();
    this.hold.begin();
    const since = performance.now();
    this.released = progress.confirmed.then((released) => {
      this.#holds -= 1;
      if (this.#holds > 0 || !this.hold.active) return;
      this.holdMs += performance.now() - since;
      if (!this.hold.empty) this.environment.observer.onHold(this, released, this.holdMs);
      this.hold.release();
      if (!this.endCalled) this.pulse.resume();
    });
  }

  /** The client is gone: what is held goes nowhere. */
  dropHeld(): void {
    if (!this.hold.active) return;
    if (!this.hold.empty) this.environment.observer.onHold(this, 'client-gone', 0);
    this.hold.abandon();
  }

  /** When the response is over, its message may still be on its way. */
  whenOver(): Promise<void> {
    if (this.over) return Promise.resolve();
    return new Promise((resolve) => (this.#overListeners ??= []).push(resolve));
  }

  /** What became of the message, once that is known. */
  whenSettled(): Promise<SaveResult | SkipReason> {
    const { result = 'empty' } = this.body?.builder ?? this.#past ?? {};
    if (this.#hasResult()) return Promise.resolve(result);
    return new Promise((resolve) => (this.#settledListeners ??= []).push(resolve));
  }

  /** The response is over. */
  finish(): void {
    if (this.over) return;
    this.over = true;
    for (const tell of this.#overListeners ?? []) tell();
    this.pulse.stop();
    clearTimeout(this.graceTimer);
    this.finishing?.done();
    this.hooks.detach();
    this.report();
  }

  #release(): void {
    // The guard's stream has the id of the observed one whose place it took.
    if (this.environment.live.get(this.id) === this) this.environment.live.delete(this.id);
    this.hooks.detach();
  }

  #hasResult(): boolean {
    const { pending, result } = this.body?.builder ?? this.expectation ?? {};
    const settled = this.fact !== undefined && this.waiting === undefined;
    return this.#reported || (settled && pending === 0 && result !== undefined);
  }

  /** Once, when the response is over and the last save has its result. */
  report(): void {
    const builder = this.body?.builder ?? this.expectation;
    if (this.#reported || (builder?.pending ?? 0) > 0) return;
    this.#reported = this.over;
    if (this.#hasResult()) {
      for (const tell of this.#settledListeners ?? []) tell(builder?.result ?? 'empty');
      this.#settledListeners = undefined;
    }
    if (!this.over) return;
    this.#release();
    if (this.body === undefined) return;
    this.fact ??= this.body.endFact();
    if (builder?.due === false) {
      this.body.drop();
      const reason = builder.result === 'discarded' ? 'discarded' : 'empty';
      this.environment.observer.onSkip(this, reason);
    }
    this.environment.observer.onEnd(summaryOf(this, this.fact, builder));
    this.#past = { bytes: this.bytes, format: this.format, result: builder?.result };
    this.body = undefined;
  }
}

/** What every stream of one instance shares. */
export type Environment = StreamEnvironment<Stream>;
