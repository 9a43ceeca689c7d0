/**
 * The relay of one instance of lastchunk: sends its own streams to the engine, takes over those of dead instances, and reads or stops
 * the streams of every instance.
 */
import { type Clock, within } from '../core/clock.ts';
import { AheadGate } from './ahead.ts';
import { Flusher } from './flusher.ts';
import type { Relay, RelayPosition, RelayQuery, RelayRecord, RelayTask } from './port.ts';
import { type ReaderHandle, Readers, type ReaderSink } from './readers.ts';
import type { RelayedStream } from './relayed-stream.ts';
import type { RelayReport, RelaySettings } from './settings.ts';
import type { RelaySource } from './source.ts';
import type { OpenedStream } from '../core/save-port.ts';
import { type ClaimedStream, Takeover } from './takeover.ts';

/** How often `stopElsewhere` reads the record of the stream. */
const LOOK_EVERY_MS = 100;
/** Time limit of `isFollowed` for the answer of the engine; engines have a limit of their own. */
const ASK_MAX_MS = 5_000;

/** Callbacks of a `RelayInstance`. */
export interface RelayEvents {
  /** An exchange with the engine is over; `failure` where it failed. */
  readonly onExchange: (seconds: number, bytes: number, failure: unknown) => void;
  /** A stream of a dead instance was claimed and has to be saved; called for each. */
  readonly onClaimed: (stream: ClaimedStream) => void;
  /** Another instance asks to stop a live stream of this process; may be called again for the same stream. */
  readonly onStop: (streamId: string) => void;
  /** A claimed stream of which no message can be made, because its head cannot be read: it is given up. */
  readonly onUnreadable: (streamId: string) => void;
  /** A message is lost: only the engine had its body, and the engine does not have it any more. */
  readonly onGone: (opened: OpenedStream) => void;
  readonly onLeaseLost: () => void;
  /** An operation failed and will be repeated. Failed exchanges are reported by `onExchange`. */
  readonly onError: (task: RelayTask, error: unknown) => void;
}

/** The relay of one instance. */
export class RelayInstance {
  readonly settings: RelaySettings;
  readonly #clock: Clock;
  readonly #flusher: Flusher;
  readonly #ahead: AheadGate;
  readonly #takeover: Takeover;
  readonly #readers: Readers;
  readonly #lookups: SharedLookups;
  readonly #events: RelayEvents;
  #isClosing = false;

