/**
 * Sends one batch to the store and gets an answer for every message in it. A refused batch is halved until the refused message is
 * alone, so that one bad message never blocks another. A call that does not answer is given up after a limit: a connection
 * can break without an error.
 */
import { within, type Clock } from '../core/clock.ts';
import { hasFact } from '../core/error-facts.ts';
import { errorTypeOf, sqlstateOf } from '../core/errors.ts';
import { refusalOf } from '../core/refusal.ts';
import type { Logger } from '../core/logger.ts';
import type { Message, MessageStore } from '../core/message.ts';
import type { FullObserver } from '../core/observer.ts';
import { describeError } from '../core/error-words.ts';

/**
 * A store call without an answer for this long counts as a failure. Longer than the built-in store can take (2 s to
 * connect, 5 s a statement), well below `missingAfterMs`.
 */
export const SILENT_AFTER_MS = 10_000;

/** The error type of a call that has given no answer. */
export const SILENT = 'timeout';

/** The answer of the store for one message. */
export type StoreAnswer =
  | LateStoreAnswer
  /** Sent alone, and it can never be stored. An SQLSTATE, what the store gave to `refuse`, or an error type. */
  | { readonly kind: 'refused'; readonly sqlstate: string }
  /** Nothing in time; `onLate` may follow. */
  | { readonly kind: 'silent' };

/** The answer of the store after the call was given up. */
export type LateStoreAnswer =
  { readonly kind: 'saved' } | { readonly kind: 'away'; readonly errorType: string };

/** A message in a batch, and the callbacks for its answers. */
export interface BatchItem {
  readonly message: Message;
  /** A store call that it is part of begins. */
  onAttempt(): void;
  /** Once for each time it was sent. */
  onAnswer(answer: StoreAnswer): void;
  /** After `silent`, should the store answer after all. */
  onLate(answer: LateStoreAnswer): void;
}

/** Runs a store call in a given async context. */
export type Wrap = (work: () => Promise<void>) => Promise<void>;

/** What a store client is made of. */
export interface StoreClientOptions {
  readonly store: MessageStore;
  readonly observer: FullObserver;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Sends batches to one store. */
export class StoreClient {
  readonly #options: StoreClientOptions;
  readonly #logged = new Set<string>();
  readonly #loneFailures = new LoneFailures();

  constructor(options: StoreClientOptions) {
    this.#options = options;
  }

  /** Sends a batch; resolves to the error type when the store is away, and never rejects. */
  async send(items: readonly BatchItem[], wrap: Wrap): Promise<string | undefined> {
    let answer = await this.#call(items, wrap);
    const isAlone = items.length === 1;
    if (answer.kind === 'refused' && isAlone && hasFact(answer.sqlstate, 'may-pass')) {
      answer = await this.#call(items, wrap);
    }
    if (isAlone) answer = this.#judgeAlone(items, answer);
    else if (answer.kind === 'saved') this.#loneFailures.recordSaved(items);
    if (answer.kind !== 'refused' || isAlone) {
      for (const item of items) item.onAnswer(answer);
      return answer.kind === 'refused' ? undefined : errorTypeIn(answer);
    }
    const middle = items.length >> 1;
    const rest = items.slice(middle);
    const errorType = await this.send(items.slice(0, middle), wrap);
    if (errorType === undefined) return this.send(rest, wrap);
    for (const item of rest) item.onAnswer({ kind: 'away', errorType });
    return errorType;
  }

  /** What was `away` until now is a refusal once this message has failed too often while others were saved. */
  #judgeAlone(items: readonly BatchItem[], answer: StoreAnswer): StoreAnswer {
    if (answer.kind === 'saved') this.#loneFailures.recordSaved(items);
    if (answer.kind !== 'away' || hasFact(answer.errorType, 'transient')) return answer;
    const [item] = items;
    if (item === undefined || !this.#loneFailures.recordFailure(item.message)) return answer;
    const { id: messageId, streamId } = item.message;
    this.#options.logger.error(
      { messageId, streamId, errorType: answer.errorType, failures: LONE_FAILURES },
      'lastchunk: the store fails for this message alone while it takes others; it is set aside as refused',
    );
    return { kind: 'refused', sqlstate: answer.errorType };
  }

