/**
 * The messages of this process that are only on disk, for the saver: oldest first, each with the facts from its records. The body is
 * read on demand.
 */
import { performance } from 'node:perf_hooks';
import type { JournalEntry } from '../port.ts';
import { parseOpened } from '../record-json.ts';
import type { Log, Segment } from '../write/stream-log.ts';
import type { StreamLogs } from '../write/streams.ts';
import { StoredEntry } from './entry.ts';
import type { BodyReader } from './reader.ts';
import { unnamedStream } from './stream-index.ts';

export interface OwnBacklogOptions {
  readonly path: string;
  /** Names the store that messages go to. */
  readonly store: string | undefined;
  readonly reader: BodyReader;
  readonly streams: StreamLogs;
  readonly onCorrupt: (count: number) => void;
  readonly onError: (error: unknown) => void;
  /** Name of the directory, for streams whose open record cannot be read. */
  readonly instance: () => string;
}

/** How many entries are cached, because the saver requests the same ones repeatedly. */
const REMEMBERED = 2_048;

/** Pause before an entry that could not be read is read again. */
const RETRY_MS = 5_000;

export class OwnBacklog {
  readonly #options: OwnBacklogOptions;
  readonly #remembered = new Map<Log, Remembered>();
  /** Logs that could not be read, and when to read them again (monotonic milliseconds). */
  readonly #unreadable = new Map<Log, number>();
  /** Logs whose body could not be read at the last attempt; the saver requests it again. */
  readonly #unreadBodies = new Set<Log>();

  constructor(options: OwnBacklogOptions) {
    this.#options = options;
  }

  /** Number of messages that could not be read and will be read again. */
  get unread(): number {
    return this.#unreadable.size + this.#unreadBodies.size;
  }

  /** The first `limit` entries that can be read and that are not skipped. Reads no others. */
  first(
    limit: number,
    isSkipped: (streamId: string) => boolean = () => false,
  ): readonly JournalEntry[] {
    const { waiting } = this.#options.streams;
    const entries: JournalEntry[] = [];
    for (const log of waiting) {
      if (entries.length >= limit) break;
      if (isSkipped(log.streamId) || this.#isPaused(log)) continue;
      const entry = this.#tryEntry(log);
      if (entry !== undefined) entries.push(entry);
    }
    this.#forgetSome();
    return entries;
  }

  #isPaused(log: Log): boolean {
    const retryAtMs = this.#unreadable.get(log);
    return retryAtMs !== undefined && performance.now() < retryAtMs;
  }

  /** `undefined` for an entry that cannot be read; the others are returned all the same. */
  #tryEntry(log: Log): JournalEntry | undefined {
    try {
      if (isGone(log)) {
        this.#options.onCorrupt(1);
        this.#options.streams.finish(log);
        return undefined;
      }
      const entry = this.#entryOf(log);
      this.#unreadable.delete(log);
      return entry;
    } catch (error) {
      this.#unreadable.set(log, performance.now() + RETRY_MS);
      this.#options.onError(error);
      return undefined;
    }
  }

  #entryOf(log: Log): JournalEntry {
    const before = this.#remembered.get(log);
    if (before !== undefined && isSame(log, before)) return before.entry;
    const entry = makeEntry(log, this.#options, (isRead) => {
      if (isRead) this.#unreadBodies.delete(log);
      else this.#unreadBodies.add(log);
    });
    this.#remembered.set(log, { entry, offset: log.offset, revision: log.revision });
    return entry;
  }

  #forgetSome(): void {
    for (const unread of [this.#unreadable, this.#unreadBodies]) {
      for (const log of unread.keys()) {
        if (!this.#options.streams.waiting.has(log)) unread.delete(log);
      }
    }
    for (const log of this.#remembered.keys()) {
      const isWaiting = this.#options.streams.waiting.has(log);
      if (!isWaiting || this.#remembered.size > REMEMBERED) this.#remembered.delete(log);
    }
  }
}

/** Another process truncated or deleted its files: no part of it can be read any more. */
function isGone({ body, openAt, endAt, extents }: Log): boolean {
  return body === undefined && openAt === undefined && endAt === undefined && extents.length === 0;
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

/** Creates an entry. Throws the error of the file system. `onRead` gets, for each read of the body, whether it succeeded. */
function makeEntry(
  log: Log,
  options: OwnBacklogOptions,
  onRead: (isRead: boolean) => void,
): JournalEntry {
  const { path, store, reader, onCorrupt, streams, instance } = options;
  const { openAt, endAt, offset, revision } = log;
  const openJson = log.openJson ?? (openAt && reader.text(openAt.segment, openAt.position));
  return new StoredEntry({
    path,
    store,
    opened:
      openJson === undefined
        ? { ...unnamedStream(log, instance()), id: log.streamId }
        : parseOpened(openJson),
    endJson: log.endJson ?? (endAt && reader.text(endAt.segment, endAt.position)),
    isCut: log.unrecoverable,
    expectedBytes: offset,
    endsAt: undefined,
    async read() {
      if (log.body !== undefined) return { pieces: log.body.pieces, bytes: offset };
      try {
        const body = await reader.body(segmentsOf(log), log.number);
        onRead(true);
        return body;
      } catch (error) {
        onRead(false);
        throw error;
      }
    },
    settle() {
      // The stream may have been reopened since: then there is more to save than this entry contained.
      if (log.state === 'kept' && isSame(log, { offset, revision })) streams.settle(log);
    },
    postpone() {
      if (streams.waiting.delete(log)) streams.waiting.add(log);
    },
    onHole: () => onCorrupt(1),
    isGone: () => log.isPurged,
  });
}
