/**
 * The one timer of an instance: reads what its live streams have gained since the last exchange and tells the engine, with
 * its lease, in one round trip. While the engine is away nothing is kept for it beside the bodies that are in memory anyway; when it is back it
 * is told what it lacks.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, within } from '../core/clock.ts';
import type { RelayAnswer, RelayBatch } from './port.ts';
import type { RelayedStream } from './relayed-stream.ts';
import type { RelayReport, RelaySettings } from './settings.ts';
import type { RelaySource } from './source.ts';
import { NOTHING, type SetShare, StreamSet, toldBy } from './stream-set.ts';

/** With live streams the engine is asked at least so often for commands: a stop takes effect within a second. */
const COMMANDS_EVERY_MS = 500;
/** Without one: for instances whose lease is over, so that one is finished within `leaseMs` and 5 s. */
const IDLE_EVERY_MS = 2_000;
/** A timer may come so much too early. */
const TIMER_MS = 2;
/** The longest pause after a failure. */
const RETRY_MAX_MS = 2_000;
/** Exchanges that the end of an instance may take to tell what is left. */
const CLOSING_TURNS = 64;

/** What follows from what an exchange brings. */
export interface FlusherEvents {
  /** Somebody wants this stream stopped; may be told again. */
  readonly onStop: (streamId: string) => void;
  /** The lease of another instance is over. */
  readonly onExpired: () => void;
  /** An exchange is over; `failure` where it failed. */
  readonly onExchange: (seconds: number, bytes: number, failure: unknown) => void;
  /** Another instance has, or may have, claimed the streams of this one. */
  readonly onLeaseLost: () => void;
  /** What follows from an exchange failed, which is a mistake of ours. */
  readonly onError: (error: unknown) => void;
  /** Streams of others that are read here. */
  readonly following: () => readonly string[];
}

/** What a flusher is made of. */
export interface FlusherOptions extends FlusherEvents {
  readonly settings: RelaySettings;
  readonly clock: Clock;
}

