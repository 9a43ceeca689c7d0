/**
 * Writes streams again at the head: those whose records are not whole, those in a segment that is not trusted, and
 * those that keep an almost empty segment alive. From memory where the text still is, else from the disk; a little at
 * a time, so that nobody else waits long.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Whole } from './encode.ts';
import type { Log } from './log.ts';
import { readText } from './reader.ts';
import type { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

/** Written before others get a turn. */
const STRETCH_BYTES = 256 * 1024;

export interface Relocator {
  /** Writes these logs again. Never rejects; what could not be written stays as it is. */
  move(logs: readonly Log[]): Promise<void>;
}

export function createRelocator(options: {
  readonly writer: Writer;
  readonly reader: Reader;
  readonly onError: (error: unknown) => void;
}): Relocator {
  const { writer, reader, onError } = options;

  const moveKept = async (log: Log): Promise<void> => {
    const { offset } = log;
    const whole = await readWhole(log, reader);
    // Meanwhile it may have been settled, or opened again.
    if (whole === undefined || log.state !== 'kept' || log.offset !== offset) return;
    writer.rewrite(log, whole);
  };
  const moveOne = async (log: Log): Promise<void> => {
    if (log.state === 'over') {
      // Only its settlement is missing.
      writer.forget(log);
      log.settlePending = true;
      if (!log.queued) writer.enqueue(log);
    } else if (log.body === undefined) await moveKept(log);
    else writer.rewrite(log);
  };

  return {
    async move(logs) {
      let written = 0;
      for (const log of logs) {
        try {
          await moveOne(log);
        } catch (error) {
          onError(error);
        }
        written += log.offset;
        if (written < STRETCH_BYTES) continue;
        written = 0;
        await nextTurn();
      }
    },
  };
}

/** A kept stream as the disk has it; `undefined` when it cannot be read without a loss. */
async function readWhole(log: Log, reader: Reader): Promise<Whole | undefined> {
  const { openAt, endAt } = log;
  if (openAt === undefined) return undefined;
  const openJson = readText(openAt.segment, openAt.position);
  const endJson = endAt && readText(endAt.segment, endAt.position);
  if (openJson === undefined || (endAt !== undefined && endJson === undefined)) return undefined;
  const body = await reader.body(segmentsOf(log), log.number);
  if (body.bytes !== log.offset) return undefined;
  return { openJson, body: body.pieces, endJson };
}

/** The segments that hold a log's records, oldest first. */
export function segmentsOf(log: Log): Log['extents'][number]['segment'][] {
  return log.extents.map(({ segment }) => segment);
}
