/**
 * The messages of this process that only the disk still has, as the saver meets them: oldest first, each with the facts
 * of its records and its body on demand.
 */
import type { JournalEntry } from '../port.ts';
import type { Log } from '../stream-log.ts';
import { parseEnding, parseOpened } from './parse.ts';
import { readText } from './reader.ts';
import type { Reader } from './reader.ts';
import { writeRefused } from '../dead-letters.ts';
import type { Streams } from '../streams.ts';

export interface OwnBacklog {
  /** The first `limit` of them. */
  first(limit: number): readonly JournalEntry[];
}

export interface OwnBacklogOptions {
  readonly path: string;
  readonly reader: Reader;
  readonly streams: Streams;
  readonly onCorrupt: (count: number) => void;
}

/** The saver asks again and again for the same ones; so many need not be read twice. */
const REMEMBERED = 2_048;

export function createOwnBacklog(options: OwnBacklogOptions): OwnBacklog {
  const remembered = new Map<Log, Remembered>();

  const entryOf = (log: Log): JournalEntry | undefined => {
    const before = remembered.get(log);
    if (before !== undefined && isSame(log, before)) return before.entry;
    const entry = makeEntry(log, options);
    if (entry === undefined) return undefined;
    remembered.set(log, { entry, offset: log.offset, revision: log.revision });
    return entry;
  };
  return {
    first(limit) {
      const entries: JournalEntry[] = [];
      for (const log of options.streams.waiting) {
        if (entries.length >= limit) break;
        const entry = entryOf(log);
        if (entry !== undefined) entries.push(entry);
      }
      forgetSome(remembered, options.streams.waiting);
      return entries;
    },
  };
}

interface Remembered {
  readonly entry: JournalEntry;
  readonly offset: number;
  readonly revision: number;
}

function segmentsOf(log: Log): Log['extents'][number]['segment'][] {
  return log.extents.map(({ segment }) => segment);
}

function isSame(log: Log, { offset, revision }: { offset: number; revision: number }): boolean {
  return log.offset === offset && log.revision === revision;
}

function forgetSome(remembered: Map<Log, Remembered>, waiting: ReadonlySet<Log>): void {
  for (const log of remembered.keys()) {
    if (!waiting.has(log) || remembered.size > REMEMBERED) remembered.delete(log);
  }
}

/** `undefined` when its records cannot be read any more. */
function makeEntry(log: Log, options: OwnBacklogOptions): JournalEntry | undefined {
  const { path, reader, onCorrupt } = options;
  const { openAt, endAt, offset, revision } = log;
  const openJson = log.openJson ?? (openAt && readText(openAt.segment, openAt.position));
  const endJson = log.endJson ?? (endAt && readText(endAt.segment, endAt.position));
  if (openJson === undefined) return undefined;
  const opened = parseOpened(openJson);
  const settle = (): Promise<void> => {
    // Opened again meanwhile: then there is more to save than what this entry gave.
    if (log.state === 'kept' && isSame(log, { offset, revision })) options.streams.finish(log);
    return Promise.resolve();
  };
  return {
    opened,
    ending: endJson === undefined ? undefined : parseEnding(endJson, opened),
    async body() {
      if (log.body !== undefined) return log.body.pieces;
      const { pieces, bytes } = await reader.body(segmentsOf(log), log.number);
      if (bytes < offset) onCorrupt(1);
      return pieces;
    },
    settle,
    async refuse(message, sqlstate) {
      await writeRefused(path, message, sqlstate);
      await settle();
    },
  };
}
