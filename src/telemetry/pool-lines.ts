/** Log lines about connections that the app does not give back: where each was taken, which is all that helps. */
import type { Logger } from '../core/logger.ts';
import type { Observer, PoolFinding } from '../core/observer.ts';

/** A line of the app that takes connections is told once; the counter has every time. More lines than this are not told. */
const PLACES_MAX = 1_000;

const SENTENCES: Readonly<Record<PoolFinding['kind'], string>> = {
  'across-stream': 'lastchunk: a database connection was held while a stream was written',
  long: 'lastchunk: a database connection is held for long',
  leaked: 'lastchunk: a database connection was lost without being released',
};

/** Writes a warning for each place. Does not throw unless the logger does. */
export function createPoolLines(logger: Logger): Observer {
  const told = new Set<string>();
  return {
    onPoolFinding(finding) {
      const { kind, pool, place } = finding;
      const key = `${kind} ${pool} ${place}`;
      if (told.has(key) || told.size >= PLACES_MAX) return;
      told.add(key);
      logger.warn(finding, SENTENCES[kind]);
    },
  };
}
