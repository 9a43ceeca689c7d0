/**
 * Writes what the logs hold. Every log that took a piece is on one list; the flush that the first of them queued for
 * the end of its tick, or of its turn, encodes them all and writes once, before any socket's cork is taken away.
 *
 * A log that could not be written, or whose records are no longer trusted, is *stale*: what it takes is not written
 * piece by piece any more (there would be a gap before it) but whole, from memory, as soon as writing works.
 */
import type { Batch } from './batch.ts';
import type { Bound } from './quota.ts';
import type { Condition } from './degraded.ts';
import { pendingBytes, putPending, putSettled, putWhole } from './encode.ts';
import type { Whole } from './encode.ts';
import type { Log } from './stream-log.ts';
import type { Segments } from './segments.ts';

/** In one tick, stale logs may write so much again; the others wait for theirs. */
const REWRITE_BYTES_PER_TICK = 1024 * 1024;

export interface Writer {
  /** Puts a log on the list, and queues the flush unless the caller sees to that. */
  enqueue(log: Log, schedules?: boolean): void;
  /** Writes everything on the list now. */
  readonly flush: () => void;
  /** Writes a whole stream again from memory and lets its old records go. False when that failed. */
  rewrite(log: Log): boolean;
  /** Its records cannot be relied on. */
  distrust(log: Log): void;
  /** Its records are whole again at the head. */
  trust(log: Log): void;
  /** Nobody needs its records any more. */
  forget(log: Log): void;
  /** Logs that wait to be written again. */
  readonly stale: ReadonlySet<Log>;
  /** Logs of which something is on disk. */
  readonly members: ReadonlySet<Log>;
}

export interface WriterOptions {
  readonly batch: Batch;
  readonly segments: Segments;
  readonly condition: Condition;
  readonly bound: Bound;
  /** 0: at the end of this tick. */
  readonly flushMs: number;
  /** After a flush that wrote. */
  readonly onWrite: (seconds: number) => void;
  readonly onError: (error: unknown) => void;
}

export function createWriter(options: WriterOptions): Writer {
  const { flushMs, onError } = options;
  const shared: Shared = { ...options, stale: new Set(), members: new Set() };
  let pending: Log[] = [];
  let scheduled = false;
  let flushing = false;

  const flush = (): void => {
    if (flushing) return;
    scheduled = false;
    if (pending.length === 0) return;
    flushing = true;
    const logs = pending;
    pending = [];
    for (const log of logs) log.queued = false;
    try {
      writeAll(shared, logs);
    } catch (error) {
      // Nothing in there may throw; should it, the streams are written again from memory.
      for (const log of logs) miss(shared, log);
      onError(error);
    }
    flushing = false;
  };

  return {
    enqueue(log, schedules = true) {
      log.queued = true;
      pending.push(log);
      if (scheduled || !schedules) return;
      scheduled = true;
      if (flushMs === 0) process.nextTick(flush);
      else setTimeout(flush, flushMs).unref();
    },
    flush,
    rewrite: (log) => rewrite(shared, log, wholeOf(log, onError)),
    distrust: (log) => distrust(shared, log),
    trust: (log) => trust(shared, log),
    forget(log) {
      log.stale = false;
      shared.stale.delete(log);
      shared.members.delete(log);
      letGo(options.segments, log);
    },
    stale: shared.stale,
    members: shared.members,
  };
}

interface Shared extends WriterOptions {
  readonly stale: Set<Log>;
  readonly members: Set<Log>;
}

function writeAll(shared: Shared, logs: readonly Log[]): void {
  const { batch, condition, bound, onWrite } = shared;
  bound.review(mostBytes(logs));
  if (condition.blocked || bound.isReached()) for (const log of logs) miss(shared, log);
  else rewriteSome(shared, encodeAll(shared, logs));
  const spentMs = batch.takeSpentMs();
  if (spentMs > 0) onWrite(spentMs / 1000);
}

