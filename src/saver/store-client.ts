/**
 * One batch to the store, and an answer for every message in it. A batch that is refused is halved until
 * the message that is refused stands alone, so that one bad message never costs another its place. A call
 * that says nothing is not waited for longer than a while: a connection can die without a word.
 */
import { errorTypeOf } from '../core/error-type.ts';
import type { Message, MessageStore } from '../core/message.ts';
import type { FullObserver } from '../core/observer.ts';
import type { Logger } from '../core/logger.ts';
import { within, type Clock } from '../core/clock.ts';
import { mayPass, refusal } from './refused.ts';
import { tellingMessage } from '../core/telling-message.ts';

/**
 * A store call without an answer for so long counts as a failure. More than the built-in store can take (2 s to
 * connect, 5 s a statement), well below `missingAfterMs`.
 */
export const SILENT_AFTER_MS = 10_000;

/** The error type of a call that has given no answer. */
export const SILENT = 'timeout';

/** What the store said to one message. */
export type Answer =
  | LateAnswer
  /** Sent alone, and it can never be stored. */
  | { readonly kind: 'refused'; readonly sqlstate: string }
  /** Nothing in time; `onLate` may follow. */
  | { readonly kind: 'silent' };

/** What the store said when nobody waited for it any more. */
export type LateAnswer =
  { readonly kind: 'saved' } | { readonly kind: 'away'; readonly errorType: string };

/** A message on its way, and whoever wants to hear about it. */
export interface Parcel {
  readonly message: Message;
  /** A store call that it is part of begins. */
  onAttempt(): void;
  /** Once for each time it was sent. */
  onAnswer(answer: Answer): void;
  /** After `silent`, should the store answer after all. */
  onLate(answer: LateAnswer): void;
}

/** Runs a store call in somebody's context. */
export type Wrap = (work: () => Promise<void>) => Promise<void>;

/** Sends a batch; resolves to the error type when the store is away, and never rejects. */
export type Send = (parcels: readonly Parcel[], wrap: Wrap) => Promise<string | undefined>;

export interface SenderOptions {
  readonly store: MessageStore;
  readonly observer: FullObserver;
  readonly logger: Logger;
  readonly clock: Clock;
}

export function createSender({ store, observer, logger, clock }: SenderOptions): Send {
  const noted = new Set<string>();
  /** Each kind of failure is told loudly once; an outage of an hour is not an hour of errors. */
  const note = (errorType: string, error: unknown): void => {
    const fields = { errorType, reason: tellingMessage(error) };
    if (noted.has(errorType)) logger.debug(fields, 'lastchunk: the store did not take a batch');
    else logger.error(fields, 'lastchunk: the store did not take a batch, first of this kind');
    noted.add(errorType);
  };
  const toAnswer = async (parcels: readonly Parcel[], wrap: Wrap): Promise<Answer> => {
    try {
      await wrap(() => store.save(parcels.map((parcel) => parcel.message)));
      return { kind: 'saved' };
    } catch (error) {
      const sqlstate = refusal(error);
      const errorType = sqlstate ?? errorTypeOf(error);
      note(errorType, error);
      return sqlstate === undefined ? { kind: 'away', errorType } : { kind: 'refused', sqlstate };
    }
  };
  const call = async (parcels: readonly Parcel[], wrap: Wrap): Promise<Answer> => {
    for (const parcel of parcels) parcel.onAttempt();
    const work = toAnswer(parcels, wrap);
    const answer = (await within(clock, SILENT_AFTER_MS, work)) ?? { kind: 'silent' };
    observer.onAttempt(errorTypeIn(answer));
    if (answer.kind === 'silent') {
      note(SILENT, undefined);
      void work.then((late) => {
        for (const parcel of parcels) parcel.onLate(lateAnswer(late));
      });
    }
    return answer;
  };
  const send: Send = async (parcels, wrap) => {
    let answer = await call(parcels, wrap);
    const isAlone = parcels.length === 1;
    if (answer.kind === 'refused' && isAlone && mayPass(answer.sqlstate)) {
      answer = await call(parcels, wrap);
    }
    if (answer.kind !== 'refused' || isAlone) {
      for (const parcel of parcels) parcel.onAnswer(answer);
      return answer.kind === 'refused' ? undefined : errorTypeIn(answer);
    }
    const middle = parcels.length >> 1;
    const rest = parcels.slice(middle);
    const errorType = await send(parcels.slice(0, middle), wrap);
    if (errorType === undefined) return send(rest, wrap);
    for (const parcel of rest) parcel.onAnswer({ kind: 'away', errorType });
    return errorType;
  };
  return send;
}

/** A refusal that comes too late to be halved: the message is put to the test again. */
function lateAnswer(answer: Answer): LateAnswer {
  return answer.kind === 'saved'
    ? answer
    : { kind: 'away', errorType: errorTypeIn(answer) ?? SILENT };
}

function errorTypeIn(answer: Answer): string | undefined {
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
