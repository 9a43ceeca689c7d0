/** lastchunk over a store in memory, with everything a test wants to look at. */
import { onTestFinished } from 'vitest';
import { lastchunk, type LastchunkOptions } from '../../src/index.ts';
import { createLogbook } from './logbook.ts';
import { createMemoryStore } from './memory-store.ts';
import { createWitness } from './witness.ts';

/** Creates an instance without a journal that is closed when the test is over. */
export function createKept(options: Omit<LastchunkOptions, 'observer' | 'logger'> = {}) {
  const store = createMemoryStore();
  const witness = createWitness();
  const logbook = createLogbook();
  const keep = lastchunk({
    store,
    journal: false,
    ...options,
    observer: witness.observer,
    logger: logbook.logger,
  });
  onTestFinished(async () => {
    store.fail(undefined);
    store.answer();
    await keep.close({ deadlineMs: 1000 });
  });
  return { keep, store, witness, logbook };
}

/** What `createKept` returns. */
export type Kept = ReturnType<typeof createKept>;