  constructor(settings: RelaySettings, clock: Clock, events: RelayEvents) {
    const { engine, retainMs, flushMs } = settings;
    const { onError } = events;
    this.settings = settings;
    this.#events = events;
    this.#clock = clock;
    this.#lookups = new SharedLookups(engine);
    this.#takeover = new Takeover({
      engine,
      clock,
      retainMs,
      lease: () => this.#flusher.lease,
      onClaimed: (stream) => events.onClaimed(stream),
      onUnreadable: (streamId) => events.onUnreadable(streamId),
      onError,
    });
    this.#readers = new Readers({
      engine,
      clock,
      everyMs: flushMs,
      streamOf: (streamId) => this.#flusher.streamOf(streamId),
      onFollow: () => this.#flusher.noteFollower(),
      onError: (error) => onError('read', error),
    });
    this.#flusher = new Flusher({
      settings,
      clock,
      onStop: (streamId) => events.onStop(streamId),
      onExpired: () => void this.#takeover.claimAll(),
      onExchange: (seconds, bytes, failure) => {
        events.onExchange(seconds, bytes, failure);
        if (failure === undefined) this.#ahead.noteAnswer();
        if (failure !== undefined || this.#isClosing) return;
        this.#takeover.continue();
      },
      onLeaseLost: () => events.onLeaseLost(),
      onError: (error) => onError('exchange', error),
      following: () => this.#readers.following(),
    });
    this.#ahead = new AheadGate(this.#flusher, clock);
  }

  /** Begins to hold a lease. A second call does nothing. */
  start(): void {
    this.#flusher.start();
  }

  /** A stream of this process begins. */
  open(source: RelaySource): RelayedStream {
    const stream = this.#flusher.open(source);
    if (this.settings.ahead) stream.waitsForEngine = () => !this.#ahead.isOpen;
    return stream;
  }

  /**
   * With `ahead`, a function to call before bytes of a stream of this process are sent: it returns `undefined` where they may be sent
   * now, else a promise that resolves when they may. Without `ahead` `undefined`.
   */
  aheadOf(streamId: string): (() => Promise<void> | undefined) | undefined {
    return this.settings.ahead ? this.#ahead.of(streamId) : undefined;
  }

  /** A stream of this process, until the engine has all of it. */
  streamOf(streamId: string): RelayedStream | undefined {
    return this.#flusher.streamOf(streamId);
  }

  /** The newest stream of a conversation that is live in this process. */
  newestOf(conversationId: string): string | undefined {
    return this.#flusher.newestOf(conversationId);
  }

  /** The message of a stream of this process is in the store. */
  settle(streamId: string): void {
    this.#flusher.settle(streamId);
  }

  /** Reports a lost message: the engine does not have the stream any more. */
  tellGone(opened: OpenedStream): void {
    this.#events.onGone(opened);
  }

  /** Resolves to true once the engine has all bytes of a stream of this process that exist at the call. */
  sync(streamId: string): Promise<boolean> {
    return this.#flusher.sync(streamId);
  }

  /**
   * Whether this stream of this process has readers, at this or another instance. Asks the engine; where that does not answer, uses
   * its last answer. Never rejects.
   */
  async isFollowed(streamId: string): Promise<boolean> {
    const isKnown = (): boolean =>
      this.#flusher.isFollowed(streamId) || this.#readers.count(streamId) > 0;
    if (!isKnown()) await within(this.#clock, ASK_MAX_MS, this.#flusher.ask());
    return isKnown();
  }

  /** The name under which this instance holds its lease; `undefined` while it holds none. */
  get lease(): string | undefined {
    return this.#flusher.lease;
  }

  /** Whether this stream of this process has readers at other instances, by the last answer of the engine. */
  isReadElsewhere(streamId: string): boolean {
    return this.#flusher.isFollowed(streamId);
  }

  /** Streams of other instances that have readers at this one. */
  following(): readonly string[] {
    return this.#readers.following();
  }

  /** Readers of one stream in this process. */
  readers(streamId: string): number {
    return this.#readers.count(streamId);
  }

  /** Writes a stream to a sink, from an offset on until its end. */
  follow(position: RelayPosition, sink: ReaderSink): ReaderHandle {
    return this.#readers.follow(position, sink);
  }

  /**
   * The record of a stream in the engine, as it is when this is called or later; rejects when the engine is unavailable. Calls at
   * the same time for the same stream share one query.
   */
  find(query: RelayQuery): Promise<RelayRecord | undefined> {
    return this.#lookups.find(query);
  }

  /**
   * Asks the owner of a stream to stop it, and waits until its end and the result of its message are known, at most `ms`.
   * `undefined`: the stream is unknown, or had ended before; a record without an end: it did not end in time. Rejects when the engine
   * is unavailable.
   */
  async stopElsewhere(streamId: string, ms: number): Promise<RelayRecord | undefined> {
    if (!(await this.settings.engine.command(streamId))) return undefined;
    const untilMs = this.#clock.monotonicMs() + ms;
    for (;;) {
      const record = await this.find({ streamId });
      // Where another instance ended the stream for a dead owner, no result of the message will follow.
      const { save, outcome } = record?.end ?? {};
      const isKnown = typeof save === 'string' || outcome === 'interrupted';
      if (record === undefined || isKnown || this.#clock.monotonicMs() > untilMs) return record;
      await new Promise<void>((resolve) => this.#clock.after(LOOK_EVERY_MS, resolve));
    }
  }

  /** The state of the relay, for health and metrics. */
  report(): RelayReport {
    return { ...this.#flusher.report(), unconfirmed: this.#ahead.unconfirmed };
  }

  /** Ends readers irregularly; sends the rest and gives up the lease, within `ms`; closes the engine, within another `ms`. */
  async close(ms: number): Promise<void> {
    this.#isClosing = true;
    this.#readers.close();
    await this.#takeover.tellSettled();
    await this.#flusher.close(ms);
    await within(this.#clock, ms, this.#release());
  }

  async #release(): Promise<void> {
    try {
      await this.settings.engine.close();
    } catch (error) {
      this.#events.onError('close', error);
    }
  }
}

type Lookup = Promise<RelayRecord | undefined>;

/**
 * Runs one query per stream at a time. Hundreds of clients that resume one stream together would otherwise queue for the few
 * connections of an engine until the queue times out.
 */
class SharedLookups {
  readonly #engine: Relay;
  readonly #running = new Map<string, Lookup>();
  /** The query that follows the running one. */
  readonly #next = new Map<string, Lookup>();

  constructor(engine: Relay) {
    this.#engine = engine;
  }

  /** The running query may have read the record before this call, so this call shares the next one. */
  find(query: RelayQuery): Lookup {
    const key = JSON.stringify(query);
    const waiting = this.#next.get(key);
    if (waiting !== undefined) return waiting;
    const running = this.#running.get(key);
    if (running === undefined) return this.#begin(key, query);
    const begin = (): Lookup => {
      this.#next.delete(key);
      return this.#begin(key, query);
    };
    const next = running.then(begin, begin);
    this.#next.set(key, next);
    return next;
  }

  #begin(key: string, query: RelayQuery): Lookup {
    const running = this.#engine.find(query).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    return running;
  }
}
