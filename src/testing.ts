/**
 * `lastchunk/testing`: a store in memory for the tests of an app. An instance with it has no journal, so that a test leaves no
 * files behind and finds none of another one.
 */
import type { Message, MessageStore } from './core/message.ts';

/** What a test looks at, and the faults that it may cause. */
export interface MemoryStore extends MessageStore {
  /** Without a journal, unless the option `journal` says otherwise. */
  readonly wantsJournal: false;
  /** What is kept, oldest first; of each message the best version, as the PostgreSQL store keeps it. */
  readonly messages: readonly Message[];
  /** The messages of one conversation, oldest first. */
  of(conversationId: string): readonly Message[];
  /** From now on saves are rejected with this error; `undefined` puts it right. */
  failWith(error: Error | undefined): void;
  /** Forgets everything, and every fault. */
  clear(): void;
}

/** Makes an empty store. It survives `keep.close()`, so that a test may look at it afterwards. */
export function memoryStore(): MemoryStore {
  const kept = new Map<string, Message>();
  let failure: Error | undefined;
  const all = (): readonly Message[] => [...kept.values()];
  return {
    wantsJournal: false,
    get messages() {
      return all();
    },
    of: (conversationId) => all().filter((message) => message.conversationId === conversationId),
    failWith: (error) => {
      failure = error;
    },
    clear: () => {
      kept.clear();
      failure = undefined;
    },
    save: async (messages) => {
      if (failure !== undefined) throw failure;
      for (const message of messages) {
        const { id, streamId } = message;
        const other = kept.get(id);
        if (other === undefined || other.streamId === streamId) keepBetter(kept, id, message);
        // An id that belongs to another stream is never touched.
        else keepBetter(kept, streamId, { ...message, id: streamId });
      }
    },
    close: async () => {},
  };
}

function keepBetter(kept: Map<string, Message>, id: string, message: Message): void {
  const known = kept.get(id);
  if (known === undefined || isBetter(message, known)) kept.set(id, message);
}

/** The rank of every store: revision, then completeness, then length. */
function isBetter(one: Message, other: Message): boolean {
  if (one.revision !== other.revision) return one.revision > other.revision;
  if (one.complete !== other.complete) return one.complete;
  return one.text.length > other.text.length;
}
