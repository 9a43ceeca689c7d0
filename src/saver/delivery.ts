/**
 * Messages from disk to the store: read, rebuilt, sent, and then settled in the journal or moved aside. The
 * journal forgets a message only after the store has it.
 */
import type { Piece, ReadBody } from '../core/save-port.ts';
import type { Logger } from '../core/logger.ts';
import type { Message } from '../core/message.ts';
import type { FullObserver, InternalErrorPlace, JournaledMessage } from '../core/observer.ts';
import type { Waiting } from './backlog.ts';
import type { Clock } from '../core/clock.ts';
import { rebuild } from './rebuild.ts';
import type { Answer, Parcel, Send } from './store-client.ts';

/** Runs the store call of a replayed batch in a context that links to the streams it is about. */
export type AroundReplay = (
  messages: readonly JournaledMessage[],
  work: () => Promise<void>,
) => Promise<void>;

/** A message that was read from disk. */
export interface Loaded {
  readonly waiting: Waiting;
  readonly message: Message;
}

/** What became of one message: done with, to be tried again, or `stuck` because the disk failed. */
export type Fate = 'saved' | 'refused' | 'away' | 'stuck';

export interface DeliveryOptions {
  readonly read: ReadBody;
  readonly send: Send;
  readonly observer: FullObserver;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly aroundReplay: AroundReplay;
}

export interface Delivery {
  /** `empty` has been settled without a row; `stuck` cannot be read. */
  load(waiting: Waiting): Promise<Loaded | 'empty' | 'stuck'>;
  /** One fate for each, in order, and the error type when the store is away. */
  deliver(
    batch: readonly Loaded[],
  ): Promise<{ readonly fates: readonly Fate[]; readonly errorType: string | undefined }>;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { send, observer, logger, aroundReplay } = options;

  const stuck: Stuck = (waiting, where, error) => {
    observer.onInternalError(where, error);
    const { id, messageId } = waiting.entry.opened;
    logger.error({ streamId: id, messageId }, 'lastchunk: a journaled message stays on disk');
    return 'stuck';
  };
  /**
   * Tells the journal; the observers hear of it once the journal knows. Of a stream that went on meanwhile the journal
   * keeps what this entry did not give.
   */
  const conclude = async ({ waiting, message }: Loaded, answer: Answer): Promise<Fate> => {
    if (answer.kind === 'away' || answer.kind === 'silent') return 'away';
    const { entry, origin } = waiting;
    try {
      if (answer.kind === 'saved') await entry.settle();
      else await entry.refuse(message, answer.sqlstate);
    } catch (error) {
      return stuck(waiting, 'journal', error);
    }
    if (answer.kind === 'refused') {
      const fields = {
        messageId: message.id,
        streamId: message.streamId,
        sqlstate: answer.sqlstate,
      };
      logger.error(fields, 'lastchunk: the store refuses a journaled message for good');
    }
    const about = journaledMessage({ waiting, message });
    if (origin === 'own') observer.onReplayed(answer.kind, about);
    else observer.onRecovered(answer.kind, about);
    return answer.kind;
  };

  return {
    load: (waiting) => load(waiting, options, stuck),
    async deliver(batch) {
      const answers: Answer[] = batch.map(() => ({ kind: 'silent' }));
      const parcels = batch.map(({ message }, index): Parcel => ({
        message,
        onAttempt: () => undefined,
        onAnswer(answer) {
          answers[index] = answer;
        },
        // The message is sent again by then, and saving it twice is harmless.
        onLate: () => undefined,
      }));
      const errorType = await send(parcels, (work) =>
        aroundReplay(batch.map(journaledMessage), work),
      );
      const fates = await Promise.all(
        batch.map((loaded, index) => conclude(loaded, answers[index] ?? { kind: 'silent' })),
      );
      return { fates, errorType };
    },
  };
}

type Stuck = (waiting: Waiting, where: InternalErrorPlace, error: unknown) => 'stuck';

async function load(
  waiting: Waiting,
  { read, clock }: DeliveryOptions,
  stuck: Stuck,
): Promise<Loaded | 'empty' | 'stuck'> {
  let body: readonly Piece[];
  try {
    body = await waiting.entry.body();
  } catch (error) {
    return stuck(waiting, 'journal', error);
  }
  let message: Message | undefined;
  try {
    message = rebuild(waiting.entry, body, { read, nowMs: clock.epochMs() });
  } catch (error) {
    return stuck(waiting, 'format', error);
  }
  if (message !== undefined) return { waiting, message };
  try {
    await waiting.entry.settle();
    return 'empty';
  } catch (error) {
    return stuck(waiting, 'journal', error);
  }
}

function journaledMessage({ waiting: { entry }, message }: Loaded): JournaledMessage {
  const { route, traceparent } = entry.opened;
  return { streamId: message.streamId, messageId: message.id, route, traceparent };
}
