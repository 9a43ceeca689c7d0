/**
 * The relay as one instance of lastchunk has it: its own streams are told to the engine, those of dead instances are taken
 * over, and anybody's can be read on or stopped.
 */
import { type Clock, within } from '../core/clock.ts';
import { AheadGate } from './ahead.ts';
import { Flusher } from './flusher.ts';
import type { RelayPosition, RelayQuery, RelayRecord, RelayTask } from './port.ts';
import { type ReaderHandle, Readers, type ReaderSink } from './readers.ts';
import type { RelayedStream } from './relayed-stream.ts';
import type { RelayReport, RelaySettings } from './settings.ts';
import type { RelaySource } from './source.ts';
import type { OpenedStream } from '../core/save-port.ts';
import { type ClaimedStream, Takeover } from './takeover.ts';

/** How often a stream is looked at that somebody waits for. */
const LOOK_EVERY_MS = 100;
/** The engine may take so long to say who reads a stream; engines have a limit of their own. */
const ASK_MAX_MS = 5_000;

/** What an instance tells of its relay. */
export interface RelayEvents {
  /** An exchange with the engine is over; `failure` where it failed. */
  readonly onExchange: (seconds: number, bytes: number, failure: unknown) => void;
  /** Streams of a dead instance are this one's to finish; called for each. */
  readonly onClaimed: (stream: ClaimedStream) => void;
  /** Somebody wants a live stream of this process stopped; may be told again. */
  readonly onStop: (streamId: string) => void;
  /** A claimed stream of which no message can be made, because its head cannot be read: it is given up. */
  readonly onUnreadable: (streamId: string) => void;
  /** A message is lost: it was the engine's to keep, and the engine does not know it any more. */
  readonly onGone: (opened: OpenedStream) => void;
  readonly onLeaseLost: () => void;
  /** Something failed that is tried again. Failed exchanges are told by `onExchange`. */
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
  readonly #events: RelayEvents;
  #isClosing = false;

  constructor(settings: RelaySettings, clock: Clock, events: RelayEvents) {
    const { engine, retainMs, flushMs } = settings;
    const { onError } = events;
    this.settings = settings;
    this.#events = events;
    this.#clock = clock;
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
        void this.#takeover.tellSettled();
        void this.#takeover.purge();
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
   * With `ahead`, what is asked before bytes of a stream of this process leave: `undefined` where they may go, else what resolves when
   * they may. Without it there is nothing to ask.
   */
  aheadOf(streamId: string): (() => Promise<void> | undefined) | undefined {
    return this.settings.ahead ? this.#ahead.of(streamId) : undefined;
  }

  /** A stream of this process, until the engine knows all about it. */
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

  /** Its message is lost: the engine does not know it any more. */
  tellGone(opened: OpenedStream): void {
    this.#events.onGone(opened);
  }

  /** Resolves to true once the engine has all that there is of a stream of this process. */
  sync(streamId: string): Promise<boolean> {
    return this.#flusher.sync(streamId);
  }

  /**
   * Whether somebody reads this stream of this process, here or elsewhere, by what the engine says now; where it does not answer, by
   * what it said last. Never rejects.
   */
  async isFollowed(streamId: string): Promise<boolean> {
    const isKnown = (): boolean =>
      this.#flusher.isFollowed(streamId) || this.#readers.count(streamId) > 0;
    if (!isKnown()) await within(this.#clock, ASK_MAX_MS, this.#flusher.ask());
    return isKnown();
  }

  /** The name under which this instance has its streams; `undefined` while it holds no lease. */
  get lease(): string | undefined {
    return this.#flusher.lease;
  }

  /** Whether readers at other instances follow this stream of this process, by what the engine said last. */
  isReadElsewhere(streamId: string): boolean {
    return this.#flusher.isFollowed(streamId);
  }

  /** Streams of other instances that somebody reads here. */
  following(): readonly string[] {
    return this.#readers.following();
  }

  /** Readers of one stream in this process. */
  readers(streamId: string): number {
    return this.#readers.count(streamId);
  }

  /** Gives a sink what there is of a stream from an offset on, and what follows, until its end. */
  follow(position: RelayPosition, sink: ReaderSink): ReaderHandle {
    return this.#readers.follow(position, sink);
  }

  /** What the engine knows; rejects when it is away. */
  find(query: RelayQuery): Promise<RelayRecord | undefined> {
    return this.settings.engine.find(query);
  }

  /**
   * Asks whoever owns a stream to stop it, and waits until its end and the result of its message are known, at most `ms`.
   * `undefined`: it is unknown, or has an end; a record without an end: it did not come in time. Rejects when the engine is away.
   */
  async stopElsewhere(streamId: string, ms: number): Promise<RelayRecord | undefined> {
    if (!(await this.settings.engine.command(streamId))) return undefined;
    const untilMs = this.#clock.monotonicMs() + ms;
    for (;;) {
      const record = await this.find({ streamId });
      // Of a stream that was broken off for its owner nobody says what became of the message.
      const { save, outcome } = record?.end ?? {};
      const isKnown = typeof save === 'string' || outcome === 'interrupted';
      if (record === undefined || isKnown || this.#clock.monotonicMs() > untilMs) return record;
      await new Promise<void>((resolve) => this.#clock.after(LOOK_EVERY_MS, resolve));
    }
  }

  /** What health and metrics are told. */
  report(): RelayReport {
    return { ...this.#flusher.report(), unconfirmed: this.#ahead.unconfirmed };
  }

  /** Readers are broken off, the engine is told the rest and that this instance leaves, and released; within twice `ms`. */
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