  async #call(items: readonly BatchItem[], wrap: Wrap): Promise<StoreAnswer> {
    const { clock, observer } = this.#options;
    for (const item of items) item.onAttempt();
    const work = this.#answerOf(items, wrap);
    const answer = (await within(clock, SILENT_AFTER_MS, work)) ?? { kind: 'silent' };
    observer.onAttempt(errorTypeIn(answer));
    if (answer.kind === 'silent') {
      this.#log(SILENT, undefined);
      void work.then((late) => {
        for (const item of items) item.onLate(lateAnswer(late));
      });
    }
    return answer;
  }

  async #answerOf(items: readonly BatchItem[], wrap: Wrap): Promise<StoreAnswer> {
    try {
      await wrap(() => this.#options.store.save(items.map(({ message }) => message)));
      return { kind: 'saved' };
    } catch (error) {
      const sqlstate = refusalOf(error);
      const errorType = sqlstate ?? sqlstateOf(error) ?? errorTypeOf(error);
      this.#log(errorType, error);
      return sqlstate === undefined ? { kind: 'away', errorType } : { kind: 'refused', sqlstate };
    }
  }

  /** Each kind of failure is an error in the log once; an outage of an hour is not an hour of errors. */
  #log(errorType: string, error: unknown): void {
    const { logger } = this.#options;
    const fields = { errorType, reason: describeError(error) };
    if (this.#logged.has(errorType)) {
      logger.debug(fields, 'lastchunk: the store did not take a batch');
    } else {
      logger.error(fields, 'lastchunk: the store did not take a batch, first of this kind');
    }
    this.#logged.add(errorType);
  }
}

/** A refusal that comes too late to be halved: the message is put to the test again. */
function lateAnswer(answer: StoreAnswer): LateStoreAnswer {
  return answer.kind === 'saved'
    ? answer
    : { kind: 'away', errorType: errorTypeIn(answer) ?? SILENT };
}

function errorTypeIn(answer: StoreAnswer): string | undefined {
  switch (answer.kind) {
    case 'saved':
      return undefined;
    case 'refused':
      return answer.sqlstate;
    case 'away':
      return answer.errorType;
    case 'silent':
      return SILENT;
  }
}

/** How often a message may fail alone, each time after others were saved, before it is set aside. */
const LONE_FAILURES = 8;

/** Messages that are remembered at once; the oldest is forgotten first. */
const LONE_MESSAGES_MAX = 1_000;

/**
 * Messages that the store failed for when they were sent alone. An outage fails for all messages; a bug in `write()`, or a
 * policy that hides this row, fails for one, for ever, and each try opens the circuit for all the others.
 */
class LoneFailures {
  /** By stream id: how often, and how many batches had been saved when it failed last. */
  readonly #failed = new Map<string, { failures: number; savedBefore: number }>();
  #savedBatches = 0;

  recordSaved(items: readonly BatchItem[]): void {
    this.#savedBatches += 1;
    for (const { message } of items) this.#failed.delete(message.streamId);
  }

  /** True when it was once too often. A failure counts if another batch was saved since the one before. */
  recordFailure({ streamId }: Message): boolean {
    const before = this.#failed.get(streamId);
    const counts = before === undefined || this.#savedBatches > before.savedBefore;
    const failures = (before?.failures ?? 0) + (counts ? 1 : 0);
    this.#failed.delete(streamId);
    if (failures >= LONE_FAILURES) return true;
    this.#failed.set(streamId, { failures, savedBefore: this.#savedBatches });
    const [oldest] = this.#failed.keys();
    if (this.#failed.size > LONE_MESSAGES_MAX && oldest !== undefined) this.#failed.delete(oldest);
    return false;
  }
}
