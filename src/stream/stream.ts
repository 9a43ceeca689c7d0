/**
 * The state machine of one stream: from a response that may become a stream to one outcome, one message and one
 * summary. Everything that can end a stream comes in here as a *fact*; the first one fixes outcome and side, in the
 * tick it is seen, and a later one counts only when the stream went on after it.
 *
 * A class, unlike the rest of the project: there is one of these per live stream, and methods on a prototype
 * cost nothing per stream.
 */
import type { Piece, SaveProgress, StreamLog } from '../keeper.ts';
import type { SaveResult, Side, SkipReason } from '../message.ts';
import type { StreamView } from '../observer.ts';
import { type Capture, createCapture } from './capture.ts';
import type { StreamEnvironment } from './environment.ts';
import type { Exchange } from './exchange.ts';
import { errorType, outcomeOf, sideOf } from './failure.ts';
import { createFinishing, type Finishing } from './finishing.ts';
import { createFrameWatch, type FrameWatch } from './formats/index.ts';
import { createHold, type Hold } from './hold.ts';
import { type Identity, identityOf } from './identity.ts';
import { createPulse, type Pulse } from './pulse.ts';
import { routeOf } from './route.ts';
import type { StreamSettings } from './settings.ts';
import { createSettlement, type Fact, type Settlement } from './settlement.ts';
import { createStopSignal, type StopSignal } from './stop-signal.ts';
import { summaryOf } from './summary.ts';
import { verdictOf } from './verdict.ts';

/** How long a handler that was told to stop has to end its response by itself. */
export const GRACE_MS = 1_000;

/** What the headers say, once they are known. */
export interface Opening {
  readonly contentType: string;
  readonly contentEncoding: string;
  /** `undefined` when the response is chunked. */
  readonly contentLength: number | undefined;
}

/** Nothing is known of the response yet; it is a stream; it is something else and none of our business. */
type Kind = 'undecided' | 'stream' | 'other';

export class Stream implements StreamView {
  readonly id: string;
  readonly exchange: Exchange;
  readonly settings: StreamSettings;
  readonly guarded: boolean;
  readonly startedAtMs: number = Date.now();
  readonly method: string;
  readonly hold: Hold;
  readonly pulse: Pulse;
  readonly stopSignal: StopSignal;
  /** Present under a guard. */
  readonly finishing: Finishing | undefined;
  kind: Kind = 'undecided';
  chunks = 0;
  chunksAfterDisconnect = 0;
  holdMs = 0;
  /** Nothing that the handler writes can reach the client any more. */
  gone = false;
  /** The handler called `end()`. */
  endCalled = false;
  fact: Fact | undefined;
  readonly #environment: StreamEnvironment;
  /** The outcome is fixed, but the handler is still allowed to write what belongs to the message. */
  #waiting: 'world' | 'grace' | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  /** What stop, time-out and shutdown do to the response once its message is safe. */
  #cut: 'end' | 'destroy' | undefined;
  #bytesAtFact = 0;
  #cutShort = false;
  /** The handler threw: no polite end afterwards makes that a success. */
  #failure: Fact | undefined;
  readonly #overListeners: (() => void)[] = [];
  readonly #settledListeners: ((result: SaveResult | SkipReason) => void)[] = [];
  #over = false;
  #reported = false;
  #holds = 0;
  #identity: Identity | undefined;
  #route: string | undefined;
  #capture: Capture | undefined;
  #watch: FrameWatch | undefined;
  #log: StreamLog | undefined;
  #settlement: Settlement | undefined;
  #contentLength: number | undefined;
  /** Given by the wrapper: ends or destroys the response without asking us again. */
  closeResponse: (how: 'end' | 'destroy') => void = () => {};
  /** Given by the wrapper: everything of ours is taken off the response and its socket. */
  detach: () => void = () => {};

  constructor(
    id: string,
    exchange: Exchange,
    settings: StreamSettings,
    environment: StreamEnvironment,
  ) {
    this.id = id;
    this.exchange = exchange;
    this.settings = settings;
    this.guarded = settings.guarded && environment.keeper !== undefined;
    this.method = exchange.req.method ?? 'GET';
    this.#environment = environment;
    this.hold = createHold(exchange, (error) => environment.onInternalError('stream', error));
    this.stopSignal = createStopSignal(exchange.req, this.guarded);
    this.pulse = createPulse(exchange, settings, {
      onIdle: () => this.timeOut(),
      onStall: () => this.stalled(),
    });
    this.finishing = this.guarded
      ? createFinishing(exchange, settings, environment, (why) => this.cutFinishing(why))
      : undefined;
  }

