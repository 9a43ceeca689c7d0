/**
 * One stream: from a response that may become a stream to one outcome, one message and one summary. Everything that can end
 * a stream is a *terminal fact*; the first one fixes outcome and side, in the tick it is seen, and a later one counts only if
 * the body said more after it. The phases are in `phases.ts`, the transitions in `transition-table.ts`; events come from
 * `transitions.ts` and `ending.ts`.
 */
import type { SaveProgress } from '../../core/save-port.ts';
import type { HoldRelease, StreamView } from '../../core/observer.ts';
import { Body } from '../body/body.ts';
import { StreamIdentity, troubleOf } from '../body/identity.ts';
import { type Ending, ERROR_FRAME, type TerminalFact } from '../body/message-builder.ts';
import { StreamTimings } from '../body/timings.ts';
import { Finishing } from '../client/detached.ts';
import { type StopSignal, stopSignalFor } from '../client/stop-signal.ts';
import { LiveSource } from '../resume/live-source.ts';
import type { Exchange } from '../response/exchange.ts';
import { HELD, ResponseHold } from '../response/hold.ts';
import type { ResponseHead } from '../response/is-stream.ts';
import type { StreamSettings } from '../settings.ts';
import { NO_HOOKS, type StreamEnvironment, type StreamHooks } from './environment.ts';
import type { OwnSaves } from './own-saves.ts';
import { type Phase, PHASES } from './phases.ts';
import { StreamReport } from './report.ts';
import { routeOf } from './route.ts';

/** `released` while nothing is held; one promise for all streams. */
const RELEASED = Promise.resolve();

