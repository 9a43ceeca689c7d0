/**
 * Writes what the logs hold. Every log that took a piece in this tick is on one list; the flush that the first of
 * them queued encodes them all and writes once, before Node takes any socket's cork away.
 *
 * A log that could not be written, or whose records are no longer trusted, is *stale*: what it takes is not written
 * piece by piece any more (there would be a gap before it) but whole, from memory, as soon as writing works.
 */
import type { Batch } from './batch.ts';
import type { Condition } from './condition.ts';
import { pendingBytes } from './encode.ts';
import type { Encoder, Whole } from './encode.ts';
import type { Log } from './log.ts';
import type { Segments } from './segments.ts';

/** Of the bound, so much is for pieces of bodies; the rest is kept for endings and settlements. */
const BODY_SHARE = 0.95;
/** Pieces are taken again when the journal is so much below the bound. */
const RESUME_SHARE = 0.9;

/** In one tick, stale logs may write so much again; the others wait for theirs. */
const REWRITE_BYTES_PER_TICK = 1024 * 1024;

export interface Writer {
  /** Puts a log on the list of this tick, and queues the flush. */
  enqueue(log: Log): void;
  /** Writes everything on the list now. */
  flush(): void;
  /** Writes a whole stream again at the head and lets its old records go. False when that failed. */
  rewrite(log: Log, whole?: Whole): boolean;
  /** Its records cannot be relied on. */
  distrust(log: Log): void;
  /** Looks whether the bound is respected. */
  reviewBound(): void;
  /** Logs that wait to be written again. */
  readonly stale: Set<Log>;
}

export function createWriter(options: {
  readonly batch: Batch;
  readonly encoder: Encoder;
  readonly segments: Segments;
  readonly condition: Condition;
  readonly maxBytes: number;
  /** Bytes that count for the bound but are not in `segments`. */
  readonly otherBytes: () => number;
  /** 0: at the end of this tick. */
  readonly flushMs: number;
  /** Called after a flush that wrote. */
  readonly onWrite: (seconds: number) => void;
  readonly onError: (error: unknown) => void;
}): Writer {
  const { batch, encoder, segments, condition, maxBytes, otherBytes, flushMs, onWrite } = options;
  const stale = new Set<Log>();
  let pending: Log[] = [];
  let spare: Log[] = [];
  let scheduled = false;
  let flushing = false;

  const used = (): number => segments.bytes + otherBytes();
  const reviewBound = (): void => {
    const bytes = used();
    if (condition.over ? bytes < maxBytes * RESUME_SHARE : bytes >= maxBytes * BODY_SHARE) {
      condition.setOver(!condition.over);
    }
  };
  const distrust = (log: Log): void => {
    log.clearPending();
    log.stale = true;
    stale.add(log);
  };

  /** Puts one log into the batch; true when it has to be written again as a whole instead. */
  const encode = (log: Log): boolean => {
    if (log.settlePending && log.opened) encoder.settled(log);
    log.settlePending = false;
    if (log.state === 'over') return false;
    if (log.stale) return true;
    if (condition.over && (log.text !== '' || log.parts !== undefined || !log.opened)) {
      distrust(log);
      return false;
    }
    encoder.pending(log);
    log.writtenAt = batch.writes + 1;
    return false;
  };

  const encodeAll = (logs: readonly Log[]): readonly Log[] => {
    let again: Log[] = NONE;
    let safe = 0;
    let index = -1;
    let { writes } = batch;
    for (const log of logs) {
      index++;
      log.queued = false;
      if (encode(log)) (again = again === NONE ? [] : again).push(log);
      if (batch.writes === writes) continue;
      // What was added before is on its way; this log may be only half of it.
      ({ writes } = batch);
      safe = index;
    }
    if (!batch.finish()) for (const log of logs.slice(safe)) distrust(log);
    return again;
  };

  const rewriteSome = (logs: readonly Log[]): void => {
    let budget = REWRITE_BYTES_PER_TICK;
    for (const log of logs) {
      if (!log.stale) continue;
      if (budget <= 0 || condition.over || !rewrite(log)) log.clearPending();
      else budget -= log.offset;
    }
  };

  const rewrite = (log: Log, whole = wholeOf(log, options.onError)): boolean => {
    const size = log.offset + pendingBytes(log);
    if (whole === undefined || condition.blocked || used() + size > maxBytes) return false;
    const old = log.extents;
    log.extents = [];
    encoder.whole(log, whole);
    log.writtenAt = batch.writes + 1;
    if (!batch.finish()) {
      log.extents.push(...old);
      distrust(log);
      return false;
    }
    segments.release(log, old, batch.writes);
    log.stale = false;
    stale.delete(log);
    if (log.state === 'kept') log.letGo();
    return true;
  };

  const flush = (): void => {
    if (flushing) return;
    scheduled = false;
    if (pending.length === 0) return;
    flushing = true;
    const logs = pending;
    pending = spare;
    try {
      reviewBound();
      if (condition.blocked || used() >= maxBytes) for (const log of logs) miss(log);
      else rewriteSome(encodeAll(logs));
    } catch (error) {
      // Nothing above may throw; should it, the streams are written again from memory.
      for (const log of logs) miss(log);
      options.onError(error);
    }
    logs.length = 0;
    spare = logs;
    flushing = false;
    const spentMs = batch.takeSpentMs();
    if (spentMs > 0) onWrite(spentMs / 1000);
  };
  const miss = (log: Log): void => {
    log.queued = false;
    distrust(log);
  };

  return {
    enqueue(log) {
      pending.push(log);
      if (scheduled) return;
      scheduled = true;
      if (flushMs === 0) process.nextTick(flush);
      else setTimeout(flush, flushMs).unref();
    },
    flush,
    rewrite,
    distrust,
    reviewBound,
    stale,
  };
}

/** No logs; never added to. */
const NONE: Log[] = [];

/** A log as its memory has it; `undefined` when only the disk does. */
function wholeOf(log: Log, onError: (error: unknown) => void): Whole | undefined {
  if (log.body === undefined || log.openJson === undefined) return undefined;
  try {
    return { openJson: log.openJson, body: log.body(), endJson: log.endJson };
  } catch (error) {
    onError(error);
    return undefined;
  }
}
