/** lastchunk over a store in memory, with a recording observer and a logbook. */
import { onTestFinished } from 'vitest';
import { lastchunk, type LastchunkOptions } from '../../src/index.ts';
import { createLogbook } from './logbook.ts';
import { createMemoryStore } from './memory-store.ts';
import { createRecordingObserver } from './recording-observer.ts';

/** Creates an instance without a journal; it is closed at the end of the test. */
export function createInMemoryInstance(
  options: Omit<LastchunkOptions, 'observer' | 'logger'> = {},
) {
  const store = createMemoryStore();
  const recorded = createRecordingObserver();
  const logbook = createLogbook();
  const keep = lastchunk({
    store,
    journal: false,
    ...options,
    observer: recorded.observer,
    logger: logbook.logger,
  });
  onTestFinished(async () => {
    store.fail(undefined);
    store.answer();
    await keep.close({ deadlineMs: 1000 });
  });
  return { keep, store, recorded, logbook };
}

/** What `createInMemoryInstance` returns. */
export type InMemoryInstance = ReturnType<typeof createInMemoryInstance>;