/** One response, from its first write to its report. */
export class Stream implements StreamView {
  readonly id: string;
  readonly exchange: Exchange;
  readonly settings: StreamSettings;
  readonly environment: StreamEnvironment<Stream>;
  readonly guarded: boolean;
  readonly startedAtMs: number = Date.now();
  readonly method: string;
  readonly hold: ResponseHold;
  readonly timings: StreamTimings;
  readonly stopSignal: StopSignal;
  readonly report: StreamReport;
  /** Present under a guard. */
  readonly finishing: Finishing | undefined;
  /** Changed by `step` alone. */
  phase: Phase = PHASES.undecided;
  chunks = 0;
  chunksAfterDisconnect = 0;
  /** Sum of all holds, in milliseconds. */
  holdMs = 0;
  /** The handler called `end()`. */
  endCalled = false;
  /** The handler closed its HTTP/2 stream with an error code. */
  resetHere = false;
  /** How it ended; undefined until then. */
  terminal: TerminalFact | undefined;
  graceTimer: NodeJS.Timeout | undefined;
  /** What a stop, a time-out or a shutdown does to the response once its message is safe. */
  closeMode: 'end' | 'destroy' | undefined;
  /** The handler was told to stop: its `end()` is not the end of the answer. */
  cutShort = false;
  /** Bytes when the outcome was fixed. */
  bytesAtTerminal = 0;
  body: Body | undefined;
  /** Under `observe()`: what the app saves by itself. */
  ownSaves: OwnSaves | undefined;
  /** With a relay: the source that the relay reads for other instances. */
  source: LiveSource | undefined;
  /** It was stopped, with or without its client. */
  wasStopped = false;
  /** Calls into the code that made this stream; set by `attach`. */
  hooks: StreamHooks = NO_HOOKS;
  /** The handler threw: an `end()` afterwards does not make that a success. */
  failure: TerminalFact | undefined;
  /** It was stopped before it began. */
  pendingStop: { readonly terminal: TerminalFact; readonly reason: string } | undefined;
  /** Resolves when nothing is held any more. */
  released: Promise<void> = RELEASED;
  #holds = 0;
  /** By `performance.now()`. */
  #heldSince = 0;
  #identity: StreamIdentity | undefined;
  #route: string | undefined;

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
    this.hold = new ResponseHold(exchange);
    this.stopSignal = stopSignalFor(exchange.req, this.guarded);
    this.timings = new StreamTimings(this);
    this.report = new StreamReport(this);
    this.finishing = this.guarded ? new Finishing(this) : undefined;
  }

  get route(): string {
    return this.#route ?? this.settings.route ?? routeOf(this.exchange.req);
  }

  get format(): string {
    return (this.body ?? this.report.past)?.format ?? 'auto';
  }

  get conversationId(): string | null {
    return this.guarded ? this.identity.conversationId : null;
  }

  get bytes(): number {
    return (this.body ?? this.report.past)?.bytes ?? 0;
  }

  /** The names of the message; the first access calls the app's option `message`. */
  get identity(): StreamIdentity {
    const { req, res } = this.exchange;
    this.#identity ??= new StreamIdentity(this.settings.message, req, res);
    return this.#identity;
  }

  /** Whether the stream handles calls on the response; otherwise Node handles them. */
  get concerned(): boolean {
    const { phase } = this;
    return phase.isLive || (phase.clientGone && this.guarded);
  }

  get holdsFrame(): boolean {
    return this.hold.active && !this.hold.empty;
  }

  /** The response is a stream: makes its body, its source and its clocks. */
  begin(head: ResponseHead): void {
    this.#route = this.route;
    this.environment.live.set(this.id, this);
    this.environment.observer.onStart(this);
    this.body = new Body(this, head);
    const { builder } = this.body;
    if (builder !== undefined) {
      builder.onResult = () => this.report.update();
      builder.onOutcome = (terminal) => (this.terminal = terminal);
    }
    this.source = LiveSource.of(this, this.body);
    this.timings.start();
  }

  /**
   * Takes one body write, before its bytes are sent; `invalid` for a chunk that Node itself will refuse. If the chunk ends the
   * answer, `hold` is active afterwards, and this write has to be held too.
   */
  take(chunk: unknown, encoding: unknown, last = false): 'invalid' | 'taken' {
    const { body } = this;
    if (body === undefined) return 'taken';
    const seen = body.take(chunk, encoding, last);
    if (seen === 'invalid') return 'invalid';
    this.chunks += 1;
    if (this.chunks === 1) {
      this.environment.observer.onFirstChunk(this, this.timings.timeToFirstChunkMs ?? 0);
    }
    if (this.phase.clientGone) {
      this.chunksAfterDisconnect += 1;
      if (seen !== undefined) this.source?.hold();
      this.finishing?.spend(body.bytes);
    } else if (seen === 'finish' && this.phase.isUnsettled) this.hooks.finishedInGrace();
    else if (seen === 'finish') this.conclude(body.finishFact());
    else if (seen === 'error') this.conclude(ERROR_FRAME);
    else if (body.whole) this.conclude(body.endFact());
    return 'taken';
  }

  /** A terminal fact while the client is there: the message is due at once, and what is written from now on is held until it is safe. */
  conclude(terminal: TerminalFact, reopens = false): void {
    if (!this.phase.isConcludable || !this.fixOutcome(this.failure ?? terminal, reopens)) return;
    const progress = this.settle();
    if (progress !== undefined && HELD.has(terminal.outcome)) this.holdUntil(progress);
  }

  /** Fixes outcome and side. False when an earlier fact stands. */
  fixOutcome(terminal: TerminalFact, reopens = false): boolean {
    if (this.report.done) return false;
    if (this.terminal !== undefined && this.body?.builder?.grew() !== true) {
      if (!reopens || this.terminal.outcome === terminal.outcome) return false;
    }
    this.terminal = terminal;
    this.bytesAtTerminal = this.bytes;
    return true;
  }

  /** Hands the message over, if there is one. */
  settle(): SaveProgress | undefined {
    clearTimeout(this.graceTimer);
    if (this.terminal === undefined) return undefined;
    this.ownSaves?.settle();
    if (this.guarded) {
      const trouble = this.identity.askAgain();
      if (trouble !== undefined) {
        const told = troubleOf(trouble, this.route, this.exchange.req);
        this.environment.observer.onUnnamed(this, told);
      }
    }
    const progress = this.body?.builder?.settle(this.terminal, this.#ending(this.terminal));
    this.source?.holdUntil(progress?.confirmed);
    return progress;
  }

  #ending({ outcome }: TerminalFact): Ending {
    const finishes = outcome === 'disconnected' && this.settings.policy.disconnected === 'finish';
    const endedNormally = (this.endCalled && !this.cutShort) || this.body?.whole === true;
    return { mayBeWhole: outcome === 'completed' || finishes, endedNormally };
  }

  /** Holds what is written from now on until the message is safe, or `confirmTimeoutMs` is over. */
  holdUntil(progress: SaveProgress): void {
    if (this.phase.clientGone) return;
    if (this.#holds === 0) this.#heldSince = performance.now();
    this.#holds += 1;
    this.timings.pause();
    this.hold.begin();
    this.released = progress.confirmed.then((released) => {
      this.#holds -= 1;
      if (this.#holds > 0 || !this.hold.active) return;
      this.#reportHold(released);
      this.#releaseHeld();
      if (!this.endCalled) this.timings.resume();
    });
  }

  #reportHold(released: HoldRelease): void {
    if (this.hold.empty) return;
    const durationMs = performance.now() - this.#heldSince;
    this.holdMs += durationMs;
    this.environment.observer.onHold(this, released, durationMs);
  }

  /** Releases a hold that was begun as a precaution and is not needed. */
  releaseUnlessWaiting(): void {
    if (this.#holds === 0 && !this.phase.isClosing) this.#releaseHeld();
  }

  #releaseHeld(): void {
    const { hold, timings, exchange } = this;
    if (hold.active) {
      hold.release();
      if (exchange.res.writableNeedDrain) timings.beginBackpressure();
    }
    this.hooks.released();
  }

  /** The client is gone: drops what is held. */
  dropHeld(): void {
    if (!this.hold.active) return;
    if (this.#holds > 0) this.#reportHold('client-gone');
    this.hold.drop();
  }

  /** The response is over. */
  finish(): void {
    this.source?.finish();
    this.report.tellOver();
    this.body?.detach();
    this.timings.stop();
    clearTimeout(this.graceTimer);
    this.finishing?.done();
    this.hooks.removeListeners();
    this.report.update();
  }

  /** Removes it from the live streams, and our listeners from its socket; its handler may still go on. */
  unlist(): void {
    // Under the same id there may be the stream of the guard that replaced this observed one.
    if (this.environment.live.get(this.id) === this) this.environment.live.delete(this.id);
    this.hooks.removeListeners();
  }

  /** The same, for a stream of which nothing follows. */
  unregister(): void {
    this.unlist();
    // It was never begun.
    if (this.body === undefined) this.environment.trace.leave(this);
  }
}

/** What every stream of one instance shares. */
export type Environment = StreamEnvironment<Stream>;
