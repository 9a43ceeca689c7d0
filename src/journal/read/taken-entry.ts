/**
 * The streams that a dead process left, as the saver meets them.
 */
import { basename } from 'node:path';
import type { JournalEntry } from '../port.ts';
import { isCut, isReopened, nameless } from './stream-index.ts';
import type { Found } from './stream-index.ts';
import { parseEnding, parseOpened } from './parse.ts';
import { readText } from './reader.ts';
import { writeRefused } from '../dead-letters.ts';
import type { Taken } from './orphans.ts';

/** A stream of a dead process. */
export function takenEntry(found: Found, taken: Taken, path: string): JournalEntry {
  const opened = openedOf(found, taken.directory);
  const endJson = found.end && readText(found.end.file, found.end.position);
  const ending = endJson === undefined ? undefined : parseEnding(endJson, opened);
  const settle = (): Promise<void> => {
    taken.settle(found);
    return Promise.resolve();
  };
  return {
    opened,
    // What the records do not bear out is not complete.
    ending: ending && (isCut(found) ? { ...ending, complete: false } : ending),
    endsAt: isReopened(found) ? found.endOffset : undefined,
    body: async () => (await taken.body(found)).pieces,
    settle,
    async refuse(message, sqlstate) {
      await writeRefused(path, message, sqlstate);
      await settle();
    },
  };
}

function openedOf(found: Found, directory: string): JournalEntry['opened'] {
  const json = found.open && readText(found.open.file, found.open.position);
  // A directory is called `taken-` and its owner's name once it was taken; the id must not depend on that.
  return json === undefined
    ? nameless(found, basename(directory).replace(/^taken-/, ''))
    : parseOpened(json);
}