  get route(): string {
    return this.#route ?? this.settings.route ?? routeOf(this.exchange.req);
  }

  get format(): string {
    return this.#watch?.format ?? 'auto';
  }

  get bytes(): number {
    return this.#capture?.bytes ?? 0;
  }

  get settlement(): Settlement | undefined {
    return this.#settlement;
  }

  /** Asks the app whose message this is, at the first time somebody wants to know. */
  get identity(): Identity {
    this.#identity ??= identityOf(this.settings, this.exchange.req, this.exchange.res, (error) =>
      this.#environment.onInternalError('message', error),
    );
    return this.#identity;
  }

  /** Whether calls on the response are the stream's business at all. */
  get concerned(): boolean {
    if (this.guarded) return this.kind === 'stream' || this.gone;
    return this.kind === 'stream' && !this.#over;
  }

  /** The handler's writes no longer go to the client, and are not kept either. */
  get deaf(): boolean {
    return this.#cut !== undefined || (this.gone && !this.#finishingNow);
  }

  /** The option `stream`, asked; undefined where the default rule decides. */
  forced(): boolean | undefined {
    const { stream } = this.settings;
    if (stream === undefined || stream === true) return stream;
    try {
      return stream(this.exchange.res) === true;
    } catch (error) {
      this.#environment.onInternalError('stream', error);
      return undefined;
    }
  }

  get #finishingNow(): boolean {
    return this.finishing?.active === true;
  }

  /** Decided: it is a stream. Called before the first byte, in the handler's own call. */
  begin(opening: Opening): void {
    const { observer, keeper, trace, live } = this.#environment;
    this.kind = 'stream';
    this.#route = this.route;
    this.#contentLength = opening.contentLength;
    live.set(this.id, this);
    const encoded = opening.contentEncoding !== '' && opening.contentEncoding !== 'identity';
    const maxBytes = this.guarded ? this.settings.maxBytes : 0;
    this.#capture = createCapture({ maxBytes, encoded });
    this.#watch = encoded
      ? undefined
      : createFrameWatch(this.settings.format, opening.contentType, this.#onFormatError);
    observer.onStart(this);
    if (this.guarded && keeper !== undefined) this.#openMessage(opening, trace, keeper);
    this.pulse.start();
    if (this.gone) this.#beginGone();
    else if (this.#environment.interrupting) setImmediate(() => this.interrupt());
  }

  #openMessage(
    opening: Opening,
    trace: StreamEnvironment['trace'],
    keeper: NonNullable<StreamEnvironment['keeper']>,
  ): void {
    const { id: messageId, conversationId, role, metadata } = this.identity;
    const capture = this.#capture;
    if (capture === undefined) return;
    const opened = {
      ...{ id: this.id, messageId, conversationId, role, metadata, route: this.route },
      format: this.settings.format === 'auto' ? 'auto' : this.settings.format.name,
      contentType: opening.contentType,
      contentEncoding: opening.contentEncoding || 'identity',
      events: this.settings.events,
      startedAtMs: this.startedAtMs,
      traceparent: trace.traceparent(this),
    };
    this.#log = keeper.open(opened, () => capture.pieces);
    this.#settlement = createSettlement({
      ...{ view: this, opened, settings: this.settings, capture, keeper, log: this.#log },
      observer: this.#environment.observer,
      traceId: trace.traceId(this),
      onFormatError: this.#onFormatError,
    });
    this.#settlement.onResult = () => this.#report();
  }

  readonly #onFormatError = (error: unknown): void => {
    this.#environment.onInternalError('format', error);
  };

  /** The client had left before the handler began its stream. */
  #beginGone(): void {
    this.#fix({ outcome: 'disconnected', side: 'client' });
    if (this.#finishingNow) {
      this.#waiting = 'world';
      this.finishing?.announce(this);
    } else {
      this.#settle();
      this.#finish();
    }
  }

  /**
   * One body write, before its bytes go anywhere; `invalid` is what Node itself will refuse. When it shows that the
   * answer is over, `hold` is active afterwards, and this write belongs behind it.
   */
  take(chunk: unknown, encoding: unknown, now: boolean): 'invalid' | 'taken' {
    const capture = this.#capture;
    if (capture === undefined) return 'taken';
    const taken = capture.take(chunk, encoding);
    if (taken === 'invalid') return 'invalid';
    this.chunks += 1;
    if (this.gone) this.chunksAfterDisconnect += 1;
    this.pulse.beat(taken.text);
    if (this.chunks === 1) {
      this.#environment.observer.onFirstChunk(this, this.pulse.timeToFirstChunkMs ?? 0);
    }
    if (taken.kept !== undefined) this.#writeAhead(taken.kept, now);
    if (this.gone) this.finishing?.spend(capture.bytes);
    const seen = taken.text === undefined ? undefined : this.#watch?.see(taken.text);
    if (this.gone) return 'taken';
    if (seen === 'finish')
      this.#conclude(this.#failure ?? { outcome: 'completed', side: 'server' });
    else if (seen === 'error') this.#conclude(ERROR_FRAME);
    else if (this.#isWhole) this.#conclude(this.#endFact());
    return 'taken';
  }

  /** The journal has it before the socket does; see `StreamLog.append`. */
  #writeAhead(piece: Piece, now: boolean): void {
    const log = this.#log;
    if (log === undefined) return;
    const { h2, socket } = this.exchange;
    const corked = (h2 ?? socket).writableCorked > 0;
    log.append(piece, now || (corked && log.clean));
  }

  /** Before a call that lets bytes out at once. */
  flushLog(): void {
    if (this.#log?.clean === false) this.#log.flush();
  }

  /** The handler called `end()`; its chunk, if any, was taken. `callback` is the one it gave. */
  handlerEnded(callback: (() => void) | undefined): void {
    this.endCalled = true;
    this.pulse.stop();
    this.flushLog();
    if (this.gone) {
      this.finishing?.end(callback);
      return this.#waiting === 'grace' ? this.#graceOver('ended') : this.#worldOver();
    }
    if (this.kind !== 'stream') return;
    if (this.#waiting === 'grace') return this.#graceOver('ended');
    this.#conclude(this.#endFact());
  }

  /** What a normal end says about a stream. */
  #endFact(): Fact {
    if (this.#failure !== undefined) return this.#failure;
    const body = this.#settlement?.read();
    const watch = this.#watch;
    if (body?.errorFrame ?? watch?.errored) return ERROR_FRAME;
    const finished = body?.finished ?? watch?.finished ?? true;
    const needed = body === undefined ? watch?.needsFinish : body.finishMarker === 'needed';
    if (finished || needed !== true) return { outcome: 'completed', side: 'server' };
    return { outcome: 'truncated', side: 'upstream', errorType: 'truncated' };
  }

  /** A terminal fact while the client is there: it is due at once, and what is written next waits for it. */
  #conclude(fact: Fact, reopens = false): void {
    if (!this.#fix(fact, reopens)) return;
    const progress = this.#settle();
    if (progress !== undefined && HELD.has(fact.outcome)) this.#holdUntil(progress);
  }

  /** Fixes outcome and side. False when an earlier fact stands. */
  #fix(fact: Fact, reopens = false): boolean {
    if (this.#waiting !== undefined || this.#reported) return false;
    if (this.fact !== undefined && this.#settlement?.grew() !== true) {
      if (!reopens || this.fact.outcome === fact.outcome) return false;
    }
    this.fact = fact;
    this.#bytesAtFact = this.bytes;
    return true;
  }

  #settle(): SaveProgress | undefined {
    this.#waiting = undefined;
    clearTimeout(this.#graceTimer);
    return this.fact === undefined
      ? undefined
      : this.#settlement?.settle(this.fact, this.#isComplete(this.fact));
  }

  #isComplete({ outcome }: Fact): boolean {
    const finishedWithoutClient =
      outcome === 'disconnected' && this.settings.policy.disconnected === 'finish';
    if (outcome !== 'completed' && !finishedWithoutClient) return false;
    const body = this.#settlement?.read();
    if (body === undefined || body.finished) return true;
    if (body.finishMarker === 'needed') return false;
    return this.#isWhole || (this.endCalled && !this.#cutShort);
  }

  /** Every byte that was promised by a Content-Length is there. */
  get #isWhole(): boolean {
    return this.#contentLength !== undefined && this.bytes >= this.#contentLength;
  }

  /** Holds what is written from now on until the message is safe, or its time is over. */
  #holdUntil(progress: SaveProgress): void {
    if (this.gone) return;
    this.#holds += 1;
    this.pulse.pause();
    this.hold.begin();
    const since = performance.now();
    void progress.confirmed.then((released) => {
      this.#holds -= 1;
      if (this.#holds > 0 || !this.hold.active) return;
      this.holdMs += performance.now() - since;
      if (!this.hold.empty) this.#environment.observer.onHold(this, released, this.holdMs);
      this.hold.release();
      if (!this.endCalled) this.pulse.resume();
    });
  }

  /** The response or its socket closed. The first call decides. */
  closed(): void {
    if (this.gone || this.#over) return this.#closedAgain();
    const verdict = verdictOf(this.exchange, {
      ended: this.endCalled && !this.hold.active,
      timedOut: this.pulse.timedOut,
    });
    if (verdict.by === 'ended') return this.#finish();
    if (verdict.by === 'client') return this.#clientLeft();
    this.gone = true;
    this.#dropHeld();
    this.stopSignal.abort('closed');
    if (this.#waiting === 'grace') return this.#graceOver('closed');
    if (this.kind === 'stream' && this.#fix(verdict)) this.#settle();
    this.#finish();
  }

  /** A close that was expected: after a cut, or the end of a response whose client had left. */
  #closedAgain(): void {
    if (this.#cut !== undefined) this.#finish();
  }

  #clientLeft(): void {
    this.gone = true;
    this.#dropHeld();
    if (this.#waiting === 'grace') return;
    const concluded =
      this.kind === 'stream' && this.#fix({ outcome: 'disconnected', side: 'client' });
    if (this.#isWhole && !concluded) return this.#finish();
    if (this.guarded) this.pulse.clientLeft();
    if (this.#cut === undefined && this.finishing?.begin(this) === true) {
      if (concluded) this.#waiting = 'world';
      if (!this.endCalled) return;
      this.finishing.end(undefined);
      return this.#worldOver();
    }
    this.stopSignal.abort('client-left');
    if (concluded) this.#settle();
    // What the handler makes of an undecided response is still to be seen.
    if (this.kind === 'undecided') this.#environment.live.delete(this.id);
    else this.#finish();
  }

  #dropHeld(): void {
    if (!this.hold.active) return;
    if (!this.hold.empty) this.#environment.observer.onHold(this, 'client-gone', 0);
    this.hold.abandon();
  }

  /** The finishing world is over, in whichever way: what the handler wrote is the message. */
  #worldOver(): void {
    if (this.#waiting === 'world') this.#settle();
    else if (this.kind === 'stream' && this.#settlement?.grew() === true) {
      this.#fix({ outcome: 'disconnected', side: 'client' });
      this.#settle();
    }
    this.#finish();
  }

  /** Patience with a stream that outlives its client is over. */
  cutFinishing(why: string): void {
    this.#cutShort = true;
    this.finishing?.leave();
    this.stopSignal.abort(why);
    this.#worldOver();
  }

  /** The handler threw, rejected or called `next(error)`. */
  fail(error: unknown): void {
    if (this.#over || this.endCalled) return;
    if (this.#waiting === 'grace') return this.#graceOver('failed');
    if (this.gone) {
      if (this.#finishingNow) this.cutFinishing('failed');
      return;
    }
    if (this.kind !== 'stream') return;
    this.#failure = failure(error);
    this.#conclude(this.#failure, true);
  }

  /** The handler called `res.destroy()`. True when the wrapper must not do it: we end this response. */
  destroyed(error: unknown): boolean {
    if (this.#waiting === 'grace') {
      this.#graceOver('failed');
      return true;
    }
    if (this.#cut !== undefined) return true;
    if (this.gone) {
      this.fail(error);
      return false;
    }
    if (error !== undefined && error !== null) this.fail(error);
    else if (this.kind === 'stream' && !this.endCalled) {
      if (this.#fix({ outcome: 'failed', side: 'server', errorType: '_OTHER' })) this.#settle();
    }
    return false;
  }

  /** Ends the stream on purpose. False when there was nothing to stop. */
  stop(reason: string, side: Side): boolean {
    return this.#halt({ outcome: 'stopped', side }, reason);
  }

  /** No data came from the handler for too long. */
  timeOut(): void {
    this.#halt({ outcome: 'timed-out', side: 'upstream', errorType: 'timeout' }, 'idle-timeout');
  }

  /** A client that reads nothing is gone, as far as its answer is concerned. */
  stalled(): void {
    if (this.gone || this.#over) return;
    this.#clientLeft();
    this.exchange.socket.destroy();
  }

  #halt(fact: Fact, reason: string): boolean {
    if (this.#over || this.kind === 'other' || this.#waiting === 'grace') return false;
    if (this.gone) {
      if (!this.#finishingNow) return false;
      // The outcome stays what it was; the handler gets its grace.
      this.#cutShort = true;
      this.stopSignal.abort(reason);
      this.#startGrace(() => this.cutFinishing(reason));
      return true;
    }
    if (this.kind === 'undecided') {
      this.stopSignal.abort(reason);
      this.finishing?.fireClose();
      return true;
    }
    if (!this.#fix(fact)) return false;
    this.#waiting = 'grace';
    this.pulse.stop();
    this.stopSignal.abort(reason);
    this.#startGrace(() => this.#graceOver('timer'));
    this.finishing?.fireClose();
    return true;
  }

  #startGrace(onEnd: () => void): void {
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(onEnd, GRACE_MS);
  }

  /** The handler ended by itself, or its time is over: the message is saved, then the response is closed. */
  #graceOver(how: 'ended' | 'failed' | 'closed' | 'timer'): void {
    const wroteSince = this.bytes > this.#bytesAtFact;
    const stopped = this.fact?.outcome === 'stopped';
    const progress = this.#settle();
    if (this.gone) return this.#finish();
    // An end that the handler wrote itself is its own; never a clean one that says the answer is whole.
    if (how === 'ended' && (stopped || wroteSince)) {
      if (progress !== undefined) this.#holdUntil(progress);
      return;
    }
    this.#closeAfter(progress, stopped ? 'end' : 'destroy');
  }

  #closeAfter(progress: SaveProgress | undefined, how: 'end' | 'destroy'): void {
    this.#cut = how;
    const close = (): void => {
      this.gone = true;
      this.#dropHeld();
      this.closeResponse(how);
    };
    if (progress === undefined) close();
    else void progress.confirmed.then(close);
  }

  /** The instance is closing and its patience is over. */
  interrupt(): void {
    if (this.#over || this.#cut !== undefined) return;
    if (this.gone) return this.cutFinishing('close');
    if (this.kind !== 'stream') return;
    const fact: Fact = { outcome: 'interrupted', side: 'server' };
    if (this.#waiting === 'grace') return this.#graceOver('timer');
    // A frame that is held is already saved, or being saved: that answer is whole.
    if (!this.#fix(fact)) return;
    this.stopSignal.abort('close');
    this.#closeAfter(this.#settle(), 'destroy');
  }

  /** The response is no stream: nothing of ours stays on it, unless its client left and it is being finished. */
  isOther(): void {
    this.kind = 'other';
    this.pulse.stop();
    if (!this.gone) this.#release();
  }

  /** What became of the message, once that is known. */
  whenSettled(): Promise<SaveResult | SkipReason> {
    if (this.#reported) return Promise.resolve(this.#settlement?.result ?? 'empty');
    return new Promise((resolve) => this.#settledListeners.push(resolve));
  }

  /** When the response is over, its message may still be on its way. */
  whenOver(): Promise<void> {
    if (this.#over) return Promise.resolve();
    return new Promise((resolve) => this.#overListeners.push(resolve));
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    for (const tell of this.#overListeners) tell();
    this.pulse.stop();
    clearTimeout(this.#graceTimer);
    this.finishing?.done();
    this.#report();
  }

  #release(): void {
    this.#environment.live.delete(this.id);
    this.detach();
  }

  /** Once, when the response is over and the last save has its result. */
  #report(): void {
    if (!this.#over || this.#reported || (this.#settlement?.pending ?? 0) > 0) return;
    this.#reported = true;
    this.#release();
    for (const tell of this.#settledListeners) tell(this.#settlement?.result ?? 'empty');
    if (this.kind !== 'stream') return;
    const settlement = this.#settlement;
    this.fact ??= this.#endFact();
    if (settlement?.due === false) {
      this.#log?.drop();
      this.#environment.observer.onSkip(
        this,
        settlement.result === 'discarded' ? 'discarded' : 'empty',
      );
    }
    this.#environment.observer.onEnd(summaryOf(this, this.fact));
  }
}

/** Outcomes whose frames are held: those a client takes for the end of an answer. */
const HELD: ReadonlySet<string> = new Set(['completed', 'truncated', 'failed']);

/** The stream carried an error that its format knows: the upstream's word. */
const ERROR_FRAME: Fact = { outcome: 'failed', side: 'upstream', errorType: '_OTHER' };

function failure(error: unknown): Fact {
  return { outcome: outcomeOf(error), side: sideOf(error), errorType: errorType(error) };
}
