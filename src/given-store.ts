/** The store that an app gives, as the composition meets it: what it has to have, what it may offer, what it has to say. */
import { describeError, markSayable } from './core/error-words.ts';
import { errorTypeOf } from './core/errors.ts';
import type { Logger } from './core/logger.ts';
import type { MessageStore } from './core/message.ts';
import type { FullObserver } from './core/observer.ts';
import { bad } from './core/options.ts';
import { isObject } from './core/values.ts';
import type { JournalOption } from './journal/index.ts';
import type { PoolState } from './telemetry/sources.ts';
import type { StreamSpans } from './telemetry/spans.ts';

/** What a store may offer beyond saving; `postgres()` does. */
export interface WellConnectedStore extends MessageStore {
  readonly fingerprint?: string | undefined;
  readonly address?: string;
  /** False: no journal, unless the app asks for one. */
  readonly wantsJournal?: boolean;
  /** Rejects with what is wrong. */
  check?(): Promise<void>;
  ping?(): Promise<boolean>;
  pool?(): PoolState;
  listen?(listener: {
    onIdConflict(conflict: { readonly requestedId: string; readonly messageId: string }): void;
    onError(error: unknown): void;
  }): void;
}

/** The option `store`; throws `bad-option`. */
export function checkStore(store: MessageStore | undefined): MessageStore | undefined {
  if (store === undefined) return undefined;
  const { save, close } = store as Partial<MessageStore>;
  if (typeof save === 'function' && typeof close === 'function') return store;
  throw bad('`store` must be a MessageStore with save() and close(), such as postgres()');
}

/**
 * Names the store in its journal, where `journal.name` does not. One that has no name is none of `postgres()`: no other store's
 * process, the command line included, saves into its table what was meant for another.
 */
export function nameOf({ fingerprint }: WellConnectedStore): string {
  return fingerprint ?? 'own-store';
}

/** The option `journal`, for a store that has its say. */
export function wantedJournal(
  option: JournalOption | undefined,
  { wantsJournal }: WellConnectedStore,
): JournalOption | undefined {
  return option === undefined && wantsJournal === false ? false : option;
}

/** Asks the store whether a message could be saved now: a rejection says why not. */
export function probeOf(
  store: WellConnectedStore | undefined,
  spans: StreamSpans,
): (() => Promise<unknown>) | undefined {
  if (store?.check !== undefined) return () => spans.quietly(async () => store.check?.());
  if (store?.ping === undefined) return undefined;
  return async () => {
    if ((await spans.quietly(() => store.ping?.())) !== true)
      throw markSayable(new Error('the database does not answer'));
  };
}

/** What the store has to say beside its results; what the line of the start says is not said twice. */
export function listenTo(
  store: WellConnectedStore,
  { observer, logger, told }: { observer: FullObserver; logger: Logger; told: WeakSet<object> },
): void {
  const tell = (error: unknown): void => {
    if (isObject(error) && told.has(error)) return;
    const fields = { errorType: errorTypeOf(error), reason: describeError(error) };
    logger.warn(fields, 'lastchunk: the store failed outside of a save');
  };
  store.listen?.({
    onIdConflict: ({ requestedId, messageId }) => observer.onIdConflict(requestedId, messageId),
    // A migration that fails is heard of here and by who asked the store, in one turn.
    onError: (error) => void setImmediate(tell, error),
  });
}
