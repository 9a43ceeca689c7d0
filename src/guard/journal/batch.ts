/**
 * The records of one tick, in one reused buffer, and their way to the disk: one `writeSync` at a known position.
 * A batch is whole or it is nothing: after a failed write the file is cut back to where the batch began.
 */
import { performance } from 'node:perf_hooks';
import type { Condition } from './condition.ts';
import { troubleOf } from './condition.ts';
import type { Files } from './files.ts';
import type { Log } from './log.ts';
import { HEADER_BYTES, seal } from './record.ts';
import type { Kind } from './record.ts';
import type { Place, Segment } from './segment.ts';
import type { Segments } from './segments.ts';

/** The buffer begins small; a batch is written when it has so many bytes. */
const START_BYTES = 64 * 1024;
const WRITE_AT_BYTES = 256 * 1024;

/** A write that took longer is slow; so many in a row and the disk is left alone. */
const SLOW_WRITE_MS = 50;
const SLOW_STRIKES = 3;

export interface Batch {
  /**
   * Adds a record of `log`; returns the bytes of its payload, or -1 when the batch is broken. May write out what was
   * added before. Text must be short enough that its UTF-8 fits into one record.
   */
  put(log: Log, kind: Kind, payload: string | Uint8Array, offset: number): number;
  /** Writes what is there. False when this or an earlier write since the last call failed. */
  finish(): boolean;
  /** Where the record put last begins. */
  lastPlace(): Place<Log> | undefined;
  /** Counts the writes; moves before `put` returns when that wrote out. */
  readonly writes: number;
  /** Milliseconds spent in writes since this was last asked. */
  takeSpentMs(): number;
}

export function createBatch(options: {
  readonly files: Files;
  readonly segments: Segments;
  readonly condition: Condition;
  readonly onError: (error: unknown) => void;
  /** After a write that worked. */
  readonly onWrote: () => void;
  /** A segment whose tail could not be cut: its logs have to be written again. */
  readonly onTornSegment: (segment: Segment<Log>) => void;
}): Batch {
  const { files, segments, condition, onError, onWrote, onTornSegment } = options;
  let buffer = Buffer.allocUnsafeSlow(START_BYTES);
  let fill = 0;
  let broken = false;
  let strikes = 0;
  let writes = 0;
  let spentMs = 0;
  let target: Segment<Log> | undefined;
  let lastSegment: Segment<Log> | undefined;
  let lastPosition = 0;
  const head: { kind: Kind; stream: number; offset: number } = { kind: 1, stream: 0, offset: 0 };

  const fail = (error: unknown): void => {
    broken = true;
    fill = 0;
    target = undefined;
    onError(error);
    condition.block(troubleOf(error));
  };
  const makeRoom = (bytes: number): void => {
    if (buffer.length - fill >= bytes) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, fill + bytes));
    buffer.copy(larger, 0, 0, fill);
    buffer = larger;
  };
  const noteSpeed = (ms: number): void => {
    spentMs += ms;
    strikes = ms > SLOW_WRITE_MS ? strikes + 1 : 0;
    if (strikes < SLOW_STRIKES) return;
    strikes = 0;
    condition.block('slow');
  };
  const writeOut = (): void => {
    if (fill === 0 || target === undefined) return;
    const segment = target;
    const before = performance.now();
    try {
      writeFully(files, segment, buffer, fill);
    } catch (error) {
      if (!cutBack(files, segment, onError)) onTornSegment(segment);
      segments.seal();
      fail(error);
      return;
    }
    segments.grew(fill);
    fill = 0;
    target = undefined;
    writes++;
    onWrote();
    noteSpeed(performance.now() - before);
  };

  return {
    get writes() {
      return writes;
    },
    put(log, kind, payload, offset) {
      if (broken) return -1;
      try {
        target ??= segments.current();
      } catch (error) {
        fail(error);
        return -1;
      }
      // A UTF-16 unit takes three bytes of UTF-8 at most.
      makeRoom(HEADER_BYTES + (typeof payload === 'string' ? payload.length * 3 : payload.length));
      const at = fill;
      const payloadAt = at + HEADER_BYTES;
      let bytes = payload.length;
      if (typeof payload === 'string') bytes = buffer.write(payload, payloadAt);
      else buffer.set(payload, payloadAt);
      head.kind = kind;
      head.stream = log.number;
      head.offset = offset;
      seal(buffer, at, bytes, target.salt, head);
      fill = payloadAt + bytes;
      lastSegment = target;
      lastPosition = target.size + at;
      segments.charge(log, target, HEADER_BYTES + bytes);
      if (fill >= WRITE_AT_BYTES) writeOut();
      return broken ? -1 : bytes;
    },
    finish() {
      writeOut();
      const whole = !broken;
      broken = false;
      return whole;
    },
    lastPlace: () =>
      lastSegment === undefined ? undefined : { segment: lastSegment, position: lastPosition },
    takeSpentMs() {
      const spent = spentMs;
      spentMs = 0;
      return spent;
    },
  };
}

/** `writeSync` may write less than asked and say nothing; it throws at the next call when the disk is full. */
function writeFully(files: Files, segment: Segment<Log>, bytes: Buffer, length: number): void {
  let done = 0;
  while (done < length) {
    const range = { from: done, length: length - done, position: segment.size + done };
    const written = files.write(segment.fd, bytes, range);
    if (written <= 0) throw new Error('a write to the journal wrote nothing');
    done += written;
  }
}

/** Takes a half-written batch away; false when even that fails. */
function cutBack(files: Files, segment: Segment<Log>, onError: (error: unknown) => void): boolean {
  try {
    files.truncate(segment.fd, segment.size);
    return true;
  } catch (error) {
    onError(error);
    return false;
  }
}
