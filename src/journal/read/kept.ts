/**
 * The messages of this process that only the disk still has, as the saver meets them: oldest first, each with the facts
 * of its records and its body on demand.
 */
import { writeRefused } from '../dead-letters.ts';
import type { JournalEntry } from '../port.ts';
import { parseEnding, parseOpened } from '../record-json.ts';
import type { Log, Segment } from '../write/stream-log.ts';
import type { StreamLogs } from '../write/streams.ts';
import { readText } from './reader.ts';
import type { BodyReader } from './reader.ts';

export interface OwnBacklogOptions {
  readonly path: string;
  readonly reader: BodyReader;
  readonly streams: StreamLogs;
  readonly onCorrupt: (count: number) => void;
}

/** The saver asks again and again for the same ones; so many need not be read twice. */
const REMEMBERED = 2_048;

export class OwnBacklog {
  readonly #options: OwnBacklogOptions;
  readonly #remembered = new Map<Log, Remembered>();

  constructor(options: OwnBacklogOptions) {
    this.#options = options;
  }

  /** The first `limit` of them that are not skipped. */
  first(
    limit: number,
    isSkipped: (streamId: string) => boolean = () => false,
  ): readonly JournalEntry[] {
    const { waiting } = this.#options.streams;
    const entries: JournalEntry[] = [];
    for (const log of waiting) {
      if (entries.length >= limit) break;
      if (isSkipped(log.streamId)) continue;
      const entry = this.#entryOf(log);
      if (entry !== undefined) entries.push(entry);
    }
    this.#forgetSome();
    return entries;
  }

  #entryOf(log: Log): JournalEntry | undefined {
    const before = this.#remembered.get(log);
    if (before !== undefined && isSame(log, before)) return before.entry;
    const entry = makeEntry(log, this.#options);
    if (entry === undefined) return undefined;
    this.#remembered.set(log, { entry, offset: log.offset, revision: log.revision });
    return entry;
  }

  #forgetSome(): void {
    for (const log of this.#remembered.keys()) {
      const isWaiting = this.#options.streams.waiting.has(log);
      if (!isWaiting || this.#remembered.size > REMEMBERED) this.#remembered.delete(log);
    }
  }
}

interface Remembered {
  readonly entry: JournalEntry;
  readonly offset: number;
  readonly revision: number;
}

function segmentsOf(log: Log): Segment[] {
  return log.extents.map(({ segment }) => segment);
}

function isSame(log: Log, { offset, revision }: { offset: number; revision: number }): boolean {
  return log.offset === offset && log.revision === revision;
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
    postpone() {
      const { waiting } = options.streams;
      if (waiting.delete(log)) waiting.add(log);
    },
    async refuse(message, sqlstate) {
      await writeRefused(path, message, sqlstate);
      await settle();
    },
  };
}
