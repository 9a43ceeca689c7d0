/**
 * Sends messages that were set aside to the store again, one at a time, on request. A message is deleted from disk only after
 * the store has it, so this may be interrupted at any time.
 */
import { hasFact } from '../core/error-facts.ts';
import type { Logger } from '../core/logger.ts';
import type { RefusedMessage } from '../journal/port.ts';
import type { AroundReplay } from './delivery.ts';
import type { ReplaySummary } from './replay.ts';
import { SILENT, type StoreAnswer, type StoreClient } from './store-client.ts';

/** A failure that one message causes does not stop the others; after this many failures in a row the store counts as away. */
const FAILURES_IN_A_ROW = 8;

/** What came of it, and why the store did not take what is left. */
export interface RefusedSummary extends ReplaySummary {
  readonly errorType: string | undefined;
}

/** What a replay of refused messages is made of. */
export interface RefusedReplayOptions {
  /** Those that the store refused, oldest first. Throws where they cannot be read. */
  readonly refusedMessages: () => readonly RefusedMessage[];
  readonly client: StoreClient;
  readonly logger: Logger;
  readonly aroundReplay: AroundReplay;
  /** Ends the replay after the current message. */
  readonly signal: AbortSignal;
  /** Called with the number of messages that are done. */
  readonly onProgress?: (done: number) => void;
}

/** Offers refused messages to the store again, one at a time. */
export class RefusedReplay {
  readonly #options: RefusedReplayOptions;
  #running: Promise<RefusedSummary> | undefined;

  constructor(options: RefusedReplayOptions) {
    this.#options = options;
  }

  /**
   * Sends all that are set aside now, once; calls during that time share its result. Stops when the store is away. Rejects where
   * `refused/` cannot be read or written.
   */
  replay(): Promise<RefusedSummary> {
    this.#running ??= this.#offerAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Resolves when, after the signal, nothing is running any more. */
  async ended(): Promise<void> {
    await this.#running?.catch(() => {
      // Told to who asked for it.
    });
  }

  async #offerAll(): Promise<RefusedSummary> {
    const { refusedMessages, signal, onProgress } = this.#options;
    const counts = { saved: 0, refused: 0, left: 0 };
    let errorType: string | undefined;
    let failuresInARow = 0;
    const waiting = refusedMessages();
    for (const [index, one] of waiting.entries()) {
      const isAway = hasFact(errorType, 'transient') || failuresInARow >= FAILURES_IN_A_ROW;
      if (signal.aborted || isAway) {
        counts.left += waiting.length - index;
        break;
      }
      const answer = await this.#offer(one);
      if (answer === undefined) continue;
      if (answer.kind === 'saved' || answer.kind === 'refused') {
        counts[answer.kind] += 1;
        failuresInARow = 0;
      } else {
        counts.left += 1;
        failuresInARow += 1;
        errorType = answer.kind === 'away' ? answer.errorType : SILENT;
      }
      onProgress?.(counts.saved + counts.refused);
    }
    return { ...counts, errorType };
  }

  /** The answer of the store to this message; `undefined` if the message was dropped meanwhile. */
  async #offer(refused: RefusedMessage): Promise<StoreAnswer | undefined> {
    const { client, logger, aroundReplay } = this.#options;
    const message = refused.read();
    if (message === undefined) return undefined;
    const answers: StoreAnswer[] = [];
    const item = {
      message,
      onAttempt: () => undefined,
      onAnswer: (given: StoreAnswer) => void answers.push(given),
      // It stays set aside, and saving it twice is harmless.
      onLate: () => undefined,
    };
    await client.send([item], (work) => aroundReplay([], work));
    const answer = sameAgain(answers[0] ?? { kind: 'silent' }, refused.sqlstate);
    const fields = { messageId: message.id, streamId: message.streamId };
    if (answer.kind === 'saved') {
      refused.remove(message);
      logger.info(fields, 'lastchunk: a message that was refused is saved');
    } else if (answer.kind === 'refused') {
      const { sqlstate } = answer;
      logger.error({ ...fields, sqlstate }, 'lastchunk: the store refuses a message again');
    }
    return answer;
  }
}

/** What was set aside because it failed alone fails so again: that says nothing of the store. */
function sameAgain(answer: StoreAnswer, sqlstate: string): StoreAnswer {
  const isSame = answer.kind === 'away' && answer.errorType === sqlstate;
  return isSame ? { kind: 'refused', sqlstate } : answer;
}
