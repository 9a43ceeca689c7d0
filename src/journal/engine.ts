/**
 * The parts that write, each made once and told of the others what it needs.
 */
import { createBatch } from './batch.ts';
import type { Batch } from './batch.ts';
import { createBound } from './quota.ts';
import { createCondition } from './degraded.ts';
import type { Condition, Trouble } from './degraded.ts';
import { diskFiles } from './files.ts';
import type { Files } from './files.ts';
import { createHealer } from './healer.ts';
import type { Log } from './stream-log.ts';
import type { JournalSettings } from './options.ts';
import { createRelocator } from './rewrite.ts';
import { createResidence } from './lease/residence.ts';
import type { Residence } from './lease/residence.ts';
import { createSegments } from './segments.ts';
import type { Segments } from './segments.ts';
import { createSyncer, giveUp } from './fsync.ts';
import type { Syncer } from './fsync.ts';
import { createWriter } from './writer.ts';
import type { Writer } from './writer.ts';

/** What tests may put in place of a real disk. */
export interface Seams {
  readonly files?: Partial<Files>;
  /** Default 8 MiB. */
  readonly segmentBytes?: number;
  /** How long a slow disk is left alone; default 10 s. */
  readonly slowPauseMs?: number | undefined;
}

export interface EngineOptions {
  readonly settings: JournalSettings;
  readonly seams: Seams;
  /** Bytes that count for the bound but are not ours to write. */
  readonly otherBytes: () => number;
  readonly onWrite: (seconds: number) => void;
  readonly onDegraded: (reason: Trouble | undefined) => void;
  readonly onError: (error: unknown) => void;
  readonly onCorrupt: (count: number) => void;
  /** A directory was opened. */
  readonly onHome: () => void;
  /** Our directory belongs to another process now, and these logs with it. */
  readonly onGone: (gone: readonly Log[]) => void;
}

export interface Engine {
  readonly residence: Residence;
  readonly segments: Segments;
  readonly condition: Condition;
  readonly writer: Writer;
  readonly syncer: Syncer;
}

const SEGMENT_BYTES = 8 * 1024 * 1024;

/** A small bound gets small segments, so that there are always enough of them to delete. */
const SEGMENTS_AT_LEAST = 8;

export function createEngine(options: EngineOptions): Engine {
  const { settings, seams, onError, onCorrupt } = options;
  const { maxBytes, flushMs, fsyncMs } = settings;
  const files: Files = { ...diskFiles, ...seams.files };
  const { onHome, onGone, onWrite, onDegraded, otherBytes } = options;
  const residence: Residence = createResidence({
    path: settings.path,
    onError,
    onHome,
    onGone,
    parts: () => ({ condition, segments, writer }),
  });
  const { home, directory } = residence;
  const segmentBytes = seams.segmentBytes ?? Math.min(SEGMENT_BYTES, maxBytes / SEGMENTS_AT_LEAST);
  const segments = createSegments({ files, directory, segmentBytes, onError });
  const condition: Condition = createCondition({
    stale: () => writer.stale.size,
    heal: () => void heal(),
    onDegraded,
    slowPauseMs: seams.slowPauseMs,
  });
  const batch: Batch = createBatch({
    files,
    segments,
    condition,
    onError,
    onWrote: () => syncer.soon(),
    onTornSegment: (segment) => giveUp(segment, segments, writer),
  });
  const bound = createBound(maxBytes, () => segments.bytes + otherBytes(), condition);
  const shared = { batch, bound, condition, files, segments, onError };
  const writer: Writer = createWriter({ ...shared, flushMs, onWrite });
  const relocator = createRelocator({
    batch,
    bound,
    condition,
    segments,
    writer,
    onError,
    onCorrupt,
  });
  const onTakenOver = residence.leave;
  const syncer: Syncer = createSyncer({
    ...shared,
    writer,
    relocator,
    home,
    onTakenOver,
    fsyncMs,
  });
  const heal = createHealer({ ...shared, syncer, ensureHome: residence.ensure });

  return { residence, segments, condition, writer, syncer };
}
