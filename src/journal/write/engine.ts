/**
 * Creates the parts that write, once and in order, and connects their callbacks.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { OpenedStream } from '../../core/save-port.ts';
import { isMissing } from '../../core/values.ts';
import { eraseRecords } from '../erase.ts';
import type { Files } from '../fs.ts';
import type { Lease } from '../lease/lease.ts';
import type { JournalSettings } from '../options.ts';
import type { SetAside } from '../aside/set-aside.ts';
import type { PurgeCounts } from '../port.ts';
import type { BodyReader } from '../read/reader.ts';
import { parseOpened } from '../record-json.ts';
import { Batch } from './batch.ts';
import { JournalHealth, Quota } from './degraded.ts';
import type { DegradedReason } from './degraded.ts';
import { Syncer } from './fsync.ts';
import { LogSet } from './log-set.ts';
import { Rewriter } from './rewrite.ts';
import { Segments } from './segments.ts';
import type { Log } from './stream-log.ts';
import { StreamLogs } from './streams.ts';
import { LogWriter } from './writer.ts';

/** Replacements for tests. */
export interface JournalSeams {
  readonly files?: Partial<Files>;
  /** Default 8 MiB. */
  readonly segmentBytes?: number;
  /** How long nothing is written to a slow disk; default 10 s. */
  readonly slowPauseMs?: number | undefined;
  /** Default 60 s. */
  readonly quietMs?: number;
}

export interface WriteEngineOptions {
  readonly settings: JournalSettings;
  /** Names the store; `undefined` where it has no name. */
  readonly store: string | undefined;
  readonly files: Files;
  readonly reader: BodyReader;
  readonly seams: JournalSeams;
  readonly lease: Lease;
  readonly setAside: SetAside;
  /** Bytes that count for `maxBytes` but are not in our own segments. */
  readonly otherBytes: () => number;
  readonly onWrite: (seconds: number) => void;
  readonly onDegraded: (reason: DegradedReason | undefined) => void;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
  readonly onDamaged: (path: string, how: 'deleted' | 'truncated') => void;
}

/** Milliseconds without a write after which a segment without unsaved streams is deleted. */
const QUIET_MS = 60_000;

const SEGMENT_BYTES = 8 * 1024 * 1024;

/** How many entries are looked up on disk before the event loop is yielded. */
const LOOKS_PER_TURN = 256;

/** With a small `maxBytes` segments are smaller, so that there are at least this many of them to delete. */
const SEGMENTS_AT_LEAST = 8;

export class WriteEngine {
  readonly segments: Segments;
  readonly logs: LogSet;
  readonly health: JournalHealth;
  readonly writer: LogWriter;
  readonly syncer: Syncer;
  readonly streams: StreamLogs;
  readonly #batch: Batch;
  readonly #reader: BodyReader;

  constructor(options: WriteEngineOptions) {
    const { settings, files, seams, lease, setAside, otherBytes, onWrite, onError, onCorrupt } =
      options;
    const { maxBytes, flushMs, fsyncMs } = settings;
    const segments = new Segments({
      files,
      directory: () => lease.directoryForFile(),
      segmentBytes: seams.segmentBytes ?? Math.min(SEGMENT_BYTES, maxBytes / SEGMENTS_AT_LEAST),
      setAside,
      quietMs: seams.quietMs ?? QUIET_MS,
      onError,
    });
    const logs = new LogSet(segments);
    const health = this.#createHealth(options, logs);
    const quota = new Quota(maxBytes, () => segments.bytes + otherBytes(), health);
    const batch = new Batch({
      files,
      segments,
      health,
      onError,
      onWrote: () => this.syncer.soon(),
      onTornSegment: (segment) => logs.invalidateSegment(segment),
    });
    const rewriter = new Rewriter({
      files,
      batch,
      quota,
      health,
      logs,
      segments,
      onError,
      onCorrupt,
    });
    const shared = { batch, quota, health, logs, segments, rewriter, onError };
    const writer = new LogWriter({ ...shared, flushMs, onWrite });
    this.segments = segments;
    this.logs = logs;
    this.health = health;
    this.writer = writer;
    this.#batch = batch;
    this.#reader = options.reader;
    this.syncer = new Syncer({
      ...shared,
      files,
      writer,
      lease,
      fsyncMs,
      onDamaged: options.onDamaged,
    });
    this.streams = new StreamLogs({
      writer,
      logs,
      lease,
      flushMs,
      store: options.store,
      reader: options.reader,
    });
  }