/** What waits, at most: three bytes of UTF-8 for each unit. */
function mostBytes(logs: readonly Log[]): number {
  let units = 0;
  for (const { text, parts } of logs) {
    units += text.length;
    if (parts !== undefined) for (const part of parts) units += part.length;
  }
  return units * 3;
}

/** Returns the logs that have to be written as a whole instead. */
function encodeAll(shared: Shared, logs: readonly Log[]): readonly Log[] {
  const { batch } = shared;
  let whole: Log[] = NONE;
  let safe = 0;
  let index = -1;
  let { writes } = batch;
  for (const log of logs) {
    index++;
    if (!encode(shared, log)) (whole = whole === NONE ? [] : whole).push(log);
    if (batch.writes === writes) continue;
    // What was added before is on its way; this log may be only half of it.
    ({ writes } = batch);
    safe = index;
  }
  if (!batch.finish()) for (const log of logs.slice(safe)) miss(shared, log);
  return whole;
}

/** Puts one log into the batch; false when it cannot go piece by piece. */
function encode(shared: Shared, log: Log): boolean {
  const { batch, condition, members, segments } = shared;
  if (log.settlePending) settle(batch, segments, log);
  if (log.state === 'over') return true;
  if (log.broken) {
    log.clearPending();
    return true;
  }
  // Without a memory, what it says now is all that can be added.
  if (log.stale && log.body !== undefined) return false;
  if (condition.over && (log.text !== '' || log.parts !== undefined || !log.opened)) {
    miss(shared, log);
    return true;
  }
  if (!log.opened) members.add(log);
  putPending(batch, log);
  log.writtenAt = batch.writes + 1;
  return true;
}

function settle(batch: Batch, segments: Segments, log: Log): void {
  log.settlePending = false;
  putSettled(batch, log);
  // Nobody needs the settlement itself: it goes with the segment it stands in.
  letGo(segments, log);
}

function letGo(segments: Segments, log: Log): void {
  const { extents } = log;
  log.extents = [];
  segments.release(log, extents, 0);
}

function rewriteSome(shared: Shared, logs: readonly Log[]): void {
  let budget = REWRITE_BYTES_PER_TICK;
  for (const log of logs) {
    const whole = budget > 0 && !shared.condition.over && wholeOf(log, shared.onError);
    if (whole && rewrite(shared, log, whole)) budget -= log.offset;
    else log.clearPending();
  }
}

function rewrite(shared: Shared, log: Log, whole: Whole | undefined): boolean {
  const { batch, bound, condition, members, segments } = shared;
  if (whole === undefined || condition.blocked) return false;
  if (!bound.fits(log.offset + pendingBytes(log), 'pieces')) return false;
  const { extents: old, offset } = log;
  log.extents = [];
  putWhole(batch, log, whole);
  log.writtenAt = batch.writes + 1;
  if (!batch.finish()) {
    log.extents.push(...old);
    log.offset = Math.max(offset, log.offset);
    miss(shared, log);
    return false;
  }
  segments.release(log, old, batch.writes);
  members.add(log);
  trust(shared, log);
  if (log.state === 'kept') log.letGo();
  return true;
}

/** What waits of it is not written. */
function miss(shared: Shared, log: Log): void {
  log.broken ||= log.body === undefined && !log.settlePending && log.state !== 'over';
  log.clearPending();
  distrust(shared, log);
}

function distrust({ stale }: Shared, log: Log): void {
  log.stale = true;
  // Nothing can be done for a broken one, and the journal is not degraded for it.
  if (!log.broken) stale.add(log);
}

function trust({ stale }: Shared, log: Log): void {
  log.stale = log.broken;
  stale.delete(log);
}

/** A log as its memory has it; `undefined` when only the disk does. */
function wholeOf(log: Log, onError: (error: unknown) => void): Whole | undefined {
  try {
    const { openJson, body, endJson } = log;
    if (body === undefined || openJson === undefined) return undefined;
    return { openJson, body: body.pieces, endJson };
  } catch (error) {
    onError(error);
    return undefined;
  }
}

const NONE: Log[] = [];
