/**
 * The parts that write, wired once: batch, encoder, writer, fsync rounds, healing, and the directory they write to.
 */
import { createBatch } from './batch.ts';
import type { Batch } from './batch.ts';
import { createCondition, troubleOf } from './condition.ts';
import type { Condition, Trouble } from './condition.ts';
import { createEncoder } from './encode.ts';
import type { Encoder } from './encode.ts';
import { diskFiles } from './files.ts';
import type { Files } from './files.ts';
import { createHealer } from './healer.ts';
import { openHome } from './home.ts';
import type { Home } from './home.ts';
import type { Log } from './log.ts';
import type { JournalSettings } from './options.ts';
import type { Reader } from './reader.ts';
import { createRelocator } from './relocate.ts';
import { createSegments } from './segments.ts';
import type { Segments } from './segments.ts';
import { createSyncer, giveUp } from './syncer.ts';
import type { Syncer } from './syncer.ts';
import { createWriter } from './writer.ts';
import type { Writer } from './writer.ts';

/** What tests may put in place of a real disk. */
export interface Seams {
  readonly files?: Partial<Files>;
  /** Default 8 MiB. */
  readonly segmentBytes?: number;
  /** How long a slow disk is left alone; default 10 s. */
  readonly slowPauseMs?: number;
}

export interface EngineOptions {
  readonly settings: JournalSettings;
  readonly seams: Seams;
  readonly reader: Reader;
  /** Bytes that count for the bound but are not ours to write. */
  readonly otherBytes: () => number;
  readonly onWrite: (seconds: number) => void;
  readonly onDegraded: (reason: Trouble | undefined) => void;
  readonly onError: (error: unknown) => void;
  /** Every directory that is opened. */
  readonly onHome: (home: Home) => void;
  /** Our directory belongs to another process now, with all that is not in memory. */
  readonly onTakenOver: (gone: readonly Log[]) => void;
}

export interface Engine {
  readonly home: () => Home | undefined;
  readonly segments: Segments;
  readonly condition: Condition;
  readonly encoder: Encoder;
  readonly writer: Writer;
  readonly syncer: Syncer;
  /** Opens the directory; throws what the disk throws. */
  start(): void;
  /** Keeps trying to open it. */
  startLater(error: unknown): void;
  /** Looks whether the directory is still ours, and says that we live. */
  renew(): void;
}

const SEGMENT_BYTES = 8 * 1024 * 1024;
/** A small bound gets small segments, so that there are always enough of them to delete. */
const SEGMENTS_AT_LEAST = 8;

export function createEngine(options: EngineOptions): Engine {
  const { settings, seams, reader, otherBytes, onWrite, onDegraded, onError } = options;
  const { maxBytes, flushMs, fsyncMs } = settings;
  const files: Files = { ...diskFiles, ...seams.files };
  let home: Home | undefined;

  const start = (): void => {
    home = openHome(settings.path);
    options.onHome(home);
  };
  const segments = createSegments({
    files,
    directory: () => {
      if (home === undefined) throw new Error('the journal has no directory');
      return home.directory;
    },
    segmentBytes:
      seams.segmentBytes ?? Math.min(SEGMENT_BYTES, Math.floor(maxBytes / SEGMENTS_AT_LEAST)),
    onError,
  });
  const condition: Condition = createCondition({
    stale: () => writer.stale.size,
    heal: () => void heal(),
    onDegraded,
    ...(seams.slowPauseMs !== undefined && { slowPauseMs: seams.slowPauseMs }),
  });
  const batch: Batch = createBatch({
    files,
    segments,
    condition,
    onError,
    onWrote: () => syncer.soon(),
    onTornSegment: (segment) => giveUp(segment, segments, writer),
  });
  const encoder = createEncoder(batch, segments);
  const writer: Writer = createWriter({
    batch,
    encoder,
    segments,
    condition,
    maxBytes,
    otherBytes,
    flushMs,
    onWrite,
    onError,
  });
  const relocator = createRelocator({ writer, reader, onError });

  /** Another process thinks that we are dead. What memory holds is written again, elsewhere; the rest is its now. */
  const takenOver = (): void => {
    const left = home;
    home = undefined;
    const gone: Log[] = [];
    for (const log of encoder.members) {
      log.extents = [];
      if (log.body === undefined) gone.push(log);
      else writer.distrust(log);
    }
    for (const log of gone) encoder.members.delete(log);
    segments.forget(false);
    options.onTakenOver(gone);
    left?.abandon().catch(onError);
    try {
      start();
    } catch (error) {
      onError(error);
      condition.block(troubleOf(error));
    }
  };
  const syncer: Syncer = createSyncer({
    batch,
    condition,
    files,
    segments,
    writer,
    relocator,
    home: () => home,
    onTakenOver: takenOver,
    fsyncMs,
    onError,
  });
  const ensureHome = (): void => {
    if (home === undefined) start();
    else if (!home.isMine()) takenOver();
  };
  const heal = createHealer({ batch, condition, files, segments, syncer, ensureHome, onError });

  return {
    home: () => home,
    segments,
    condition,
    encoder,
    writer,
    syncer,
    start,
    startLater(error) {
      onError(error);
      condition.block(troubleOf(error));
    },
    renew() {
      try {
        if (home?.isMine() === true) home.renew();
        else if (home !== undefined) void syncer.request();
      } catch (error) {
        onError(error);
      }
    },
  };
}