  /** Deletes the current segment when its streams are saved and nothing was written for a while, so that it need not fill up first. */
  sealQuiet(): void {
    if (this.segments.sealQuiet()) this.syncer.sweep();
  }

  /**
   * Purges the kept messages for which `isMeant` is true, and erases from disk their text and that of all settled messages. Live streams
   * are counted as `onTheWay`. Rejects with the error of the file system.
   */
  async purge(isMeant: (stream: OpenedStream) => boolean): Promise<Omit<PurgeCounts, 'unknown'>> {
    const counts = { purged: 0, onTheWay: 0 };
    let looked = 0;
    for (const log of Array.from(this.logs.onDisk)) {
      if (++looked % LOOKS_PER_TURN === 0) await nextTurn();
      const facts = log.openFacts?.stream ?? this.#readOpened(log);
      if (log.state === 'over' || facts === undefined || !isMeant(facts)) continue;
      counts[log.state === 'live' ? 'onTheWay' : 'purged'] += 1;
      if (log.state === 'live') continue;
      log.isPurged = true;
      this.streams.finish(log);
    }
    // Their settlements must be fsynced before their text is erased.
    await this.syncer.request();
    const needed = new Set(Array.from(this.logs.onDisk, ({ number }) => number));
    const files = this.segments.all.map(({ path, salt, size: until }) => ({ path, salt, until }));
    for (const file of files) {
      try {
        await eraseRecords(file, (stream) => !needed.has(stream));
      } catch (error) {
        // The file was not needed any more and was deleted meanwhile.
        if (!isMissing(error)) throw error;
      }
    }
    return counts;
  }

  #readOpened(log: Log): OpenedStream | undefined {
    const { openAt } = log;
    const json = openAt && this.#reader.text(openAt.segment, openAt.position);
    return json === undefined ? undefined : parseOpened(json);
  }

  /** The directory was deleted: its content is written again, from memory or from the open files. */
  rescue(): void {
    for (const segment of this.segments.all) this.logs.invalidateSegment(segment);
    this.segments.seal();
  }

  /** Another process has taken the directory over, and with it every stream that is only on disk. */
  abandon(): void {
    for (const log of this.logs.abandon()) this.streams.waiting.delete(log);
    this.segments.forget(false);
  }

  /** True once everything appended to this log before the call is fsynced; false when it cannot be. */
  async sync(log: Log): Promise<boolean> {
    this.streams.rewrite(log);
    this.writer.flush();
    // Pieces that are appended and written during the round are not waited for.
    const upTo = log.writtenAt;
    if (this.syncer.has(log, upTo)) return true;
    await this.syncer.request();
    return this.syncer.has(log, upTo);
  }

  /**
   * Writes and fsyncs everything, and leaves it to the next process. A stream that continues after that is written again to a new
   * directory, from memory.
   */
  async close(): Promise<void> {
    this.streams.finishSettled();
    await this.syncer.request();
    await this.syncer.idle();
    this.syncer.stop();
    this.health.stop();
    const isEmpty = this.logs.onDisk.size === 0;
    for (const log of this.logs.leave()) this.streams.waiting.delete(log);
    this.segments.forget(isEmpty);
  }

  #createHealth(options: WriteEngineOptions, logs: LogSet): JournalHealth {
    const { lease, onDegraded, onError, seams } = options;
    return new JournalHealth({
      incomplete: () => logs.needRewrite.size,
      ensureDirectory: () => lease.ensure(),
      probeDisk: () => this.#probeDisk(),
      // The round rewrites the logs that need it, and fsyncs them.
      rewrite: () => this.syncer.request(),
      onDegraded,
      onError,
      slowPauseMs: seams.slowPauseMs,
    });
  }

  #probeDisk(): Promise<boolean> {
    this.syncer.sweep();
    // The cause of a failed write may persist for its file, so a new file is used.
    this.segments.seal();
    return this.#batch.probeDisk();
  }
}
