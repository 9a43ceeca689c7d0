/**
 * The timer of an instance: reads the new bytes of its live streams since the last exchange, and sends them and the renewal of the
 * lease to the engine in one round trip. While the engine is unavailable nothing is buffered for it: the bodies are in memory anyway.
 * When it answers again it gets what it lacks.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, within } from '../core/clock.ts';
import type { RelayAnswer, RelayBatch } from './port.ts';
import type { RelayedStream } from './relayed-stream.ts';
import type { RelayReport, RelaySettings } from './settings.ts';
import type { RelaySource } from './source.ts';
import { NOTHING, type SetShare, StreamSet, toldBy } from './stream-set.ts';

/** The longest pause between exchanges while there are live streams: a stop takes effect within a second. */
const COMMANDS_EVERY_MS = 500;
/** The longest pause without live streams: the streams of a dead instance are finished within `leaseMs` and 5 s. */
const IDLE_EVERY_MS = 2_000;
/** A timer may fire this much too early. */
const TIMER_MS = 2;
/** The longest pause after a failure. */
const RETRY_MAX_MS = 2_000;
/** The most exchanges that `close` uses to send what is left. */
const CLOSING_TURNS = 64;

/** Callbacks of a `Flusher`. */
export interface FlusherEvents {
  /** Another instance asks to stop this stream; may be called again for the same stream. */
  readonly onStop: (streamId: string) => void;
  /** The lease of another instance has expired. */
  readonly onExpired: () => void;
  /** An exchange is over; `failure` where it failed. */
  readonly onExchange: (seconds: number, bytes: number, failure: unknown) => void;
  /** Another instance has, or may have, claimed the streams of this one. */
  readonly onLeaseLost: () => void;
  /** The processing of an exchange threw, which is a defect of lastchunk. */
  readonly onError: (error: unknown) => void;
  /** Streams of other instances that have readers at this one. */
  readonly following: () => readonly string[];
}

/** Options of `Flusher`. */
export interface FlusherOptions extends FlusherEvents {
  readonly settings: RelaySettings;
  readonly clock: Clock;
}

/** Sends the streams of one instance to the engine. */
export class Flusher {
  readonly #options: FlusherOptions;
  readonly #streams = new StreamSet();
  #followed: ReadonlySet<string> = new Set();
  /** The name under which the lease is held; a new one for each lease. */
  #instance = newInstance();
  #isRegistered = false;
  #cancelTimer: (() => void) | undefined;
  /** Called after the next exchange that begins. */
  readonly #asking: (() => void)[] = [];
  /** The engine does not have the newest reader of a stream of another instance yet. */
  #hasFollower = false;
  #running: Promise<void> | undefined;
  #failures = 0;
  /** The last exchange got no answer. */
  #isAway = false;
  /** The timer is set to 0: an exchange begins in the next turn. */
  #isUrgent = false;
  #lastExchangeMs = Number.NEGATIVE_INFINITY;
  #lastFlushMs = Number.NEGATIVE_INFINITY;
  /** The engine has everything that existed at this time; monotonic. */
  #caughtUpMs: number;
  #phase: 'new' | 'running' | 'closed' = 'new';

  constructor(options: FlusherOptions) {
    this.#options = options;
    this.#caughtUpMs = options.clock.monotonicMs();
  }

  /** Begins to renew the lease, also while there is no stream. A second call does nothing. */
  start(): void {
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    this.#schedule(0);
  }

  /** A stream of this instance begins. */
  open(source: RelaySource): RelayedStream {
    const stream = this.#streams.add(source);
    // The timer may still have the long period of an idle instance.
    if (this.#streams.size === 1 && this.#running === undefined) this.#schedule(this.#periodMs);
    return stream;
  }

  /** The stream that is live here, or whose end the engine does not have yet. */
  streamOf(streamId: string): RelayedStream | undefined {
    return this.#streams.get(streamId);
  }

  /** The newest stream of a conversation that has no end. */
  newestOf(conversationId: string): string | undefined {
    return this.#streams.newestOf(conversationId);
  }

  /** Its message is in the store, or it has none. */
  settle(streamId: string): void {
    this.#streams.settle(streamId);
  }

  /** Resolves to true once the engine has all bytes of a stream that exist at the call; false when the exchange failed. */
  sync(streamId: string): Promise<boolean> {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || this.#phase === 'closed') return Promise.resolve(false);
    return new Promise((resolve) => {
      stream.waiters.push(resolve);
      this.#hurry();
    });
  }

  /** A reader of a stream of another instance begins here: the next flush sends that to the engine. */
  noteFollower(): void {
    if (this.#hasFollower) return;
    this.#hasFollower = true;
    if (this.#running === undefined) this.#schedule(this.#periodMs);
  }

  /** Starts an exchange now; resolves when it is over, also where it failed. */
  ask(): Promise<void> {
    if (this.#phase === 'closed') return Promise.resolve();
    return new Promise((resolve) => {
      this.#asking.push(resolve);
      this.#hurry();
    });
  }

  /** Whether this stream has readers at another instance, by the last answer of the engine. */
  isFollowed(streamId: string): boolean {
    return this.#followed.has(streamId);
  }

  /** The last exchange got no answer, or the flusher is closed. */
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

  /** Sends what is left to the engine and gives up the lease, within `ms`. Other instances can then claim at once what is not settled. */
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

  /** Whether a caller waits for an exchange. */
  get #isAsked(): boolean {
    return this.#asking.length > 0 || this.#streams.isAsked;
  }

  get #periodMs(): number {
    const { flushMs, leaseMs } = this.#options.settings;
    if (this.#failures > 0) return Math.min(RETRY_MAX_MS, flushMs * 2 ** this.#failures);
    if (this.#streams.size > 0 || this.#hasFollower) return Math.min(flushMs, COMMANDS_EVERY_MS);
    return Math.min(IDLE_EVERY_MS, leaseMs / 3);
  }

  /** Starts an exchange at once, or after the one that runs. */
  #hurry(): void {
    // Resetting the timer for each caller would postpone the exchange again and again.
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

  /** One round trip; with `flushes` it contains what the engine lacks of the streams. A later exchange repeats one that failed. */
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
      // The engine still has the dropped streams as live: the old lease must expire, so that they get an end.
      if (this.#streams.dropOldest()) this.#loseLease();
      onExchange(seconds(), 0, error);
      return;
    } finally {
      // The callers continue in a later turn, when the answer was processed.
      for (const tell of asking) tell();
    }
    this.#lastExchangeMs = clock.monotonicMs();
    this.#failures = 0;
    this.#isAway = false;
    if (!answer.isHeld) {
      this.#loseLease();
      onLeaseLost();
      // Counted as a failure, so that the next exchange registers under the new name without delay.
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

  /** Another instance has, or will have, claimed the streams: they are sent again, under a new lease. */
  #loseLease(): void {
    this.#instance = newInstance();
    this.#isRegistered = false;
    this.#streams.refuseWaiters();
    this.#streams.reopen();
  }
}

/** 64 random bits: two leases never have the same name. */
function newInstance(): string {
  return randomBytes(8).toString('hex');
}
