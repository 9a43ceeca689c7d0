/**
 * Writes records again at the head of the journal: those of streams that are incomplete on disk, from memory; those of almost
 * empty or invalid segments, from their files. It works in small steps, so that other work is not delayed.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Files } from '../fs.ts';
import { readRange } from '../read/reader.ts';
import { KIND, scan } from '../record.ts';
import type { FoundRecord, Kind } from '../record.ts';
import type { Batch } from './batch.ts';
import type { JournalHealth, Quota } from './degraded.ts';
import { pendingBytes, putWhole } from './encode.ts';
import type { WholeStream } from './encode.ts';
import type { LogSet } from './log-set.ts';
import type { Segments } from './segments.ts';
import type { Log, RecordPlace, Segment } from './stream-log.ts';

/** Bytes that are written before the event loop is yielded. */
const STRETCH_BYTES = 256 * 1024;

export interface RewriterOptions {
  readonly files: Files;
  readonly batch: Batch;
  readonly quota: Quota;
  readonly health: JournalHealth;
  readonly logs: LogSet;
  readonly segments: Segments;
  readonly onError: (error: unknown) => void;
  /** A record that was needed could not be read back. */
  readonly onCorrupt: (count: number) => void;
}

export class Rewriter {
  readonly #options: RewriterOptions;

  constructor(options: RewriterOptions) {
    this.#options = options;
  }

  /** Writes a whole stream again from memory and releases its old records. False when that failed. */
  rewriteStream(log: Log): boolean {
    const { batch, quota, health, logs, segments, onError } = this.#options;
    if (health.blocked) return false;
    const whole = wholeOf(log, onError);
    if (whole === undefined || !quota.fits(log.offset + pendingBytes(log), 'pieces')) return false;
    const { extents: old, offset } = log;
    log.extents = [];
    putWhole(batch, log, whole);
    log.writtenAt = batch.writes + 1;
    log.rewrittenAt = log.writtenAt;
    if (!batch.finish()) {
      log.extents.push(...old);
      log.offset = Math.max(offset, log.offset);
      logs.skip(log);
      return false;
    }
    segments.release(log, old, batch.writes);
    logs.onDisk.add(log);
    logs.markWhole(log);
    if (log.state === 'kept') log.releaseMemory();
    return true;
  }

  /**
   * Writes again every log that needs it: from memory where the body is there, else from the files of invalid segments. Never rejects.
   */
  async rewriteInvalid(): Promise<void> {
    const { logs, segments, health } = this.#options;
    if (logs.needRewrite.size === 0) return;
    let written = 0;
    for (const log of Array.from(logs.needRewrite)) {
      if (health.blocked) return;
      if (log.state === 'over') this.#settleAgain(log);
      else if (log.needsRewrite && this.rewriteStream(log)) written += log.offset;
      if (written < STRETCH_BYTES) continue;
      written = 0;
      await nextTurn();
    }
    await this.compact(segments.all.filter(({ invalid }) => invalid));
  }

  /** Copies the needed records of these segments to the head. Never rejects; a segment that could not be copied stays. */
  async compact(candidates: readonly Segment[]): Promise<void> {
    const { health, quota, onError } = this.#options;
    for (const segment of candidates) {
      if (health.blocked || !quota.fits(segment.live, 'all')) return;
      try {
        await this.#copySegment(segment);
      } catch (error) {
        onError(error);
      }
    }
  }

  /** Writes only the settlement again, which could not be written before. */
  #settleAgain(log: Log): void {
    this.#options.logs.forget(log);
    log.settlePending = true;
    if (!log.queued) log.host.enqueue(log, true);
  }

  async #copySegment(segment: Segment): Promise<void> {
    const { files, batch, onCorrupt } = this.#options;
    if (segment.logs.size === 0) return;
    const logs = new Map([...segment.logs].map((log) => [log.number, log]));
    const bytes = await readRange(files, segment.fd, 0, segment.size);
    let from = 0;
    let damaged = 0;
    while (from < bytes.length) {
      const range = { from, until: from + STRETCH_BYTES, salt: segment.salt };
      const copied: CopiedRecord[] = [];
      const result = scan(bytes, range, (record) => {
        const log = logs.get(record.stream);
        // A log that was settled or rewritten meanwhile does not need this record any more.
        if (log === undefined || !segment.logs.has(log)) return;
        copyRecord(batch, log, record, bytes);
        copied.push({ log, kind: record.kind, place: batch.lastPlace() });
      });
      if (!batch.finish()) return;
      for (const { log, kind, place } of copied) {
        if (kind === KIND.open) log.openAt = place;
        if (kind === KIND.end) log.endAt = place;
      }
      damaged += result.damaged;
      from = result.next;
      await nextTurn();
    }
    if (damaged > 0) {
      segment.isDamaged = true;
      onCorrupt(damaged);
    }
    this.#releaseSegment(segment);
  }

  #releaseSegment(segment: Segment): void {
    const { batch, logs, segments } = this.#options;
    for (const log of segment.logs) {
      const left = log.extents.filter((extent) => extent.segment === segment);
      log.extents = log.extents.filter((extent) => extent.segment !== segment);
      segments.release(log, left, batch.writes);
      // A record that was not copied cannot be read any more, and its file is about to be closed.
      if (log.openAt?.segment === segment) log.openAt = undefined;
      if (log.endAt?.segment === segment) log.endAt = undefined;
      if (!segment.invalid) continue;
      log.writtenAt = batch.writes;
      log.rewrittenAt = batch.writes;
      if (log.body === undefined) logs.markWhole(log);
    }
  }
}

interface CopiedRecord {
  readonly log: Log;
  readonly kind: number;
  readonly place: RecordPlace | undefined;
}

function copyRecord(batch: Batch, log: Log, record: FoundRecord, bytes: Buffer): void {
  const { kind, offset, payloadAt, payloadBytes } = record;
  const known = COPIED.find((one) => one === kind);
  if (known === undefined) return;
  batch.put(log, known, bytes.subarray(payloadAt, payloadAt + payloadBytes), offset);
}

/** Kinds that are copied. Settlements are not: the records that they settle are in older segments, which are deleted first. */
const COPIED: readonly Kind[] = [KIND.open, KIND.text, KIND.bytes, KIND.end];

/** A log from memory; `undefined` when it is only on disk. */
function wholeOf(log: Log, onError: (error: unknown) => void): WholeStream | undefined {
  try {
    const { openJson, body, endJson } = log;
    if (body === undefined || openJson === undefined) return undefined;
    return { openJson, body: body.pieces, endJson };
  } catch (error) {
    onError(error);
    return undefined;
  }
}
