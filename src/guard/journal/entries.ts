/**
 * Streams that wait in a journal, as the saver meets them: this process's own, and those of dead ones.
 */
import { basename } from 'node:path';
import type { JournalEntry } from '../journal-port.ts';
import { isCut, nameless } from './found.ts';
import type { Found } from './found.ts';
import type { Log } from './log.ts';
import { parseEnding, parseOpened } from './parse.ts';
import { readText } from './reader.ts';
import type { Reader } from './reader.ts';
import { writeRefused } from './refused-files.ts';
import { segmentsOf } from './relocate.ts';
import type { Taken } from './taken.ts';

/** A log of this process that the saver let go of. `undefined` when its records cannot be read any more. */
export function ownEntry(
  log: Log,
  using: { path: string; reader: Reader; finish: (log: Log) => void; onCorrupt: () => void },
): JournalEntry | undefined {
  const openJson =
    log.openJson ?? (log.openAt && readText(log.openAt.segment, log.openAt.position));
  const endJson = log.endJson ?? (log.endAt && readText(log.endAt.segment, log.endAt.position));
  if (openJson === undefined) return undefined;
  const opened = parseOpened(openJson);
  const { offset, revision } = log;
  const settle = (): Promise<void> => {
    // Opened again meanwhile: then there is more to save than what this entry gave.
    if (log.offset === offset && log.revision === revision) using.finish(log);
    return Promise.resolve();
  };
  return {
    opened,
    ending: endJson === undefined ? undefined : parseEnding(endJson, opened),
    async body() {
      if (log.body !== undefined) return log.body();
      const { pieces, bytes } = await using.reader.body(segmentsOf(log), log.number);
      if (bytes < offset) using.onCorrupt();
      return pieces;
    },
    settle,
    async refuse(message, sqlstate) {
      await writeRefused(using.path, message, sqlstate);
      await settle();
    },
  };
}

/** A stream of a dead process. An end that speaks of more text than can be read is not called complete. */
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
    ending: ending && isCut(found) ? { ...ending, complete: false } : ending,
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
