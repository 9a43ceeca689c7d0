/**
 * A message store in memory whose answers the test controls: faults are injected at the interface of the store, without a fake database.
 */
import type { Message, MessageStore } from '../../src/core/message.ts';

/** A store that saves, waits or rejects, as the test chooses. */
export interface MemoryStore extends MessageStore {
  /** The saved messages by their id. */
  readonly rows: ReadonlyMap<string, Message>;
  /** The only row; throws when there is none or more than one. */
  readonly row: Message;
  /** Every message of every call, failed calls included. */
  readonly asked: readonly Message[];
  /** How many calls wait for `answer`. */
  readonly waiting: number;
  /** True once `close` was called. */
  readonly closed: boolean;
  /** From now on calls wait. */
  hold(): void;
  /** Continues all waiting calls; later calls do not wait. */
  answer(): void;
  /** From now on calls reject with this error; `undefined` ends that. */
  fail(error: unknown): void;
}

/** Creates an empty store without faults. */
export function createMemoryStore(): MemoryStore {
  const rows = new Map<string, Message>();
  const asked: Message[] = [];
  let held: Array<() => void> | undefined;
  let waiting = 0;
  let closed = false;
  let failure: unknown;
  return {
    rows,
    asked,
    get row() {
      const [only, ...others] = rows.values();
      if (only === undefined || others.length > 0) throw new Error(`${rows.size} rows, not one`);
      return only;
    },
    get waiting() {
      return waiting;
    },
    get closed() {
      return closed;
    },
    hold: () => {
      held ??= [];
    },
    answer: () => {
      const all = held ?? [];
      held = undefined;
      for (const go of all) go();
    },
    fail: (error) => {
      failure = error;
    },
    save: async (messages) => {
      asked.push(...messages);
      const queue = held;
      if (queue !== undefined) {
        waiting += 1;
        await new Promise<void>((resolve) => {
          queue.push(resolve);
        });
        waiting -= 1;
      }
      if (failure !== undefined) throw failure;
      for (const message of messages) {
        const known = rows.get(message.id);
        if (known === undefined || outranks(message, known)) rows.set(message.id, message);
      }
    },
    close: () => {
      closed = true;
      return Promise.resolve();
    },
  };
}

function outranks(message: Message, known: Message): boolean {
  if (message.streamId !== known.streamId) return false;
  if (message.revision !== known.revision) return message.revision > known.revision;
  if (message.complete !== known.complete) return message.complete;
  return message.text.length > known.text.length;
}