/** Tells the engine of the streams of one instance. */
export class Flusher {
  readonly #options: FlusherOptions;
  readonly #streams = new StreamSet();
  #followed: ReadonlySet<string> = new Set();
  /** The name under which the lease is held; a new one for each lease. */
  #instance = newInstance();
  #isRegistered = false;
  #cancelTimer: (() => void) | undefined;
  /** Called when an exchange is over that begins from now on. */
  readonly #asking: (() => void)[] = [];
  /** The engine is still to be told of somebody who reads a stream of others here. */
  #hasFollower = false;
  #running: Promise<void> | undefined;
  #failures = 0;
  /** The last exchange brought no answer. */
  #isAway = false;
  /** An exchange is to begin at once. */
  #isUrgent = false;
  #lastExchangeMs = Number.NEGATIVE_INFINITY;
  #lastFlushMs = Number.NEGATIVE_INFINITY;
  /** The engine has all that there was then; monotonic. */
  #caughtUpMs: number;
  #phase: 'new' | 'running' | 'closed' = 'new';

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.#caughtUpMs = options.clock.monotonicMs();
  }

  /** Begins to renew the lease, also without a stream. A second call does nothing. */
  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.#schedule(0);
  }

  /** A stream of this instance begins. */
  open(source: RelaySource): RelayedStream {
    const stream = this.#streams.add(source);
    // Its first exchange is not to wait for that of an idle instance.
    if (this.#streams.size === 1 && this.#running === undefined) this.#schedule(this.#periodMs);
    return stream;
  }

  /** The stream that is live here, or whose end the engine is still to be told of. */
  streamOf(streamId: string): RelayedStream | undefined {
    return this.#streams.get(streamId);
  }

  /** The newest stream of a conversation that has no end. */
  newestOf(conversationId: string): string | undefined {
    return this.#streams.newestOf(conversationId);
  }

  /** Its message is in the store, or it leaves none. */
  settle(streamId: string): void {
    this.#streams.settle(streamId);
  }

  /** Resolves to true once the engine has all of a stream that is there now; false when it could not be told. */
  sync(streamId: string): Promise<boolean> {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || this.#phase === 'closed') return Promise.resolve(false);
    return new Promise((resolve) => {
      stream.waiters.push(resolve);
      this.#hurry();
    });
  }

  /** Somebody begins to read a stream of others here: the engine is told with the next flush. */
  noteFollower(): void {
    if (this.#hasFollower) return;
    this.#hasFollower = true;
    if (this.#running === undefined) this.#schedule(this.#periodMs);
  }

  /** Asks the engine now; resolves when it has answered, or could not. */
  ask(): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve();
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#hurry();
    });
  }

  /** Whether somebody reads this stream on another instance, as the engine last said. */
  isFollowed(streamId: string): boolean {
    return this.#followed.has(streamId);
  }

  /** The last exchange brought no answer, or there will be none. */
  get isAway(): boolean {
    return this.#isAway || this.#phase === 'closed';
  }

  /** The name of the lease that is held; `undefined` while there is none. */
  get lease(): string | undefined {
    return this.#isRegistered ? this.#instance : undefined;
  }

  report(): Omit<RelayReport, 'unconfirmed'> {
    const nowMs = this.#options.clock.monotonicMs();
    const isBehind = this.#streams.hasNews;
    const silentMs = nowMs - this.#lastExchangeMs;
    return {
      isUp: this.#isRegistered && this.#failures === 0 && silentMs < this.#options.settings.leaseMs,
      lagMs: isBehind ? Math.max(0, nowMs - this.#caughtUpMs) : 0,
      streams: this.#streams.size,
      endedBytes: this.#streams.endedBytes,
      dropped: this.#streams.dropped,
    };
  }

  /** Tells the engine what is left and that this instance leaves, within `ms`. What nobody has stored can be claimed at once. */
  async close(ms: number): Promise<void> {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    this.#cancelTimer?.();
    const leave = async (): Promise<void> => {
      await this.#running;
      const { leaseMs } = this.#options.settings;
      for (let turn = 0; turn < CLOSING_TURNS && this.#streams.hasNews; turn += 1) {
        await this.#exchange(leaseMs, true);
        if (this.#failures > 0) return;
      }
      if (this.#isRegistered) await this.#exchange(0, true);
    };
    await within(this.#options.clock, ms, leave().catch(this.#options.onError));
    this.#streams.refuseWaiters();
    for (const tell of this.#asking.splice(0)) tell();
  }

  /** Somebody waits for an exchange. */
  get #isAsked(): boolean {
    return this.#asking.length > 0 || this.#streams.isAsked;
  }

  get #periodMs(): number {
    const { flushMs, leaseMs } = this.#options.settings;
    if (this.#failures > 0) return Math.min(RETRY_MAX_MS, flushMs * 2 ** this.#failures);
    if (this.#streams.size > 0 || this.#hasFollower) return Math.min(flushMs, COMMANDS_EVERY_MS);
    return Math.min(IDLE_EVERY_MS, leaseMs / 3);
  }

  /** An exchange begins at once; where one is on its way, behind it. */
  #hurry(): void {
    // To set the timer anew for each that waits would put it off again and again.
    if (this.#running === undefined && !this.#isUrgent) this.#schedule(0);
  }

  #schedule(ms: number): void {
    this.#cancelTimer?.();
    if (this.#phase !== 'running') return;
    this.#isUrgent = ms === 0;
    this.#cancelTimer = this.#options.clock.after(ms, () => {
      this.#isUrgent = false;
      const tick = this.#tick().catch(this.#options.onError);
      this.#running = tick.finally(() => {
        this.#running = undefined;
        this.#schedule(this.#isAsked && this.#failures === 0 ? 0 : this.#periodMs);
      });
    });
  }

  async #tick(): Promise<void> {
    const { clock, settings } = this.#options;
    const nowMs = clock.monotonicMs();
    const { hasNews } = this.#streams;
    if (!hasNews) this.#caughtUpMs = nowMs;
    const isNews = hasNews || this.#hasFollower;
    const isFlushDue = isNews && nowMs - this.#lastFlushMs >= settings.flushMs - TIMER_MS;
    const patienceMs = this.#streams.size > 0 ? COMMANDS_EVERY_MS - TIMER_MS : 0;
    const isDue = nowMs - this.#lastExchangeMs >= patienceMs || this.#failures > 0;
    if (this.#isAsked || isFlushDue) await this.#exchange(settings.leaseMs, true);
    else if (isDue) await this.#exchange(settings.leaseMs, this.#failures > 0);
  }

  /** One round trip, with what the streams have to tell if `flushes`. A failure is told, and tried again. */
  async #exchange(leaseMs: number, flushes: boolean): Promise<void> {
    const { clock, settings, onExchange, onLeaseLost } = this.#options;
    const asking = this.#asking.splice(0);
    this.#hasFollower = false;
    const taken = flushes ? this.#streams.take() : NOTHING;
    if (flushes) this.#lastFlushMs = clock.monotonicMs();
    const sinceMs = clock.monotonicMs();
    const batch = this.#batch(leaseMs, taken);
    const bytes = batch.parts.reduce((sum, { body }) => sum + body.length, 0);
    const seconds = (): number => (clock.monotonicMs() - sinceMs) / 1000;
    let answer: RelayAnswer;
    try {
      answer = await settings.engine.exchange(batch);
    } catch (error) {
      this.#failures += 1;
      this.#isAway = true;
      this.#streams.refuseWaiters();
      // The lease under which they are live for others must come to its end.
      if (this.#streams.dropOldest()) this.#loseLease();
      onExchange(seconds(), 0, error);
      return;
    } finally {
      // Whoever asked goes on in a later turn, when the answer is known.
      for (const tell of asking) tell();
    }
    this.#lastExchangeMs = clock.monotonicMs();
    this.#failures = 0;
    this.#isAway = false;
    if (!answer.isHeld) {
      this.#loseLease();
      onLeaseLost();
      // Under the new name, at once: until then nobody is told anything.
      this.#failures = 1;
      return;
    }
    this.#isRegistered = true;
    this.#streams.confirm(taken, answer);
    // What has come since does not count: while streams run, something always has.
    if (taken.isAll) this.#caughtUpMs = sinceMs;
    onExchange(seconds(), bytes, undefined);
    this.#handle(answer);
  }

  #batch(leaseMs: number, taken: SetShare): RelayBatch {
    return {
      instance: this.#instance,
      registers: !this.#isRegistered,
      leaseMs,
      retainMs: this.#options.settings.retainMs,
      ...toldBy(taken),
      following: this.#options.following(),
    };
  }

  #handle(answer: RelayAnswer): void {
    const { onStop, onExpired } = this.#options;
    this.#followed = new Set(answer.followed);
    for (const id of answer.stops) onStop(id);
    if (answer.hasExpired) onExpired();
  }

  /** Somebody has claimed the streams; what is live is told again, under a new lease. */
  #loseLease(): void {
    this.#instance = newInstance();
    this.#isRegistered = false;
    this.#streams.refuseWaiters();
    this.#streams.reopen();
  }
}

/** 64 random bits: no two leases have one name. */
function newInstance(): string {
  return randomBytes(8).toString('hex');
}
