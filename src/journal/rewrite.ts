/**
 * Writes records again at the head: of streams that are not whole on disk, from memory; of segments that are almost
 * empty or not trusted, from where they are. A little at a time, so that nobody else waits long.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch } from './batch.ts';
import type { Bound } from './quota.ts';
import type { Condition } from './degraded.ts';
import type { Log } from './stream-log.ts';
import { readRange } from './read/reader.ts';
import { KIND, scan } from './record.ts';
import type { FoundRecord, Kind } from './record.ts';
import type { Place, Segment } from './segment.ts';
import type { Segments } from './segments.ts';
import type { Writer } from './writer.ts';

/** Written before others get a turn. */
const STRETCH_BYTES = 256 * 1024;

export interface Relocator {
  /** Writes these logs again, as far as memory has them. Never rejects. */
  rewrite(logs: readonly Log[]): Promise<void>;
  /** Copies what is needed of these segments. Never rejects; what could not be copied stays where it is. */
  empty(segments: readonly Segment<Log>[]): Promise<void>;
}

export interface RelocatorOptions {
  readonly batch: Batch;
  readonly bound: Bound;
  readonly condition: Condition;
  readonly segments: Segments;
  readonly writer: Writer;
  readonly onError: (error: unknown) => void;
  /** A record that was needed could not be read back. */
  readonly onCorrupt: (count: number) => void;
}

export function createRelocator(options: RelocatorOptions): Relocator {
  const { bound, condition, writer, onError } = options;
  return {
    async rewrite(logs) {
      let written = 0;
      for (const log of logs) {
        if (condition.blocked) return;
        if (log.state === 'over') settleAgain(writer, log);
        else if (log.stale && writer.rewrite(log)) written += log.offset;
        if (written < STRETCH_BYTES) continue;
        written = 0;
        await nextTurn();
      }
    },
    async empty(crowded) {
      for (const segment of crowded) {
        if (condition.blocked || !bound.fits(segment.live, 'all')) return;
        try {
          await emptyOne(options, segment);
        } catch (error) {
          onError(error);
        }
      }
    },
  };
}

/** Only its settlement could not be written. */
function settleAgain(writer: Writer, log: Log): void {
  writer.forget(log);
  log.settlePending = true;
  if (!log.queued) writer.enqueue(log);
}

interface Moved {
  readonly log: Log;
  readonly kind: number;
  readonly place: Place<Log> | undefined;
}

async function emptyOne(options: RelocatorOptions, segment: Segment<Log>): Promise<void> {
  const { batch, segments, writer } = options;
  if (segment.tenants.size === 0) return;
  const tenants = new Map([...segment.tenants].map((log) => [log.number, log]));
  const bytes = await readRange(segment.fd, 0, segment.size);
  let from = 0;
  let damaged = 0;
  while (from < bytes.length) {
    const range = { from, until: from + STRETCH_BYTES, salt: segment.salt };
    const moved: Moved[] = [];
    const result = scan(bytes, range, (record) => {
      const log = tenants.get(record.stream);
      // Settled or written again meanwhile: then it does not need this any more.
      if (log === undefined || !segment.tenants.has(log)) return;
      copy(batch, log, record, bytes);
      moved.push({ log, kind: record.kind, place: batch.lastPlace() });
    });
    if (!batch.finish()) return;
    for (const { log, kind, place } of moved) {
      if (kind === KIND.open) log.openAt = place;
      if (kind === KIND.end) log.endAt = place;
    }
    damaged += result.damaged;
    from = result.next;
    await nextTurn();
  }
  if (damaged > 0) options.onCorrupt(damaged);
  for (const log of segment.tenants) {
    const left = log.extents.filter((extent) => extent.segment === segment);
    log.extents = log.extents.filter((extent) => extent.segment !== segment);
    segments.release(log, left, batch.writes);
    if (!segment.suspect) continue;
    log.writtenAt = batch.writes;
    if (log.body === undefined) writer.trust(log);
  }
}

function copy(batch: Batch, log: Log, record: FoundRecord, bytes: Buffer): void {
  const { kind, offset, payloadAt, payloadBytes } = record;
  const known = COPIED.find((one) => one === kind);
  if (known === undefined) return;
  batch.put(log, known, bytes.subarray(payloadAt, payloadAt + payloadBytes), offset);
}

/** Settlements in a segment that may go are about records that are gone already. */
const COPIED: readonly Kind[] = [KIND.open, KIND.text, KIND.bytes, KIND.end];
