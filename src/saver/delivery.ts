/**
 * Messages from disk to the store: read, rebuilt, sent, and then settled in the journal or moved aside. The
 * journal forgets a message only after the store has it.
 */
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Message } from '../core/message.ts';
import type { FullObserver, InternalErrorPlace, JournaledMessage } from '../core/observer.ts';
import type { Piece, ReadBody } from '../core/save-port.ts';
import type { BacklogItem } from './backlog.ts';
import { rebuild } from './rebuild.ts';
import type { BatchItem, StoreAnswer, StoreClient } from './store-client.ts';

/** Runs the store call of a replayed batch in a context that links to the streams it is about. */
export type AroundReplay = (
  messages: readonly JournaledMessage[],
  work: () => Promise<void>,
) => Promise<void>;

/** A message that was read from disk. */
export interface LoadedItem {
  readonly item: BacklogItem;
  readonly message: Message;
}

/** The outcome for one message: done, to be retried, or `stuck` because the disk failed. */
export type Disposition = 'saved' | 'refused' | 'away' | 'stuck';

/** What a delivery is made of. */
export interface DeliveryOptions {
  readonly read: ReadBody;
  readonly client: StoreClient;
  readonly observer: FullObserver;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly aroundReplay: AroundReplay;
}

/** Reads messages from disk and sends them. */
export class Delivery {
  readonly #options: DeliveryOptions;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** `empty`: settled without a row; `unread`: retried later; `stuck`: its records cannot be turned into a message. */
  async load(item: BacklogItem): Promise<LoadedItem | 'empty' | 'unread' | 'stuck'> {
    const { read, clock } = this.#options;
    let body: readonly Piece[];
    try {
      body = await item.entry.body();
    } catch (error) {
      this.#reportStuck(item, 'journal', error);
      return 'unread';
    }
    let message: Message | undefined;
    try {
      message = await rebuild(item.entry, body, { read, nowMs: clock.epochMs() });
    } catch (error) {
      return this.#reportStuck(item, 'format', error);
    } finally {
      item.entry.wasRead?.();
    }
    if (message !== undefined) return { item, message };
    try {
      await item.entry.settle();
      return 'empty';
    } catch (error) {
      return this.#reportStuck(item, 'journal', error);
    }
  }

  /** One disposition for each, in order, and the error type when the store is away. */
  async deliver(batch: readonly LoadedItem[]): Promise<{
    readonly dispositions: readonly Disposition[];
    readonly errorType: string | undefined;
  }> {
    const { client, aroundReplay } = this.#options;
    const answers: StoreAnswer[] = batch.map(() => ({ kind: 'silent' }));
    const items = batch.map(({ message }, index): BatchItem => ({
      message,
      onAttempt: () => undefined,
      onAnswer(answer) {
        answers[index] = answer;
      },
      // The message is sent again by then, and saving it twice is harmless.
      onLate: () => undefined,
    }));
    const errorType = await client.send(items, (work) =>
      aroundReplay(batch.map(journaledMessageOf), work),
    );
    const dispositions = await Promise.all(
      batch.map((loaded, index) => this.#conclude(loaded, answers[index] ?? { kind: 'silent' })),
    );
    return { dispositions, errorType };
  }

  /**
   * Records the answer in the journal, and then reports it to the observers. If the stream has gone on meanwhile, the journal keeps
   * the records that are not part of this entry.
   */
  async #conclude(loaded: LoadedItem, answer: StoreAnswer): Promise<Disposition> {
    if (answer.kind === 'away' || answer.kind === 'silent') return 'away';
    const { observer, logger } = this.#options;
    const { item, message } = loaded;
    const { entry, origin } = item;
    try {
      if (answer.kind === 'saved') await entry.settle();
      else await entry.refuse(message, answer.sqlstate);
    } catch (error) {
      return this.#reportStuck(item, 'journal', error);
    }
    if (answer.kind === 'refused') {
      const { id: messageId, streamId } = message;
      const fields = { messageId, streamId, sqlstate: answer.sqlstate };
      logger.error(fields, 'lastchunk: the store refuses a journaled message permanently');
    }
    const about = journaledMessageOf(loaded);
    if (origin === 'own') observer.onReplayed(answer.kind, about);
    else observer.onRecovered(answer.kind, about);
    return answer.kind;
  }

  #reportStuck(item: BacklogItem, where: InternalErrorPlace, error: unknown): 'stuck' {
    const { observer, logger } = this.#options;
    observer.onInternalError(where, error);
    const { id, messageId } = item.entry.opened;
    logger.error({ streamId: id, messageId }, 'lastchunk: a journaled message stays on disk');
    return 'stuck';
  }
}

function journaledMessageOf({ item: { entry }, message }: LoadedItem): JournaledMessage {
  const { route, traceparent } = entry.opened;
  return { streamId: message.streamId, messageId: message.id, route, traceparent };
}
