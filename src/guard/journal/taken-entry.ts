/**
 * The streams that a dead process left, as the saver meets them.
 */
import { basename } from 'node:path';
import type { Ending, JournalEntry } from '../journal-port.ts';
import { isCut, isReopened, nameless } from './found.ts';
import type { Found } from './found.ts';
import { parseEnding, parseOpened } from './parse.ts';
import { readText } from './reader.ts';
import { writeRefused } from './refused-files.ts';
import type { Taken } from './taken.ts';

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
    ending: ending && asFound(ending, found),
    body: async () => (await taken.body(found)).pieces,
    settle,
    async refuse(message, sqlstate) {
      await writeRefused(path, message, sqlstate);
      await settle();
    },
  };
}

/** The ending, as far as the records bear it out. */
function asFound(ending: Ending, found: Found): Ending {
  if (isCut(found)) return { ...ending, complete: false };
  if (!isReopened(found)) return ending;
  // It went on after this end, and its process died before the next one: that is the last thing that happened to it.
  const revision = ending.revision + 1;
  return { ...ending, revision, complete: false, outcome: 'interrupted', side: 'server' };
}

function openedOf(found: Found, directory: string): JournalEntry['opened'] {
  const json = found.open && readText(found.open.file, found.open.position);
  // A directory is called `taken-` and its owner's name once it was taken; the id must not depend on that.
  return json === undefined
    ? nameless(found, basename(directory).replace(/^taken-/, ''))
    : parseOpened(json);
}
